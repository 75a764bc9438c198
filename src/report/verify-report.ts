import { DIFFERENCE_KINDS, type DifferenceKind } from "../verify/classify.ts";
import { rangeToJson } from "../verify/differing-range.ts";
import type { VerifyResult } from "../verify/verify.ts";
import { formatCount, formatDuration } from "./format.ts";

/** What was compared. */
export interface VerifySubject {
  readonly partition: string;
  readonly target: string;
  readonly quick: boolean;
  /** Only what was repaired was compared. */
  readonly isPartial: boolean;
}

/** Rows that Langfuse has written since are not differences. */
const DIFFERENCES = DIFFERENCE_KINDS.filter((kind) => kind !== "newer");

/** The differences in words, as `3 missing, 1 stale`; null where there are none. */
export function describeDifferences(counts: VerifyResult["counts"]): string | null {
  const found = DIFFERENCES.filter((kind) => counts[kind] > 0);
  if (found.length === 0) return null;
  return found.map((kind) => `${formatCount(counts[kind])} ${kind}`).join(", ");
}

const LABEL_WIDTH = 26;

const MEANINGS: Readonly<Record<DifferenceKind, string>> = {
  missing: "Missing rows",
  unexpected: "Unexpected rows",
  stale: "Stale rows",
  differing: "Differing rows",
  newer: "Newer rows",
};

/** The result for people, newline included. */
export function renderVerifyText(result: VerifyResult, subject: VerifySubject): string {
  const { partition, target } = subject;
  const differences = describeDifferences(result.counts);
  const what = subject.quick ? "in the keys and versions of rows" : "in every column that a run fills";
  const month = subject.isPartial ? `The repaired parts of partition ${partition}` : `Partition ${partition}`;
  const lines = [
    differences === null
      ? `${month}: ${target} is the same as its sources, ${what}.`
      : `${month}: ${target} differs from its sources: ${differences}.`,
    figure("Rows expected", formatCount(result.expectedRows)),
    figure(`Rows in ${target}`, formatCount(result.actualRows)),
    ...DIFFERENCE_KINDS.flatMap((kind) =>
      kind === "newer" && result.counts.newer === 0
        ? []
        : [figure(MEANINGS[kind], formatCount(result.counts[kind]))],
    ),
    figure("Columns compared", formatCount(result.columns.length)),
    ...leftOutLines(result),
    figure("Ranges read", formatCount(result.ranges)),
    ...(result.comparedHere === 0
      ? []
      : [
          figure(
            "Rows compared here",
            `${formatCount(result.comparedHere)}, whose JSON the server cannot compare`,
          ),
        ]),
    figure("Duration", formatDuration(result.durationMs)),
    ...exampleLines(result),
  ];
  return `${lines.join("\n")}\n`;
}

function figure(label: string, value: string): string {
  return `  ${label.padEnd(LABEL_WIDTH)} ${value}`;
}

function leftOutLines({ leftOut }: VerifyResult): string[] {
  return [...Map.groupBy(leftOut, ({ reason }) => reason)].map(([reason, columns]) =>
    figure(
      "Columns not compared",
      `${formatCount(columns.length)}: ${reason} (${columns.map(({ name }) => name).join(", ")})`,
    ),
  );
}

function exampleLines({ examples, counts }: VerifyResult): string[] {
  return DIFFERENCE_KINDS.flatMap((kind) => {
    const ofKind = examples.filter((example) => example.kind === kind);
    if (ofKind.length === 0) return [];
    const rest = counts[kind] > ofKind.length ? `, ${ofKind.length} of ${formatCount(counts[kind])}` : "";
    return [
      `${MEANINGS[kind]}${rest}:`,
      ...ofKind.map(({ key, columns }) => {
        const named = Object.entries(key).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
        return `  ${named.join(", ")}${columns.length === 0 ? "" : `: ${columns.join(", ")}`}`;
      }),
    ];
  });
}

/** The result for scripts, newline included; `docs/verify.md` describes its fields. */
export function renderVerifyJson(result: VerifyResult, { partition, target, quick }: VerifySubject): string {
  return `${JSON.stringify({
    partition,
    target,
    layout: result.layout,
    quick,
    equal: describeDifferences(result.counts) === null,
    expected_rows: result.expectedRows,
    actual_rows: result.actualRows,
    ...result.counts,
    ranges: result.ranges,
    columns: result.columns,
    columns_left_out: result.leftOut,
    rows_compared_here: result.comparedHere,
    examples: result.examples,
    differing_ranges: result.differingRanges.map(rangeToJson),
    duration_ms: Math.round(result.durationMs),
  })}\n`;
}
