/** What a scenario showed on an engine, as the scenarios write it to their report. */
type Shown =
  | { readonly rows: number; readonly why?: string }
  | { readonly word: string; readonly why: string };

/** What an engine showed, by scenario; `failure` is the output of a run that failed. */
export interface EngineOutcome {
  readonly results?: Readonly<Record<string, Shown>>;
  readonly failure?: string;
}

/** The outcomes as a table in Markdown, with notes on what is not a number of equal rows. */
export function matrixLines(
  outcomes: readonly (readonly [engine: string, outcome: EngineOutcome])[],
): string[] {
  const scenarios = [...new Set(outcomes.flatMap(([, { results }]) => Object.keys(results ?? {})))];
  const notes: string[] = [];
  const cell = (shown: Shown | undefined): string => {
    if (shown === undefined) return "failed";
    const text = "rows" in shown ? String(shown.rows) : shown.word;
    if (shown.why === undefined) return text;
    if (!notes.includes(shown.why)) notes.push(shown.why);
    return `${text} (${notes.indexOf(shown.why) + 1})`;
  };
  return [
    `| engine | ${scenarios.join(" | ")} |`,
    `|---|${scenarios.map(() => "---").join("|")}|`,
    ...outcomes.map(
      ([engine, { results }]) =>
        `| ${engine} | ${scenarios.map((name) => cell(results?.[name])).join(" | ")} |`,
    ),
    ...(notes.length > 0 ? [""] : []),
    ...notes.map((why, i) => `(${i + 1}) ${why}`),
  ];
}
