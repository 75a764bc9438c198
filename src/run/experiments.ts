import { isUnknownTable } from "../clickhouse/retry.ts";
import { parseCount, type Server } from "../clickhouse/server.ts";
import { TransportError } from "../clickhouse/server-errors.ts";
import { identifier, qualifiedTable } from "../clickhouse/sql.ts";
import { RunError } from "../errors.ts";
import { planExperimentPages } from "../plan/experiment-pages.ts";
import { withCopySession } from "./copy-session.ts";
import { ARRIVAL_MARGIN_MS } from "./count-verification.ts";
import type { PageLedger } from "./page-ledger.ts";
import type { ExperimentRun, PreparedRun } from "./prepare.ts";
import { refuseIfAllRejected } from "./refuse-if-all-rejected.ts";
import type { UnsettledRows } from "./report.ts";
import type { RunContext } from "./run-context.ts";
import { describeUnsettled } from "./verification-report.ts";

/**
 * The ledger of the experiments where something is left to copy; null where an earlier run has copied them. They are copied again when
 * items came or changed since: the traces that those name are left out of the months. Rejects with an OperationError.
 */
export async function unfinishedExperiments(
  server: Server,
  { options, retry, emit }: RunContext,
  ledger: PageLedger,
): Promise<PageLedger | null> {
  if (!ledger.finished) return ledger;
  const { connection, datasetRunItemsTable } = options;
  const items = qualifiedTable(connection.database, datasetRunItemsTable);
  const sinceMs = ledger.begin(Number.MAX_SAFE_INTEGER) - ARRIVAL_MARGIN_MS;
  const sql = `SELECT count() FROM ${items} AS i WHERE i.event_ts > fromUnixTimestamp64Milli({since:Int64})`;
  const statement = { kind: "count", sql, params: { since: sinceMs } } as const;
  const newer = await server
    .query("Looking for new items of dataset runs", statement, retry, parseCount)
    .catch((error: unknown) => {
      if (isUnknownTable(error)) return 0;
      throw error;
    });
  if (newer === 0) {
    emit({
      kind: "notice",
      message: "The experiments were copied by an earlier run; --restart copies them again",
    });
    return null;
  }
  const message = `${newer} items of dataset runs are newer than the run that copied the experiments: they are copied again`;
  emit({ kind: "notice", message });
  return ledger.reopen();
}

const NOTHING_UNSETTLED: UnsettledRows = { lateRows: 0, rewrittenRows: 0 };

/**
 * Copies the traces that dataset runs name, of all months, and counts the sources to verify that nothing is missing. Throws a RunError
 * where rows are. Rejects with an OperationError, or with the reason of the context's signal.
 */
export async function copyExperiments(
  context: RunContext,
  prepared: PreparedRun,
  ledger: PageLedger,
): Promise<UnsettledRows> {
  const { experiments, clock } = prepared;
  if (experiments === null) return NOTHING_UNSETTLED;
  const { options, progress, emit } = context;
  const pages = await planExperimentPages(experiments.scope, ledger.remaining());
  const planned = pages.reduce((sum, page) => sum + page.plannedRows, 0);
  if (planned === 0 && ledger.done.length === 0) {
    emit({ kind: "notice", message: `${experiments.scope.tables.items} names no traces` });
    return NOTHING_UNSETTLED;
  }
  progress.begin("experiments", planned, ledger.rowsProcessed);
  const readSinceMs = ledger.begin(clock.nowMs());
  const copied =
    pages.length === 0
      ? []
      : await withCopySession(context, prepared, await experiments.setup(), (session) =>
          session.copy({ name: "experiments", ledger }, pages),
        );
  // A dry run verifies only what it has read itself, which is everything unless an earlier run has begun.
  const isWhole = !ledger.isPartial && (!options.dryRun || ledger.done.length === 0);
  const rows = copied.reduce((sum, range) => sum + range.rows, options.dryRun ? 0 : doneRows(ledger));
  const unsettled = isWhole
    ? await verifyExperiments(context, experiments, ledger, rows, readSinceMs)
    : NOTHING_UNSETTLED;
  refuseIfAllRejected(context, ledger);
  if (!options.dryRun) ledger.finishPartition(null, null, null);
  return unsettled;
}

function doneRows({ done }: PageLedger): number {
  return done.reduce((sum, { rows }) => sum + rows, 0);
}

/** Counts the rows of both sources. Where some are missing nothing counts as done: it cannot be said where they are. */
async function verifyExperiments(
  { emit, options }: RunContext,
  { scope: { server, tables, retry }, mapping }: ExperimentRun,
  ledger: PageLedger,
  copiedRows: number,
  readSinceMs: number,
): Promise<UnsettledRows> {
  emit({ kind: "notice", message: "Counting the traces of dataset runs to compare them with what was read" });
  const isCopied = (name: string): boolean => mapping.copied.some((column) => column.name === name);
  const times = ["event_ts", ...["created_at", "updated_at"].filter(isCopied)];
  const named = `(SELECT i.project_id, i.trace_id FROM ${tables.items} AS i FINAL)`;
  const young = (alias: string): string =>
    times
      .map((time) => `${alias}.${identifier(time)} > fromUnixTimestamp64Milli({young:Int64})`)
      .join(" OR ");
  const count = (table: string, alias: string, trace: string): string =>
    `SELECT count() AS row_count, countIf(${young(alias)}) AS young_count
      FROM ${table} AS ${alias} FINAL WHERE (${alias}.project_id, ${trace}) IN ${named}`;
  const sql = `SELECT sum(row_count), sum(young_count)
    FROM (${count(tables.source, "o", "o.trace_id")} UNION ALL ${count(tables.traces, "t", "t.id")})`;
  const params = { young: readSinceMs - ARRIVAL_MARGIN_MS };
  const operation = "Counting the traces of dataset runs";
  const [rows, youngRows] = await server.query(operation, { kind: "count", sql, params }, retry, ([row]) => {
    const [all = Number.NaN, late = Number.NaN] = (row ?? []).map(Number);
    if (!Number.isSafeInteger(all - late)) throw new TransportError("No numbers came back");
    return [all, late] as const;
  });
  const missing = rows - youngRows - copiedRows;
  if (missing > 0) {
    if (!options.dryRun) ledger.keepOnly([]);
    throw new RunError(
      [
        `Comparing the traces of dataset runs with what was read: ${missing} of ${rows} rows are missing`,
        "None of them count as done any more: run the same command again to copy them once more.",
      ].join("\n"),
    );
  }
  emit({ kind: "notice", message: "Nothing of dataset runs is missing" });
  const lateRows = Math.max(0, rows - copiedRows);
  const result = { missing: [], lateRows, rewrittenRows: 0, goneRows: Math.max(0, copiedRows - rows) };
  for (const message of describeUnsettled(tables.items, result)) emit({ kind: "notice", message });
  return { lateRows, rewrittenRows: 0 };
}
