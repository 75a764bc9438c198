import type { MonthOutcome } from "../run/events.ts";
import type { BackfillReport } from "../run/report.ts";
import { insertedRows } from "../run/run-progress.ts";

/** How a month went. */
export interface MonthResult {
  readonly partition: string;
  readonly outcome: MonthOutcome;
  /** Null where the month failed or was stopped. */
  readonly report: BackfillReport | null;
  /** Why it failed; null: it did not. */
  readonly error: string | null;
  readonly durationMs: number;
}

/** What the JSON says besides the months. */
export interface JsonSubject {
  readonly tables: { readonly source: string; readonly traces: string; readonly target: string };
  readonly database: string;
  readonly server: string;
  readonly version: string;
}

/**
 * The final report as a JSON value: on stdout with `--log-format json`, and in `--summary-file`. Names are documented and stay as they
 * are.
 */
export function reportJson(
  results: readonly MonthResult[],
  notBegun: readonly string[],
  subject: JsonSubject,
): unknown {
  const reports = results.flatMap(({ report }) => report ?? []);
  const sum = (count: (report: BackfillReport) => number): number =>
    reports.reduce((total, report) => total + count(report), 0);
  return {
    version: subject.version,
    server: subject.server,
    database: subject.database,
    tables: subject.tables,
    outcome: notBegun.length === 0 && results.every(({ report }) => report !== null) ? "done" : "failed",
    months: results.map(monthJson),
    not_begun: notBegun,
    totals: {
      observations_read: sum(({ observationsRead }) => observationsRead),
      events_inserted: sum(({ eventsInserted }) => eventsInserted),
      rows_skipped: sum(({ rowsSkipped }) => rowsSkipped),
      retries: sum(({ retries }) => retries),
      seconds: results.reduce((total, { durationMs }) => total + durationMs, 0) / 1000,
    },
  };
}

function monthJson({ partition, outcome, report, error, durationMs }: MonthResult): unknown {
  return {
    month: partition,
    outcome,
    error,
    seconds: durationMs / 1000,
    ...(report === null ? {} : figures(report)),
  };
}

function figures(report: BackfillReport): object {
  return {
    phases: report.phases.map((phase) => ({
      phase: phase.phase,
      rows_read: phase.rows,
      rows_inserted: report.outcome === "done" ? insertedRows(phase) : 0,
      rows_left_to_experiments: phase.leftOut,
      rows_superseded: phase.superseded,
      rows_skipped: phase.skipped,
      rows_without_trace: phase.withoutTrace,
    })),
    observations_read: report.observationsRead,
    events_inserted: report.eventsInserted,
    traces_loaded: report.tracesLoaded,
    observations_without_trace: report.observationsWithoutTrace,
    rows_skipped: report.rowsSkipped,
    retries: report.retries,
    batches_halved: report.batchesHalved,
    waited_seconds: report.waitedMs / 1000,
    late_rows: report.lateRows,
    rewritten_rows: report.rewrittenRows,
    bytes_read: report.bytesRead,
    warnings: report.warnings,
  };
}
