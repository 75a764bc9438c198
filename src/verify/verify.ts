import { randomUUID } from "node:crypto";
import type { Condition } from "../clickhouse/key-range-sql.ts";
import type { WaitNotice } from "../clickhouse/merge-wait.ts";
import type { RetryPolicy } from "../clickhouse/retry.ts";
import { Server } from "../clickhouse/server.ts";
import { ENRICHMENT_SETTINGS } from "../clickhouse/settings/preferred-settings.ts";
import type { SettingsOfUser } from "../clickhouse/settings/server-settings.ts";
import { preferredSettings } from "../clickhouse/settings/statement-settings.ts";
import { qualifiedTable } from "../clickhouse/sql.ts";
import { RunError } from "../errors.ts";
import { hasJson, JSON_COLUMN } from "../mapping/enrichment-sql.ts";
import { LAYOUTS, type Layout, type LayoutName } from "../mapping/layouts.ts";
import { jsonColumnType, type ResolvedMapping } from "../mapping/resolve-mapping.ts";
import type { TableColumn } from "../mapping/table-shape.ts";
import { type KeyRange, WHOLE_KEY_SPACE } from "../plan/key-range.ts";
import { MONTHLY_PHASES } from "../plan/phases.ts";
import { PHASE_KEYS } from "../plan/source-key.ts";
import type { BackfillOptions } from "../run/backfill-options.ts";
import type { BackfillEvent } from "../run/events.ts";
import { inParallel } from "../run/in-parallel.ts";
import { chooseLayout } from "../run/preflight/choose-layout.ts";
import { connect } from "../run/preflight/connect.ts";
import { readEngines } from "../run/preflight/engines.ts";
import { castsJsonLikeData, jsonReadingSettings } from "../run/preflight/json-cast.ts";
import { type CheckedTables, preflight } from "../run/preflight/preflight.ts";
import { describeTable } from "../run/preflight/tables.ts";
import { asRunError } from "../run/run-error.ts";
import type { CellKey } from "./cell.ts";
import { Cells, groupCells } from "./cells.ts";
import { type ComparedColumn, KEY_COLUMNS } from "./compared-rows.ts";
import { type ComparisonLedger, NO_COMPARISON_LEDGER } from "./comparison-ledger.ts";
import { isFixedValue, readDefaults } from "./defaults.ts";
import { type DifferenceOptions, findDifferences } from "./differences.ts";
import { type DifferingRange, dayMicrosOf } from "./differing-range.ts";
import { compareExperiments } from "./experiments.ts";
import { Findings, type FoundDifferences } from "./findings.ts";
import { addFingerprints, addFingerprintsOf, fingerprintSql } from "./fingerprints.ts";
import type { VerifiedExperiments, VerifiedPhase, VerifyScope } from "./scope.ts";

/** What a verification compares, and how. */
export interface VerifyOptions {
  /** The tables, the month and the layout, as of a run. */
  readonly backfill: BackfillOptions;
  /** Compare keys and versions alone. */
  readonly quick: boolean;
  /** Count rows separately that Langfuse has written since. */
  readonly ignoreNewer: boolean;
  /** The most examples of a kind of difference. */
  readonly examples: number;
  /** Compare these parts of the month alone; null: all of it. */
  readonly only: readonly DifferingRange[] | null;
  /** Keeps how far the comparison of all is, for a later one to go on; nothing is kept where it is not given. */
  readonly ledger?: ComparisonLedger;
}

/** A column of the target that is not compared, and why. */
export interface LeftOutColumn {
  readonly name: string;
  readonly reason: string;
}

/** What a verification found. */
export interface VerifyResult extends FoundDifferences {
  readonly layout: LayoutName;
  /** Rows that the sources call for, and that the target holds. */
  readonly expectedRows: number;
  readonly actualRows: number;
  /** Ranges in which both sides were read. */
  readonly ranges: number;
  readonly columns: readonly string[];
  readonly leftOut: readonly LeftOutColumn[];
  readonly durationMs: number;
}

/** Rows that a query reads, about: its join holds the traces that they name. */
const QUERY_ROWS = 1_000_000;
/** Rows among which a query looks for those that differ. */
const GROUP_ROWS = 500_000;

