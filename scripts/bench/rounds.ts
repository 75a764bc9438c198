import { cpuMsOf, findServerPid, type ProcessCost, runProcess } from "./child.ts";
import { type Contender, withDirectory } from "./contenders.ts";
import type { Dataset } from "./dataset.ts";
import { renderColumns, type Spread, spreadOf } from "./statistics.ts";
import { emptyStored, insertedParts, isStored, mergesDone } from "./stored.ts";

/** What one run of a contender took; null where the system does not show it, or the target keeps nothing. */
export interface Run extends ProcessCost {
  readonly contender: string;
  readonly serverCpuMs: number | null;
  /** The same, and the merges that follow. */
  readonly mergedCpuMs: number | null;
  /** Parts that were inserted into the target. */
  readonly parts: number | null;
}

/** What several runs of a contender took. */
export interface Summary {
  readonly contender: string;
  readonly wallMs: Spread;
  readonly cpuMs: Spread;
  readonly serverCpuMs: Spread;
  readonly mergedCpuMs: Spread;
  readonly parts: Spread;
  readonly peakRssBytes: Spread;
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
}

/** Runs the contender once on empty tables, and empties what it has filled. Rejects when it fails or when rows are missing. */
export async function runOnce(dataset: Dataset, contender: Contender): Promise<Run> {
  const expected = contender.rows ?? dataset.size.observations;
  await emptyStored(dataset);
  const pid = findServerPid();
  const serverCpu = (): number => (pid === null ? null : cpuMsOf(pid)) ?? Number.NaN;
  const before = serverCpu();
  const { stdout, ...cost } = await withDirectory((directory) => runProcess(contender.command(directory)));
  const serverCpuMs = known(serverCpu() - before);
  const reported = rowsOf(stdout);
  // Rows that views write count for the server; of a table that keeps its rows, those are counted below.
  if (!isStored(contender.target) && reported !== null && reported !== expected) {
    throw new Error(`${contender.name} reports ${reported} rows, expected ${expected}:\n${stdout}`);
  }
  const run = { contender: contender.name, ...cost, serverCpuMs };
  if (!isStored(contender.target)) return { ...run, mergedCpuMs: null, parts: null };
  await mergesDone(dataset);
  const mergedCpuMs = known(serverCpu() - before);
  const parts = await insertedParts(dataset, contender.target);
  await emptyStored(dataset);
  return { ...run, mergedCpuMs, parts };
}

function known(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

/** The rows that the tool's report or a script's JSON counts; null when it has no count. */
function rowsOf(stdout: string): number | null {
  const text = /Events inserted\s+([\d,]+)/.exec(stdout)?.[1] ?? /"rows":(\d+)/.exec(stdout)?.[1];
  return text === undefined ? null : Number(text.replaceAll(",", ""));
}

/** Runs all contenders in turn, `rounds` times, each round beginning with another one. */
export async function runRounds(
  dataset: Dataset,
  contenders: readonly Contender[],
  rounds: number,
  tell: (line: string) => void,
): Promise<Run[]> {
  const runs: Run[] = [];
  for (let round = 0; round < rounds; round++) {
    const first = Math.floor((round * contenders.length) / rounds);
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      const run = await runOnce(dataset, contender);
      runs.push(run);
      tell(`round ${round + 1}: ${run.contender}, ${(run.wallMs / 1000).toFixed(2)} s`);
    }
  }
  return runs;
}

export function summarize(contender: string, all: readonly Run[], { size, wireBytes }: Dataset): Summary {
  const runs = all.filter((run) => run.contender === contender);
  const wallMs = spreadOf(runs.map((run) => run.wallMs));
  return {
    contender,
    wallMs,
    cpuMs: spreadOf(runs.map(({ cpuMs }) => cpuMs)),
    serverCpuMs: spreadOfKnown(runs.map(({ serverCpuMs }) => serverCpuMs)),
    mergedCpuMs: spreadOfKnown(runs.map(({ mergedCpuMs }) => mergedCpuMs)),
    parts: spreadOfKnown(runs.map(({ parts }) => parts)),
    peakRssBytes: spreadOf(runs.map(({ peakRssBytes }) => peakRssBytes)),
    rowsPerSecond: (size.observations / wallMs.median) * 1000,
    bytesPerSecond: (wireBytes / wallMs.median) * 1000,
  };
}

function spreadOfKnown(values: readonly (number | null)[]): Spread {
  return spreadOf(values.filter((value) => value !== null));
}

export function renderSummaries(summaries: readonly Summary[]): string {
  const seconds = ({ median, min, max }: Spread): string[] =>
    Number.isNaN(median)
      ? ["-", ""]
      : [(median / 1000).toFixed(2), `${(min / 1000).toFixed(2)}–${(max / 1000).toFixed(2)}`];
  const head = [
    "",
    "wall s",
    "",
    "client CPU s",
    "",
    "server CPU s",
    "",
    "with merges s",
    "parts",
    "peak RSS MB",
    "",
    "rows/s",
    "MB/s",
  ];
  const lines = summaries.map((summary) => {
    const { median, min, max } = summary.peakRssBytes;
    const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
    return [
      summary.contender,
      ...seconds(summary.wallMs),
      ...seconds(summary.cpuMs),
      ...seconds(summary.serverCpuMs),
      seconds(summary.mergedCpuMs)[0] ?? "",
      Number.isNaN(summary.parts.median) ? "-" : String(summary.parts.median),
      megabytes(median),
      `${megabytes(min)}–${megabytes(max)}`,
      Math.round(summary.rowsPerSecond).toLocaleString("en-US"),
      megabytes(summary.bytesPerSecond),
    ];
  });
  return renderColumns([head, ...lines]);
}
