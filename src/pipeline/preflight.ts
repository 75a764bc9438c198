import { ERROR_CODE, ForeignResponseError, ServerError, TransportError } from "../clickhouse/errors.ts";
import { type RetryPolicy, StepError, withRetry } from "../clickhouse/retry.ts";
import type { Server, Statement } from "../clickhouse/server.ts";
import { describeReadOnlyUser, describeRefusedSettings } from "../clickhouse/settings/refused-settings.ts";
import { readServerSettings, type SettingsOfUser } from "../clickhouse/settings/server-settings.ts";
import { refusedSettings } from "../clickhouse/settings/statement-settings.ts";
import { qualifiedTable } from "../clickhouse/sql.ts";
import { isAtLeast, type MajorMinor } from "../clickhouse/version.ts";
import { RunError } from "../errors.ts";
import { MappingError, type ResolvedMapping, resolveMapping, type TableShape } from "../mapping/resolve.ts";
import type { BackfillOptions } from "./backfill.ts";

/** The oldest server whose answers this program has been made for. */
const OLDEST_VERSION: MajorMinor = [24, 3];

/** What the engine and the keys of a table must be; texts as system.tables writes them. */
export interface EngineExpectation {
  /** What goes wrong with an engine that is no ReplacingMergeTree. */
  readonly otherwise: string;
  /** An engine that is taken as well. */
  readonly orEngine?: string;
  /** How the engine's arguments must end, and what goes wrong when they don't; replicated engines put a path and a replica first. */
  readonly lastArguments?: { readonly text: string; readonly otherwise: string };
  readonly sortingKey?: string;
  readonly partitionKey?: string;
}

/** A table's row of system.tables. */
export interface EngineFacts {
  readonly engine: string;
  /** The engine with its arguments, keys and settings. */
  readonly engineFull: string;
  readonly sortingKey: string;
  readonly partitionKey: string;
}

/** Tables that are read with FINAL. */
const READ_WITH_FINAL = {
  otherwise: "FINAL finds the newest version of a row in no other",
  lastArguments: {
    text: "event_ts, is_deleted",
    otherwise: "FINAL would take old versions or deleted rows for current ones",
  },
} as const;

/** What the three tables of a run must be; pages are cut by the source's keys, ranges of traces by theirs. */
export const EXPECTATIONS = {
  source: {
    ...READ_WITH_FINAL,
    sortingKey: "project_id, type, toDate(start_time), id",
    partitionKey: "toYYYYMM(start_time)",
  },
  traces: {
    ...READ_WITH_FINAL,
    sortingKey: "project_id, toDate(timestamp), id",
    partitionKey: "toYYYYMM(timestamp)",
  },
  target: {
    otherwise: "others keep the rows of a repeated insert twice",
    // It keeps nothing: to measure a run without its target.
    orEngine: "Null",
  },
} as const satisfies Readonly<Record<keyof BackfillOptions["tables"], EngineExpectation>>;

/** What the server says of itself and of this user. */
export interface Connected {
  readonly serverVersion: string;
  readonly userSettings: SettingsOfUser;
}

/**
 * Connects, and learns the server's version and the user's settings. Throws a RunError that says what to check, also where
 * the user has required settings at other values and may not change them.
 */
export async function connect(
  server: Server,
  options: BackfillOptions,
  retry: RetryPolicy,
): Promise<Connected> {
  const { url, user, database } = options.connection;
  try {
    const userSettings = await withRetry(`Connecting to ${url}`, retry, () =>
      readUserSettings(server, retry),
    );
    const refused = refusedSettings(userSettings);
    if (refused.length > 0) throw new RunError(describeRefusedSettings(url, user, refused));
    const readonly = userSettings.settings.get("readonly")?.value ?? "0";
    if (readonly !== "0" && !options.dryRun) throw new RunError(describeReadOnlyUser(url, user, readonly));
    if (userSettings.refusal !== null) throw new StepError("Connecting", userSettings.refusal);
    const serverVersion = await withRetry(`Connecting to ${url}`, retry, () => readVersion(server, retry));
    if (!isAtLeast(serverVersion, OLDEST_VERSION)) throw tooOld(serverVersion, url);
    return { serverVersion, userSettings };
  } catch (error) {
    throw error instanceof StepError ? connectionError(error.cause, url, user, database) : error;
  }
}