/**
 * Compares what the sources call for with what the target holds of a month, in every column that a run fills; reads only. First come
 * fingerprints of both sides, by project and day; then, where these differ, the rows. Rejects with a RunError when the comparison
 * fails, and with the signal's reason when it is stopped.
 */
export async function verify(
  options: VerifyOptions,
  emit: (event: BackfillEvent) => void,
  stop: AbortSignal,
): Promise<VerifyResult> {
  const { connection, maxRetries } = options.backfill;
  const retry: RetryPolicy = {
    maxRetries,
    onRetry: (notice) => emit({ kind: "retry", ...notice }),
    signal: stop,
  };
  const server = new Server(connection, {
    queryIdPrefix: randomUUID().slice(0, 8),
    observer: { onQuiet: (quiet) => emit({ kind: "quiet", ...quiet }) },
  });
  try {
    return await compare(server, options, emit, retry);
  } catch (error) {
    stop.throwIfAborted();
    throw asRunError(error);
  } finally {
    server.close();
  }
}

async function compare(
  server: Server,
  options: VerifyOptions,
  emit: (event: BackfillEvent) => void,
  retry: RetryPolicy,
): Promise<VerifyResult> {
  const startedMs = performance.now();
  // Nothing is written: what forbids an INSERT is of no concern.
  const reading = { ...options.backfill, dryRun: true };
  const { serverVersion, userSettings } = await connect(server, reading, retry);
  emit({ kind: "connected", serverVersion, url: reading.connection.url });
  const layout = await chooseLayout(server, reading, retry);
  emit({ kind: "notice", message: `Layout ${layout.name}: ${layout.reason}` });
  const listener = {
    onWarning: (message: string) => emit({ kind: "warning", message }),
    onNotice: (message: string) => emit({ kind: "notice", message }),
    onWait: (notice: WaitNotice) => emit({ kind: "wait", ...notice }),
  } as const;
  const checked = await preflight(server, reading, LAYOUTS[layout.name], retry, listener, "compare");
  const progress = new VerifyProgress(emit);
  const { scope, leftOut } = await scopeOf(
    server,
    options,
    { checked, layout: LAYOUTS[layout.name], userSettings },
    retry,
    progress,
  );
  const cells = new Cells();
  const { ledger = NO_COMPARISON_LEDGER } = options;
  const subject = subjectOf(options, layout.name, scope);
  const only = cellsOf(options.only);
  const ranges =
    only === null
      ? await addFingerprints(scope, cells, { ledger, subject }, (rows) => progress.plan(rows))
      : await addFingerprintsOf(scope, cells, only);
  const groups = groupCells(cells, cells.differing(), GROUP_ROWS);
  if (groups.length > 0) emit({ kind: "notice", message: "Looking for the rows that differ" });
  progress.plan(groups.reduce((sum, { rows }) => sum + rows, 0));
  const differences: DifferenceOptions = { ...options, sources: LAYOUTS[layout.name].sources };
  const found = new Findings(options.examples);
  await inParallel(groups, scope.parallelQueries, async (group) => {
    found.add(await findDifferences(scope, group, differences));
    progress.add(group.rows);
  });
  const ofExperiments = await compareExperiments(scope, differences, found, tracesOf(options.only));
  const expectedRows = cells.rows("expected") + ofExperiments.expectedRows;
  const actualRows = cells.rows("actual") + ofExperiments.actualRows;
  if (expectedRows + actualRows === 0 && options.only === null) {
    throw new RunError(
      `Nothing was compared: neither the sources nor ${reading.tables.target} hold rows of partition ${reading.partition}`,
    );
  }
  ledger.finish();
  return {
    layout: layout.name,
    expectedRows,
    actualRows,
    ranges: ranges + ofExperiments.pages,
    columns: [...scope.columns, ...(scope.experiments?.columns ?? [])].map(({ name }) => name),
    leftOut,
    ...found.result(),
    durationMs: performance.now() - startedMs,
  };
}

