import { ERROR_CODE, ServerError, TransportError } from "../clickhouse/errors.ts";
import { type RetryPolicy, StepError, withRetry } from "../clickhouse/retry.ts";
import type { Server } from "../clickhouse/server.ts";
import { qualifiedTable } from "../clickhouse/sql.ts";
import { RunError } from "../errors.ts";
import { MappingError, type ResolvedMapping, resolveMapping, type TableShape } from "../mapping/resolve.ts";
import type { BackfillOptions } from "./backfill.ts";

/** The oldest server whose answers this program has been made for. */
const OLDEST_VERSION = [24, 3] as const;
/** The sorting key that pages are cut by, as system.tables writes it. */
const SOURCE_SORTING_KEY = "project_id, type, toDate(start_time), id";
const SOURCE_PARTITION_KEY = "toYYYYMM(start_time)";

/** Connects, and returns the server's version. Throws a RunError that says what to check. */
export async function connect(server: Server, options: BackfillOptions, retry: RetryPolicy): Promise<string> {
  const { url, user, database } = options.connection;
  const ask = async (): Promise<string> => {
    const [row] = await server.allRows({ sql: "SELECT version()" }, retry.signal);
    if (row === undefined) throw new TransportError("The answer to SELECT version() is empty");
    return String(row[0]);
  };
  const version = await withRetry(`Connecting to ${url}`, retry, ask).catch((error: unknown) => {
    throw error instanceof StepError ? connectionError(error.cause, url, user, database) : error;
  });
  const [major, minor] = version.split(".").map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_VERSION;
  const isTooOld =
    major === undefined ||
    minor === undefined ||
    major < oldestMajor ||
    (major === oldestMajor && minor < oldestMinor);
  if (isTooOld) {
    throw new RunError(
      `ClickHouse ${version} at ${url} is too old: ${OLDEST_VERSION.join(".")} or later is needed`,
    );
  }
  return version;
}

function connectionError(error: unknown, url: string, user: string, database: string): RunError {
  if (error instanceof TransportError) {
    return new RunError(
      `No ClickHouse server answers at ${url}\n${error.message}\nCheck that the server runs, that --clickhouse-url names its HTTP port (8123, or 8443 for https), and that no firewall is in between.`,
      { cause: error },
    );
  }
  if (!(error instanceof ServerError)) throw error;
  const isRefused =
    error.code === ERROR_CODE.authenticationFailed || error.httpStatus === 401 || error.httpStatus === 403;
  if (isRefused) {
    return new RunError(
      `ClickHouse at ${url} refuses user ${JSON.stringify(user)}\n${error.message}\nCheck --clickhouse-user and --clickhouse-password.`,
      { cause: error },
    );
  }
  if (error.code === ERROR_CODE.unknownDatabase) {
    return new RunError(
      `ClickHouse at ${url} has no database ${JSON.stringify(database)}\n${error.message}\nCheck --clickhouse-db.`,
      { cause: error },
    );
  }
  return new RunError(`ClickHouse at ${url} cannot be used\n${error.message}`, { cause: error });
}

/**
 * Checks that the tables are there with the columns and types that the mapping needs, and applies the mapping to them.
 * Throws a RunError that lists every problem at once.
 */
export async function checkTables(
  server: Server,
  options: BackfillOptions,
  retry: RetryPolicy,
): Promise<ResolvedMapping> {
  const { tables, connection } = options;
  const names = [tables.source, tables.traces, tables.target];
  const shapes = await Promise.all(names.map((name) => describe(server, connection.database, name, retry)));
  const problems = shapes.flatMap((shape) => (typeof shape === "string" ? [shape] : []));
  const [source, traces, target] = shapes.map((shape, i) =>
    typeof shape === "string" ? { name: names[i] as string, columns: [] } : shape,
  ) as [TableShape, TableShape, TableShape];
  // Columns of a missing table would only repeat that it is missing.
  const missing = names.filter((_, i) => typeof shapes[i] === "string");
  let mapping: ResolvedMapping | null = null;
  try {
    mapping = resolveMapping(source, traces, target);
  } catch (error) {
    if (!(error instanceof MappingError)) throw error;
    problems.push(
      ...error.problems.filter((problem) => !missing.some((name) => problem.startsWith(`${name}: `))),
    );
  }
  if (!missing.includes(tables.source)) {
    problems.push(...(await sourceProblems(server, connection.database, tables.source, retry)));
  }
  if (problems.length === 0 && mapping !== null) return mapping;
  const first =
    missing.length > 0
      ? `Table ${missing.map((name) => JSON.stringify(name)).join(", ")} is missing in database ${JSON.stringify(connection.database)} at ${connection.url}`
      : `The tables in database ${JSON.stringify(connection.database)} at ${connection.url} cannot be used`;
  throw new RunError(
    // Several event columns may lack the same source column.
    [
      first,
      ...new Set(problems),
      "Check --clickhouse-db, --source-table, --traces-table and --target-table.",
    ].join("\n"),
  );
}

/** The columns of a table, or the problem that keeps them from being known. */
async function describe(
  server: Server,
  database: string,
  table: string,
  retry: RetryPolicy,
): Promise<TableShape | string> {
  const sql = `DESCRIBE TABLE ${qualifiedTable(database, table)}`;
  try {
    const rows = await withRetry(`Reading the columns of ${table}`, retry, () =>
      server.allRows({ sql }, retry.signal),
    );
    const columns = rows.map(([name, type, defaultKind]) => ({
      name: String(name),
      type: String(type),
      isComputed: defaultKind === "MATERIALIZED" || defaultKind === "ALIAS",
    }));
    return { name: table, columns };
  } catch (error) {
    const cause = error instanceof StepError ? error.cause : null;
    if (!(cause instanceof ServerError && cause.code === ERROR_CODE.unknownTable)) throw error;
    return `${table}: ${cause.message}`;
  }
}

/** What about the source would make pages or FINAL wrong. */
async function sourceProblems(
  server: Server,
  database: string,
  table: string,
  retry: RetryPolicy,
): Promise<string[]> {
  const sql =
    "SELECT engine, sorting_key, partition_key FROM system.tables WHERE database = {database:String} AND name = {table:String}";
  const [row] = await withRetry(`Reading the keys of ${table}`, retry, () =>
    server.allRows({ sql, params: { database, table } }, retry.signal),
  );
  if (row === undefined) return [`${table}: system.tables does not show it to this user`];
  const [engine, sortingKey, partitionKey] = row.map(String);
  const problems: string[] = [];
  if (!engine?.endsWith("ReplacingMergeTree")) {
    problems.push(`${table}: engine ${engine}, expected a ReplacingMergeTree`);
  }
  if (sortingKey !== SOURCE_SORTING_KEY) {
    problems.push(`${table}: sorting key (${sortingKey}), expected (${SOURCE_SORTING_KEY})`);
  }
  if (partitionKey !== SOURCE_PARTITION_KEY) {
    problems.push(`${table}: partition key ${partitionKey}, expected ${SOURCE_PARTITION_KEY}`);
  }
  return problems;
}
