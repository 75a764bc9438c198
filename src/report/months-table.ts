import { formatCount, formatDuration } from "./format.ts";
import type { MonthResult } from "./report-json.ts";
import { renderTable } from "./table.ts";

/** What the table says of a month that was not copied to its end. */
const OUTCOMES = {
  done: "done",
  "dry-run": "dry run",
  "nothing-to-do": "no observations",
  "already-finished": "finished before",
  failed: "failed",
  stopped: "stopped",
} as const;

/** The table at the end of a run of several months, newline included. */
export function renderMonthsTable(results: readonly MonthResult[], notBegun: readonly string[]): string {
  const rows = results.map(({ partition, outcome, report, durationMs }) => [
    partition,
    OUTCOMES[outcome],
    report === null ? "" : formatCount(report.phases.reduce((sum, { rows }) => sum + rows, 0)),
    report === null ? "" : formatCount(report.eventsInserted),
    report === null ? "" : formatCount(report.retries),
    formatDuration(durationMs),
  ]);
  const left = notBegun.map((partition) => [partition, "not begun", "", "", "", ""]);
  const head = ["Month", "Outcome", "Rows read", "Rows inserted", "Retries", "Duration"];
  const table = renderTable([head, ...rows, ...left], [2, 3, 4, 5]);
  return `${table.join("\n")}\n`;
}