/** What is compared, as text: a comparison of anything else cannot be continued. */
function subjectOf({ backfill, quick }: VerifyOptions, layout: LayoutName, scope: VerifyScope): string {
  const { connection, tables, traceWindowDays, datasetRunItemsTable } = backfill;
  return JSON.stringify({
    server: connection.url,
    database: connection.database,
    tables,
    items: scope.experiments === null ? null : datasetRunItemsTable,
    traceWindowDays,
    layout,
    quick,
    columns: scope.columns,
    fingerprint: fingerprintSql(scope.columns),
  });
}

function cellsOf(only: VerifyOptions["only"]): CellKey[] | null {
  if (only === null) return null;
  return only.flatMap((range) =>
    range.phase === "month" ? [{ projectHex: range.projectHex, dayMicros: dayMicrosOf(range.day) }] : [],
  );
}

function tracesOf(only: VerifyOptions["only"]): KeyRange[] {
  if (only === null) return [WHOLE_KEY_SPACE];
  return only.flatMap((range) => (range.phase === "experiments" ? [range.range] : []));
}

/** Rows that were compared, of those planned. */
class VerifyProgress {
  readonly #emit: (event: BackfillEvent) => void;
  #rows = 0;
  #totalRows = 0;

  constructor(emit: (event: BackfillEvent) => void) {
    this.#emit = emit;
  }

  plan(rows: number): void {
    this.#totalRows += rows;
    if (rows > 0) this.add(0);
  }

