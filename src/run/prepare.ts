import type { QuerySettings, Server } from "../clickhouse/server.ts";
import { parsesJsonByDefault } from "../clickhouse/settings/json-parsing.ts";
import type { SettingsOfUser } from "../clickhouse/settings/server-settings.ts";
import { statementSettings, withPreferred } from "../clickhouse/settings/statement-settings.ts";
import { qualifiedTable } from "../clickhouse/sql.ts";
import { type EnrichmentScope, hasJson } from "../mapping/enrichment-sql.ts";
import { LAYOUTS, type LayoutName } from "../mapping/layouts.ts";
import type { ResolvedMapping } from "../mapping/resolve-mapping.ts";
import type { ExperimentScope, ExperimentTables } from "../plan/experiment-pages.ts";
import { averageRowBytes, type PlanScope } from "../plan/pages.ts";
import { MONTHLY_PHASES, type MonthlyPhase } from "../plan/phases.ts";
import { PHASE_KEYS } from "../plan/source-key.ts";
import type { TraceWindow } from "../plan/trace-window.ts";
import type { TraceSetup, WorkerSetup } from "../threads/worker-protocol.ts";
import type { PageLedger } from "./page-ledger.ts";
import type { PhaseRun } from "./phase-run.ts";
import { connect } from "./preflight/connect.ts";
import { type CheckedTables, preflight } from "./preflight/preflight.ts";
import type { RunContext } from "./run-context.ts";
import { readServerClock, type ServerClock } from "./server-clock.ts";

/** A run whose server and tables are checked. */
export interface PreparedRun {
  readonly server: Server;
  /** In their order. */
  readonly phases: readonly PhaseRun[];
  /** Null: there are no dataset runs. */
  readonly experiments: ExperimentRun | null;
  readonly clock: ServerClock;
  /** What the final report repeats. */
  readonly warnings: readonly string[];
  /** What enriches the rows of a phase of the month. */
  readonly enrichmentOf: (phase: MonthlyPhase) => EnrichmentScope;
  readonly userSettings: SettingsOfUser;
  /** Settings of queries that join the sources on the server. */
  readonly consistentReads: QuerySettings;
  /** Returns what the workers of the monthly phases are set up with. Rejects with an OperationError. */
  readonly monthSetup: () => Promise<WorkerSetup>;
}

/** The experiments phase. */
export interface ExperimentRun {
  readonly scope: ExperimentScope;
  /** Of the observations. */
  readonly mapping: ResolvedMapping;
  /** Returns what its workers are set up with. Rejects with an OperationError. */
  readonly setup: () => Promise<WorkerSetup>;
}

/** Rows of a block of traces, whose rows are small. */
const TRACE_BLOCK_ROWS = 16_384;
/** What blocks of pages should be, at most. Servers give no less than a granule: up to 10 MiB by default. */
const BLOCK_BYTES = 2 * 2 ** 20;

/** What a run is based on, before its tables are checked. */
export interface RunBasis {
  readonly userSettings: SettingsOfUser;
  readonly layout: LayoutName;
  /** Of the phases to run. */
  readonly ledgers: ReadonlyMap<MonthlyPhase, PageLedger>;
}

