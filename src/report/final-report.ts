import type { PhaseName } from "../plan/phases.ts";
import type { BackfillOptions } from "../run/backfill-options.ts";
import type { BackfillReport } from "../run/report.ts";
import { formatByteRate, formatCount, formatDuration, formatRowRate } from "./format.ts";

/** What the report says besides the figures. */
export type ReportSubject = Pick<BackfillOptions, "partition" | "tables"> & {
  /** Path of the file of skipped rows, if there is one. */
  readonly skipFilePath: string | null;
};

/** The text for stdout at the end of a run, newline included. */
export function renderFinalReport(report: BackfillReport, subject: ReportSubject): string {
  return `${[...heading(report, subject), ...report.warnings, ...figures(report)].join("\n")}\n`;
}

function heading(report: BackfillReport, subject: ReportSubject): string[] {
  const { partition, tables } = subject;
  switch (report.outcome) {
    case "done":
      return [
        `Partition ${partition} is done: ${tables.source} copied into ${tables.target}.`,
        ...skippedRows(report, subject),
        ...lateRows(report),
      ];
    case "dry-run":
      return [
        `Dry run of partition ${partition}: nothing was inserted into ${tables.target}, no checkpoint was written.`,
        "Its duration and rates are those of reading and enriching: inserts are not part of them, and mostly take longer.",
      ];
    case "nothing-to-do":
      return [
        `Nothing to do: partition ${partition} of ${tables.source} holds no observations.`,
        ...otherMonths(report, tables.source),
      ];
    case "already-finished":
      return [
        `Partition ${partition} was finished by an earlier run; nothing was inserted.`,
        "--restart copies it again.",
      ];
  }
}

/** More would push the first line out of sight. */
const MAX_MONTHS = 24;

function otherMonths({ months }: BackfillReport, source: string): string[] {
  if (months.length === 0) return [`${source} is empty.`];
  const shown = months.slice(0, MAX_MONTHS);
  return [
    `${source} has rows of ${months.length === 1 ? "1 month" : `${months.length} months`}${shown.length < months.length ? `, of which these are the newest` : ""}:`,
    ...shown.map(({ partition, rows }) => `  ${partition}  ${formatCount(rows)}`),
  ];
}

function skippedRows({ rowsSkipped }: BackfillReport, { skipFilePath }: ReportSubject): string[] {
  if (rowsSkipped === 0) return [];
  const rows = rowsSkipped === 1 ? "1 row is" : `${formatCount(rowsSkipped)} rows are`;
  return [`${rows} not in it, since no insert could carry them: see ${skipFilePath}.`];
}

function lateRows({ lateRows, rewrittenRows }: BackfillReport): string[] {
  const lines: string[] = [];
  if (lateRows > 0) {
    const rows = lateRows === 1 ? "1 row was" : `${formatCount(lateRows)} rows were`;
    lines.push(`${rows} written to the source after their page was read, and are not in it.`);
  }
  if (rewrittenRows > 0) {
    const rows = rewrittenRows === 1 ? "1 row was" : `${formatCount(rewrittenRows)} rows were`;
    lines.push(`${rows} written again after their page was read, and may be in it as they were.`);
  }
  return lines.length === 0
    ? []
    : [...lines, "To copy them as they are now, run with --restart when nobody writes to the month."];
}

function figures(report: BackfillReport): string[] {
  if (report.outcome === "nothing-to-do" || report.outcome === "already-finished") return [];
  const seconds = report.durationMs / 1000;
  const perSecond = (amount: number): number => (seconds > 0 ? amount / seconds : 0);
  const rows: readonly (readonly [string, string])[] = [
    ...copiedRows(report),
    ["Events inserted", formatCount(report.eventsInserted)],
    ["Traces loaded", formatCount(report.tracesLoaded)],
    ["Observations whose trace was not found", formatCount(report.observationsWithoutTrace)],
    ["Retries", formatCount(report.retries)],
    ...exceptions(report),
    [
      report.outcome === "dry-run" ? "Duration, without inserts" : "Duration",
      formatDuration(report.durationMs),
    ],
    [rateLabel(report), formatRowRate(perSecond(report.phases.reduce((sum, { rows }) => sum + rows, 0)))],
    ["Data per second", formatByteRate(perSecond(report.bytesRead))],
  ];
  const labelWidth = Math.max(...rows.map(([label]) => label.length));
  const valueWidth = Math.max(...rows.map(([, value]) => value.length));
  return rows.map(([label, value]) => `  ${label.padEnd(labelWidth)}  ${value.padStart(valueWidth)}`);
}

/** What each phase read; what it left to another phase, where it did. */
function copiedRows({ phases }: BackfillReport): (readonly [string, string])[] {
  return phases.flatMap(({ phase, rows, leftOut, superseded }) => [
    [READ_ROWS[phase], formatCount(rows)] as const,
    ...(leftOut > 0 ? [[`${INDENT}left to the experiments`, formatCount(leftOut)] as const] : []),
    ...(superseded > 0 ? [[`${INDENT}replaced by newer versions`, formatCount(superseded)] as const] : []),
  ]);
}

const INDENT = "  ";
const READ_ROWS = {
  roots: "Traces read",
  observations: "Observations read",
  experiments: "Rows of dataset runs read",
} as const satisfies Readonly<Record<PhaseName, string>>;

/** A run of one phase keeps the name that people's scripts know. */
function rateLabel({ phases }: BackfillReport): string {
  return phases.length > 1 || phases[0]?.phase !== "observations"
    ? "Rows per second"
    : "Observations per second";
}

/** What most runs have nothing of. */
function exceptions(report: BackfillReport): (readonly [string, string])[] {
  const rows: [string, string][] = [];
  if (report.rowsSkipped > 0) rows.push(["Rows skipped", formatCount(report.rowsSkipped)]);
  if (report.batchesHalved > 0) rows.push(["Batches halved", formatCount(report.batchesHalved)]);
  if (report.lateRows > 0) rows.push(["Rows written too late", formatCount(report.lateRows)]);
  if (report.rewrittenRows > 0) rows.push(["Rows written again", formatCount(report.rewrittenRows)]);
  if (report.waitedMs > 0) rows.push(["Time waited for merges", formatDuration(report.waitedMs)]);
  return rows;
}
