import type { RetryPolicy } from "../clickhouse/retry.ts";
import { Server } from "../clickhouse/server.ts";
import { qualifiedTable } from "../clickhouse/sql.ts";
import { RunError } from "../errors.ts";
import { hasJson } from "../mapping/enrichment-sql.ts";
import { LAYOUTS } from "../mapping/layouts.ts";
import { PHASE_KEYS } from "../plan/source-key.ts";
import type { BackfillOptions } from "../run/backfill-options.ts";
import { chooseLayout } from "../run/preflight/choose-layout.ts";
import { connect } from "../run/preflight/connect.ts";
import { checkTables } from "../run/preflight/preflight.ts";
import { describeRowPolicy, rowPolicies } from "../run/preflight/row-policies.ts";
import { asRunError } from "../run/run-error.ts";
import { estimateMemory, estimateSpeed, type Speed, windowRowsOf } from "./estimate.ts";
import { type ColumnPlan, largestProjects, type ProjectSize, planColumns } from "./month-details.ts";
import { type MonthSize, monthSizes } from "./month-sizes.ts";
import { probeReading, sampleTraces } from "./probe.ts";
import { type ServerRoom, serverRoom } from "./room.ts";

/** What is to be forecast. */
export interface ForecastOptions {
  /** Of the runs to come; the partition is that of no month. */
  readonly backfill: BackfillOptions;
  /** The months; null: all that there are. */
  readonly months: readonly string[] | null;
  /** Speeds of earlier runs into the same target, in rows a second. */
  readonly records: readonly number[];
}

/** What lies ahead of one month. */
export interface MonthForecast extends MonthSize {
  /** Null: not known. */
  readonly seconds: number | null;
  /** Of this program. */
  readonly memoryBytes: number;
  /** What the month adds to the target on the server's disks; null: not known. */
  readonly diskBytes: number | null;
}

/** What lies ahead. */
export interface Forecast {
  readonly serverVersion: string;
  readonly layout: { readonly name: string; readonly reason: string };
  /** The newest first. */
  readonly months: readonly MonthForecast[];
  readonly speed: Speed | null;
  readonly room: ServerRoom;
  /** What a run would warn of. */
  readonly warnings: readonly string[];
  /** Of a single month; null where there are several. */
  readonly details: MonthDetails | null;
}

/** What is said of a month that is looked at by itself. */
export interface MonthDetails {
  readonly columns: ColumnPlan;
  readonly pages: number;
  readonly projects: readonly ProjectSize[];
  readonly engine: { readonly name: "client" | "server"; readonly reason: string };
}

/** A month of fewer rows says little of how fast reading is. */
const MIN_PROBE_ROWS = 50_000;

/**
 * Looks at the tables, reads a page and a few traces, and says what lies ahead; reads only. Rejects with a RunError when that fails, or
 * when a run would be refused, and with the signal's reason.
 */
export async function forecast(options: ForecastOptions, retry: RetryPolicy): Promise<Forecast> {
  const server = new Server(options.backfill.connection);
  try {
    return await look(server, options, retry);
  } catch (error) {
    retry.signal.throwIfAborted();
    throw asRunError(error);
  } finally {
    server.close();
  }
}

