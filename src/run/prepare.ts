import type { Server } from "../clickhouse/server.ts";
import { parsesJsonByDefault } from "../clickhouse/settings/json-parsing.ts";
import type { SettingsOfUser } from "../clickhouse/settings/server-settings.ts";
import { statementSettings, withPreferred } from "../clickhouse/settings/statement-settings.ts";
import { qualifiedTable } from "../clickhouse/sql.ts";
import type { ResolvedMapping } from "../mapping/resolve-mapping.ts";
import { averageRowBytes, type PlanScope } from "../plan/pages.ts";
import type { WorkerSetup } from "../threads/worker-protocol.ts";
import { connect } from "./preflight/connect.ts";
import { preflight } from "./preflight/preflight.ts";
import type { RunContext } from "./run-context.ts";
import { readServerClock, type ServerClock } from "./server-clock.ts";

/** A run whose server and tables are checked. */
export interface PreparedRun {
  readonly scope: PlanScope;
  readonly mapping: ResolvedMapping;
  readonly clock: ServerClock;
  /** What the final report repeats. */
  readonly warnings: readonly string[];
  /** Returns what the workers are set up with. Rejects with an OperationError. */
  readonly workerSetup: () => Promise<WorkerSetup>;
}

/** Rows of a block of traces, whose rows are small. */
const TRACE_BLOCK_ROWS = 16_384;
/** What blocks of pages should be, at most. Servers give no less than a granule: up to 10 MiB by default. */
const BLOCK_BYTES = 2 * 2 ** 20;

/** Connects, and checks everything that would spoil the run. Rejects with a RunError that lists every problem. */
export async function prepare(server: Server, context: RunContext): Promise<PreparedRun> {
  const { options, retry, emit, progress } = context;
  const { connection, tables, partition, streamBlockSizeRows } = options;
  const userSettings = await connectAndReport(server, context);
  const { mapping, warnings, ...target } = await preflight(server, options, retry, {
    onWarning: (message) => emit({ kind: "warning", message }),
    onWait: (notice) => progress.wait(notice),
  });
  const clock = await readServerClock(server, retry);
  const scope: PlanScope = {
    server,
    table: qualifiedTable(connection.database, tables.source),
    partition,
    pageRows: streamBlockSizeRows,
    retry,
  };
  const workerSetup = async (): Promise<WorkerSetup> => ({
    ...copySettings(context),
    mapping,
    settings: await settingsOfReads(context, scope, userSettings),
    takesJsonPaths: target.takesJsonPaths && parsesJsonByDefault(userSettings),
    targetHasViews: target.targetHasViews,
    timeZone: clock.timeZone,
  });
  return { scope, mapping, clock, warnings, workerSetup };
}

/** Connects and emits the server's version. Rejects with a RunError that says what to check. */
export async function connectAndReport(
  server: Server,
  { options, retry, emit }: RunContext,
): Promise<SettingsOfUser> {
  const { serverVersion, userSettings } = await connect(server, options, retry);
  emit({ kind: "connected", serverVersion, url: options.connection.url });
  return userSettings;
}

async function settingsOfReads(
  { options }: RunContext,
  scope: PlanScope,
  userSettings: SettingsOfUser,
): Promise<WorkerSetup["settings"]> {
  const { connection, tables, batchSizeRows, insertRows } = options;
  const rowBytes = await averageRowBytes(scope, connection.database, tables.source);
  return withPreferred(statementSettings(userSettings), userSettings, {
    pageRead: blockRows(batchSizeRows, rowBytes),
    traceRead: TRACE_BLOCK_ROWS,
    insert: Math.max(insertRows, batchSizeRows),
    compression: connection.compression ?? "none",
  });
}

/** Returns the rows that a block may have: a batch's, or fewer where rows are large. */
function blockRows(batchRows: number, rowBytes: number | null): number {
  return rowBytes === null ? batchRows : Math.min(batchRows, Math.max(1, Math.round(BLOCK_BYTES / rowBytes)));
}

/** Returns the part of a worker's setup that follows from the options alone. */
function copySettings({
  id,
  options,
  rejectedRows,
}: RunContext): Omit<WorkerSetup, "mapping" | "settings" | "takesJsonPaths" | "targetHasViews" | "timeZone"> {
  const { connection, tables, partition, batchSizeRows, insertRows, dryRun, maxRetries, maxWaitMs } = options;
  const { database } = connection;
  return {
    connection,
    source: qualifiedTable(database, tables.source),
    target: qualifiedTable(database, tables.target),
    partition,
    traceScope: {
      table: qualifiedTable(database, tables.traces),
      partition,
      windowDays: options.traceWindowDays,
    },
    batchRows: batchSizeRows,
    insertRows,
    dryRun,
    maxRetries,
    maxWaitMs,
    skipBadRows: rejectedRows !== null,
    runId: id,
    recordsQueries: options.recordsQueries ?? false,
  };
}