/** Checks everything that would spoil the run. Rejects with a RunError that lists every problem. */
export async function prepare(
  server: Server,
  context: RunContext,
  { userSettings, layout, ledgers }: RunBasis,
): Promise<PreparedRun> {
  const { options, retry, emit, progress } = context;
  const checked = await preflight(server, options, LAYOUTS[layout], retry, {
    onWarning: (message) => emit({ kind: "warning", message }),
    onNotice: (message) => emit({ kind: "notice", message }),
    onWait: (notice) => progress.wait(notice),
  });
  const clock = await readServerClock(server, retry);
  const phases = MONTHLY_PHASES.flatMap((name): PhaseRun[] => {
    const mapping = name === "roots" ? checked.roots : checked.mapping;
    const ledger = ledgers.get(name);
    return mapping === null || ledger === undefined
      ? []
      : [{ name, scope: scopeOf(server, context, name), mapping, ledger }];
  });
  const items =
    checked.experiments === null
      ? null
      : qualifiedTable(options.connection.database, options.datasetRunItemsTable);
  const common = async (): Promise<CommonSetup> => ({
    ...copySettings(context),
    settings: await settingsOfReads(context, scopeOf(server, context, "observations"), userSettings),
    takesJsonPaths: checked.takesJsonPaths && parsesJsonByDefault(userSettings),
    targetHasViews: checked.targetHasViews,
    timeZone: clock.timeZone,
  });
  const { partition, traceWindowDays } = options;
  const monthSetup = async (): Promise<WorkerSetup> => ({
    ...(await common()),
    phases: Object.fromEntries(
      phases.map(({ name, scope: { table, key }, mapping }) => [
        name,
        { mapping, table, key, areTraces: name === "roots" },
      ]),
    ),
    experiments: null,
    traces: traceSetup(context, checked, { partition, windowDays: traceWindowDays }, items),
  });
  const experiments = items === null ? null : experimentRun(server, context, checked, items, common);
  const { tables, connection } = options;
  const enrichmentOf = (phase: MonthlyPhase): EnrichmentScope => ({
    phase,
    tables: {
      source: qualifiedTable(connection.database, tables.source),
      traces: qualifiedTable(connection.database, tables.traces),
    },
    partition,
    window: { partition, windowDays: traceWindowDays },
    datasetRunItems: items,
  });
  const { warnings, consistentReads } = checked;
  return {
    server,
    phases,
    experiments,
    clock,
    warnings,
    enrichmentOf,
    userSettings,
    consistentReads,
    monthSetup,
  };
}

/** What the workers of all phases are set up with. */
type CommonSetup = Omit<WorkerSetup, "phases" | "experiments" | "traces">;

function experimentRun(
  server: Server,
  context: RunContext,
  checked: CheckedTables,
  items: string,
  common: () => Promise<CommonSetup>,
): ExperimentRun | null {
  const { experiments } = checked;
  if (experiments === null) return null;
  const { options, retry } = context;
  const { connection, tables: names, streamBlockSizeRows } = options;
  const tables: ExperimentTables = {
    items,
    source: qualifiedTable(connection.database, names.source),
    traces: qualifiedTable(connection.database, names.traces),
  };
  return {
    scope: { server, tables, pageRows: streamBlockSizeRows, retry },
    mapping: experiments.observations,
    setup: async () => ({
      ...(await common()),
      phases: {},
      experiments: { ...experiments, tables },
      traces: traceSetup(context, checked, { datasetRunItems: items }, null),
    }),
  };
}

function scopeOf(server: Server, { options, retry }: RunContext, phase: MonthlyPhase): PlanScope {
  const { connection, tables, partition, streamBlockSizeRows, insertRows, engine } = options;
  const isRoots = phase === "roots";
  return {
    server,
    table: qualifiedTable(connection.database, isRoots ? tables.traces : tables.source),
    key: PHASE_KEYS[phase],
    partition,
    // The server copies a page by one statement, which makes one part.
    pageRows: engine === "server" ? insertRows : streamBlockSizeRows,
    retry,
  };
}

/** `leftOut`: the quoted table of dataset runs whose traces are left out; null: there is none. */
function traceSetup(
  { options }: RunContext,
  { mapping }: CheckedTables,
  window: TraceWindow,
  leftOut: string | null,
): TraceSetup {
  return {
    scope: { table: qualifiedTable(options.connection.database, options.tables.traces), window },
    columns: mapping.traceColumns,
    withJson: hasJson(mapping),
    keptJson: mapping.keptJson,
    datasetRunItems: leftOut,
  };
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
  throttler,
}: RunContext): Omit<
  WorkerSetup,
  "phases" | "experiments" | "traces" | "settings" | "takesJsonPaths" | "targetHasViews" | "timeZone"
> {
  const { connection, tables, partition, batchSizeRows, insertRows, dryRun, maxRetries, maxWaitMs } = options;
  const { database } = connection;
  return {
    connection,
    target: qualifiedTable(database, tables.target),
    partition,
    batchRows: batchSizeRows,
    insertRows,
    dryRun,
    maxRetries,
    maxWaitMs,
    skipBadRows: rejectedRows !== null,
    runId: id,
    recordsQueries: options.recordsQueries ?? false,
    rateLimit: throttler.shared,
  };
}