  add(rows: number): void {
    this.#rows += rows;
    if (this.#totalRows === 0) return;
    this.#emit({ kind: "compared", rows: this.#rows, totalRows: Math.max(this.#rows, this.#totalRows) });
  }
}

/** What the server and its tables are. */
interface VerifyBasis {
  readonly checked: CheckedTables;
  readonly layout: Layout;
  readonly userSettings: SettingsOfUser;
}

async function scopeOf(
  server: Server,
  { backfill, quick }: VerifyOptions,
  { checked, layout, userSettings }: VerifyBasis,
  retry: RetryPolicy,
  progress: VerifyProgress,
): Promise<{ scope: VerifyScope; leftOut: LeftOutColumn[] }> {
  const { connection, tables, partition, traceWindowDays, parallelWorkers, datasetRunItemsTable } = backfill;
  const { database } = connection;
  const shape = await describeTable(server, database, tables.target, retry);
  if (!("columns" in shape)) throw new RunError(shape.problem);
  const names = {
    source: qualifiedTable(database, tables.source),
    traces: qualifiedTable(database, tables.traces),
    items: qualifiedTable(database, datasetRunItemsTable),
  };
  const phases = MONTHLY_PHASES.flatMap((phase): VerifiedPhase[] => {
    const mapping = phase === "roots" ? checked.roots : checked.mapping;
    if (mapping === null) return [];
    const table = phase === "roots" ? names.traces : names.source;
    return [
      {
        mapping,
        enrichment: {
          phase,
          tables: names,
          partition,
          window: { partition, windowDays: traceWindowDays },
          datasetRunItems: checked.experiments === null ? null : names.items,
        },
        plan: { server, table, key: PHASE_KEYS[phase], partition, pageRows: QUERY_ROWS, retry },
      },
    ];
  });
  const experiments = experimentsOf(checked, names, shape.columns, quick);
  const { columns, leftOut } = comparedColumns(
    { columns: shape.columns, defaults: await readDefaults(server, database, tables.target, retry) },
    phases,
    experiments,
    { quick, lacking: (name) => lackingTables(layout, tables, name) },
  );
  const [jsonType] = phases.flatMap(({ mapping }) => jsonColumnType(mapping.derived) ?? []);
  if (jsonType !== undefined && !quick && !(await castsJsonLikeData(server, jsonType, retry))) {
    throw new RunError(
      `${tables.target}: text does not become JSON in a SELECT as it does in an INSERT, so that the column ${JSON_COLUMN} cannot be compared\nThat takes ClickHouse 26.3 or later, and a user who may change settings (readonly 0 or 2). --quick compares keys and versions alone.`,
    );
  }
  const scope: VerifyScope = {
    server,
    retry,
    partition,
    phases,
    experiments,
    target: qualifiedTable(database, tables.target),
    inMonth: await monthCondition(server, backfill, retry),
    columns,
    settings: {
      ...preferredSettings(userSettings, { ...ENRICHMENT_SETTINGS, ...checked.consistentReads }),
      ...(phases.some(({ mapping }) => hasJson(mapping)) && !quick ? jsonReadingSettings(server) : {}),
    },
    queryRows: QUERY_ROWS,
    parallelQueries: parallelWorkers,
    onRows: (rows) => progress.add(rows),
  };
  return { scope, leftOut };
}

/** The columns of a target, and their DEFAULT expressions. */
interface TargetColumns {
  readonly columns: readonly TableColumn[];
  readonly defaults: ReadonlyMap<string, string>;
}

/** `lacking`: the tables that lack what a column comes from. */
interface Selection {
  readonly quick: boolean;
  readonly lacking: (name: string) => readonly string[];
}

function comparedColumns(
  target: TargetColumns,
  phases: readonly VerifiedPhase[],
  experiments: VerifiedExperiments | null,
  { quick, lacking }: Selection,
): { columns: ComparedColumn[]; leftOut: LeftOutColumn[] } {
  const filled = phases.map(({ mapping }) => new Set(filledBy(mapping)));
  const ofExperiments = new Set(experiments?.columns.map(({ name }) => name));
  const columns: ComparedColumn[] = [];
  const leftOut: LeftOutColumn[] = [];
  for (const { name, type, isComputed } of target.columns) {
    const fillers = filled.filter((names) => names.has(name)).length;
    const defaultSql = fillers < filled.length ? target.defaults.get(name) : undefined;
    if (fillers === 0) {
      const tables = lacking(name);
      if (isComputed) leftOut.push({ name, reason: "the server computes it" });
      else if (tables.length > 0)
        leftOut.push({ name, reason: `no column of ${tables.join(" or ")} fills it` });
      else if (!ofExperiments.has(name))
        leftOut.push({ name, reason: "no phase that was compared fills it" });
    } else if (quick && !IDENTIFYING.includes(name)) leftOut.push({ name, reason: "--quick" });
    else if (defaultSql === undefined) columns.push({ name, type });
    else if (isFixedValue(defaultSql)) columns.push({ name, type, defaultSql });
    else leftOut.push({ name, reason: `some rows have its DEFAULT ${defaultSql}, which has no fixed value` });
  }
  return { columns, leftOut };
}

/** The tables that would fill a column of the target, and have no column for it. */
function lackingTables(
  { observations, roots }: Layout,
  tables: BackfillOptions["tables"],
  name: string,
): string[] {
  return [observations, ...(roots === null ? [] : [roots])].flatMap((kind) => {
    const column = kind.columns.find((mapped) => mapped.name === name);
    return column?.source.from === "source" ? [tables[kind.table]] : [];
  });
}

const IDENTIFYING: readonly string[] = [...KEY_COLUMNS, "event_ts"];

function filledBy({ copied, derived }: ResolvedMapping): string[] {
  return [...copied.map(({ name }) => name), ...derived.map(({ column }) => column.name)];
}

function experimentsOf(
  { experiments }: CheckedTables,
  tables: VerifiedExperiments["tables"],
  target: readonly TableColumn[],
  quick: boolean,
): VerifiedExperiments | null {
  if (experiments === null) return null;
  const { itemColumns, hasParents, observations } = experiments;
  const names = observations.derived.flatMap(({ column }) =>
    column.source.from === "experiment" ? [column.name] : [],
  );
  const columns = quick ? [] : target.filter(({ name }) => names.includes(name));
  return { tables, itemColumns, hasParents, columns };
}

/** Months are partitions of the target, mostly; a part of another partition key is found by the time. */
async function monthCondition(
  server: Server,
  { connection: { database }, tables: { target }, partition }: BackfillOptions,
  retry: RetryPolicy,
): Promise<Condition> {
  const facts = (await readEngines(server, database, [target], retry)).get(target);
  if (facts?.sortingKey === "") {
    throw new RunError(`${target}: the engine ${facts.engine} keeps no rows: there is nothing to compare`);
  }
  return facts?.partitionKey === "toYYYYMM(start_time)"
    ? { sql: "t._partition_id = {month:String}", params: { month: partition } }
    : { sql: "toYYYYMM(t.start_time) = {month:UInt32}", params: { month: partition } };
}