async function readUserSettings(server: Server, retry: RetryPolicy): Promise<SettingsOfUser> {
  try {
    return await readServerSettings(server, retry.signal);
  } catch (error) {
    if (!(error instanceof ServerError) || error.code !== ERROR_CODE.unknownSetting) throw error;
    // Every supported server knows the settings of the first query.
    const version = await readVersion(server, retry, { isBare: true });
    throw isAtLeast(version, OLDEST_VERSION) ? error : tooOld(version, server.url);
  }
}

async function readVersion(
  server: Server,
  retry: RetryPolicy,
  how: Pick<Statement, "isBare"> = {},
): Promise<string> {
  const [row] = await server.allRows({ sql: "SELECT version()", ...how }, retry.signal);
  if (row === undefined) throw new TransportError("The response to SELECT version() is empty");
  return String(row[0]);
}

function tooOld(version: string, url: string): RunError {
  return new RunError(
    `ClickHouse ${version} at ${url} is too old: ${OLDEST_VERSION.join(".")} or later is needed`,
  );
}

function connectionError(error: unknown, url: string, user: string, database: string): RunError {
  if (error instanceof TransportError) {
    return new RunError(
      `No ClickHouse server answers at ${url}\n${error.message}\nCheck that the server runs, that --clickhouse-url names its HTTP port (8123, or 8443 for https), and that no firewall is in between.`,
      { cause: error },
    );
  }
  if (error instanceof ForeignResponseError) {
    return new RunError(
      `No ClickHouse server answers at ${url}\n${error.message}\nCheck that --clickhouse-url names the HTTP interface of a ClickHouse server.`,
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
 * Checks that the tables are there, with engines and keys that repeated inserts and FINAL can rely on and with the columns and
 * types that the mapping needs, and applies the mapping to them. Throws a RunError that lists every problem at once.
 */
export async function checkTables(
  server: Server,
  options: BackfillOptions,
  retry: RetryPolicy,
): Promise<ResolvedMapping> {
  const { source, traces, target } = options.tables;
  const { database, url } = options.connection;
  const names = [source, traces, target];
  const answers = await Promise.all(names.map((name) => describe(server, database, name, retry)));
  const unreadable = answers.filter((answer) => "code" in answer);
  const problems = unreadable.map(({ problem }) => problem);
  const readable = answers.filter((answer) => "columns" in answer);
  const isReadable = (name: string): boolean => readable.some((shape) => shape.name === name);
  const shapeOf = (name: string): TableShape =>
    readable.find((shape) => shape.name === name) ?? { name, columns: [] };
  let mapping: ResolvedMapping | null = null;
  try {
    mapping = resolveMapping(shapeOf(source), shapeOf(traces), shapeOf(target));
  } catch (error) {
    if (!(error instanceof MappingError)) throw error;
    // Columns of a missing table would only repeat that it is missing.
    const isNews = (problem: string): boolean =>
      !unreadable.some(({ name }) => problem.startsWith(`${name}: `));
    problems.push(...error.problems.filter(isNews));
  }
  const facts = await readEngines(server, database, options.tables, retry);
  for (const role of ["source", "traces", "target"] as const) {
    const name = options.tables[role];
    if (isReadable(name)) problems.push(...engineProblems(name, EXPECTATIONS[role], facts.get(name)));
  }
  if (problems.length === 0 && mapping !== null) return mapping;
  throw new RunError(
    // Several event columns may lack the same source column, and several tables the same database.
    [
      firstLine(unreadable, database, url),
      ...new Set(problems),
      "Check --clickhouse-db, --source-table, --traces-table and --target-table.",
    ].join("\n"),
  );
}

function firstLine(unreadable: readonly UnreadableTable[], database: string, url: string): string {
  if (unreadable.some(({ code }) => code === ERROR_CODE.unknownDatabase)) {
    return `Database ${JSON.stringify(database)} is missing at ${url}`;
  }
  const missing = unreadable.filter(({ code }) => code === ERROR_CODE.unknownTable);
  const place = `in database ${JSON.stringify(database)} at ${url}`;
  return missing.length > 0
    ? `Table ${missing.map(({ name }) => JSON.stringify(name)).join(", ")} is missing ${place}`
    : `The tables ${place} cannot be used`;
}

/** A table whose columns the server does not tell. */
interface UnreadableTable {
  readonly name: string;
  /** ClickHouse's error code. */
  readonly code: number;
  readonly problem: string;
}

/** The columns of a table, or the problem that keeps them from being known. */
async function describe(
  server: Server,
  database: string,
  table: string,
  retry: RetryPolicy,
): Promise<TableShape | UnreadableTable> {
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
    if (!(cause instanceof ServerError)) throw error;
    switch (cause.code) {
      case ERROR_CODE.unknownDatabase:
        return { name: table, code: cause.code, problem: `${database}: ${cause.words}` };
      case ERROR_CODE.unknownTable:
      case ERROR_CODE.accessDenied:
        return { name: table, code: cause.code, problem: `${table}: ${cause.words}` };
      default:
        throw error;
    }
  }
}

/** The engines and keys of those tables that system.tables shows to this user, by name. */
async function readEngines(
  server: Server,
  database: string,
  tables: BackfillOptions["tables"],
  retry: RetryPolicy,
): Promise<ReadonlyMap<string, EngineFacts>> {
  const statement = {
    sql: `SELECT name, engine, engine_full, sorting_key, partition_key FROM system.tables
      WHERE database = {database:String} AND name IN ({source:String}, {traces:String}, {target:String})`,
    params: { database, ...tables },
  };
  const rows = await withRetry("Reading the engines of the tables", retry, () =>
    server.allRows(statement, retry.signal),
  );
  return new Map(
    rows.map((row) => {
      const [name = "", engine = "", engineFull = "", sortingKey = "", partitionKey = ""] = row.map(String);
      return [name, { engine, engineFull, sortingKey, partitionKey }];
    }),
  );
}

/** What about a table's engine and keys would make the run's result wrong; `facts` undefined: they are not known. */
export function engineProblems(
  table: string,
  expectation: EngineExpectation,
  facts: EngineFacts | undefined,
): string[] {
  if (facts === undefined) return [`${table}: system.tables does not show it to this user`];
  const { engine, engineFull, sortingKey, partitionKey } = facts;
  const { lastArguments } = expectation;
  const problems: string[] = [];
  if (!engine.endsWith("ReplacingMergeTree")) {
    if (engine !== expectation.orEngine) {
      problems.push(`${table}: engine ${engine}, expected a ReplacingMergeTree: ${expectation.otherwise}`);
    }
  } else if (lastArguments !== undefined) {
    const given = engineArguments(engineFull);
    if (given !== lastArguments.text && !given.endsWith(`, ${lastArguments.text}`)) {
      problems.push(
        `${table}: engine ${engine}(${given}), expected the arguments (${lastArguments.text}): ${lastArguments.otherwise}`,
      );
    }
  }
  if (expectation.sortingKey !== undefined && sortingKey !== expectation.sortingKey) {
    problems.push(`${table}: sorting key (${sortingKey}), expected (${expectation.sortingKey})`);
  }
  if (expectation.partitionKey !== undefined && partitionKey !== expectation.partitionKey) {
    problems.push(`${table}: partition key ${partitionKey || "()"}, expected ${expectation.partitionKey}`);
  }
  return problems;
}

/** What stands between the engine's brackets. A path among the arguments may hold brackets, `{` and escaped quotes itself. */
function engineArguments(engineFull: string): string {
  return /^\w+\(((?:'(?:[^'\\]|\\.|'')*'|[^')])*)\)/s.exec(engineFull)?.[1] ?? "";
}