async function look(server: Server, options: ForecastOptions, retry: RetryPolicy): Promise<Forecast> {
  // What forbids an INSERT is of no concern to who only reads.
  const reading = { ...options.backfill, dryRun: true };
  const { serverVersion } = await connect(server, reading, retry);
  const layout = await chooseLayout(server, reading, retry);
  const sizes = await monthSizes(server, reading, retry);
  const chosen = chooseMonths(sizes, options);
  const [first] = chosen;
  const backfill = { ...reading, partition: first?.partition ?? options.months?.[0] ?? "" };
  const warnings: string[] = [];
  const listener = { onWarning: (message: string) => void warnings.push(message), onNotice: () => {} };
  const checked = await checkTables(server, backfill, retry, listener, LAYOUTS[layout.name]);
  const { connection, tables } = backfill;
  const policies = await rowPolicies(server, connection.database, [tables.source, tables.traces], retry);
  warnings.push(...policies.map(describeRowPolicy));
  const room = await serverRoom(server, backfill, retry);

  const probed = monthToProbe(chosen);
  const scope = {
    server,
    table: qualifiedTable(connection.database, tables.source),
    key: PHASE_KEYS.observations,
    partition: probed,
    pageRows: backfill.streamBlockSizeRows,
    retry,
  };
  const readingSpeed =
    probed === "" ? null : await probeReading(scope, checked.mapping, backfill.parallelWorkers, retry);
  const cost = { hasJsonColumn: hasJson(checked.mapping), hasTextIndexes: room.hasTextIndexes };
  const speed = estimateSpeed(options.records, readingSpeed, cost);
  const traceScope = {
    table: qualifiedTable(connection.database, tables.traces),
    window: { partition: probed, windowDays: backfill.traceWindowDays },
  };
  const sample =
    probed === ""
      ? { windowRows: 0, plannedRows: 0, records: 0, bytes: 0 }
      : await sampleTraces(server, traceScope, checked.mapping, retry);
  const diskPerRow = targetBytesPerRow(sizes);
  const load = {
    pipelines: backfill.parallelWorkers,
    batchRows: backfill.batchSizeRows,
    rowBytes: readingSpeed === null ? null : readingSpeed.bytes / readingSpeed.rows,
  };
  const months = chosen.map((size): MonthForecast => {
    const { observations, traces, partition } = size;
    const rows = observations.rows + (checked.roots === null ? 0 : traces.rows);
    const windowRows =
      partition === probed ? sample.windowRows : windowRowsOf(traces.rows, backfill.traceWindowDays);
    return {
      ...size,
      seconds: speed === null ? null : rows / speed.rowsPerSecond,
      memoryBytes: estimateMemory(windowRows, sample, load),
      diskBytes: diskPerRow === null ? null : rows * diskPerRow,
    };
  });
  const isSingle = options.months?.length === 1;
  const mappings = [checked.mapping, ...(checked.roots === null ? [] : [checked.roots])];
  const details: MonthDetails | null = !isSingle
    ? null
    : {
        columns: await planColumns(server, backfill, layout.name, mappings, retry),
        pages: Math.ceil((first?.observations.rows ?? 0) / backfill.streamBlockSizeRows),
        projects: await largestProjects(server, backfill, retry),
        engine: adviseEngine(cost, readingSpeed?.bytes ?? 0, readingSpeed?.seconds ?? 0),
      };
  return { serverVersion, layout, months, speed, room, warnings, details };
}

function chooseMonths(sizes: readonly MonthSize[], { months, backfill }: ForecastOptions): MonthSize[] {
  if (months === null) return [...sizes];
  const known = new Map(sizes.map((size) => [size.partition, size]));
  const chosen = months.flatMap((month) => known.get(month) ?? []).reverse();
  if (chosen.length === 0) {
    const has = sizes.slice(0, 12).map(({ partition }) => partition);
    throw new RunError(
      `${backfill.tables.source} has no observations of ${months.join(", ")}\n${
        has.length === 0 ? "It is empty." : `It has these months: ${has.join(", ")}.`
      }`,
    );
  }
  return chosen;
}

/** The smallest month that says enough, so that the forecast takes seconds; the largest where none does. */
function monthToProbe(months: readonly MonthSize[]): string {
  const bySize = months
    .filter(({ observations }) => observations.rows > 0)
    .sort((a, b) => a.observations.rows - b.observations.rows);
  return (
    (bySize.find(({ observations }) => observations.rows >= MIN_PROBE_ROWS) ?? bySize.at(-1))?.partition ?? ""
  );
}

/** What a row takes in the target on disk; the source's rows are what is known before there are any. */
function targetBytesPerRow(sizes: readonly MonthSize[]): number | null {
  for (const side of ["target", "observations"] as const) {
    const rows = sizes.reduce((sum, size) => sum + size[side].rows, 0);
    const bytes = sizes.reduce((sum, size) => sum + (size[side].diskBytes ?? 0), 0);
    if (rows > 0 && bytes > 0) return bytes / rows;
  }
  return null;
}

/** Below this the network, and not the server, is what a run would wait for. */
const SLOW_BYTES_PER_SECOND = 20e6;
/** Less is read in a moment, most of which is the query's own. */
const MIN_BYTES_OF_SPEED = 20e6;

function adviseEngine(
  { hasJsonColumn }: { readonly hasJsonColumn: boolean },
  bytes: number,
  seconds: number,
): MonthDetails["engine"] {
  const isSlow = bytes >= MIN_BYTES_OF_SPEED && bytes / seconds < SLOW_BYTES_PER_SECOND;
  if (isSlow) {
    return {
      name: "server",
      reason: `reading moves ${(bytes / seconds / 1e6).toFixed(1)} MB/s: no row leaves the server`,
    };
  }
  return hasJsonColumn
    ? {
        name: "client",
        reason: "the target has a JSON column, which costs the server's SQL more than this program",
      }
    : { name: "client", reason: "the server is near, and is left the work of inserting alone" };
}
