import type { RetryPolicy } from "../../clickhouse/retry.ts";
import type { Server } from "../../clickhouse/server.ts";
import { literal } from "../../clickhouse/sql.ts";
import type { BackfillOptions } from "../backfill-options.ts";

/** What the engine and the keys of a table must be, as system.tables writes them. */
export interface EngineExpectation {
  /** What goes wrong with any engine but a ReplacingMergeTree. */
  readonly consequence: string;
  /** Another engine that is accepted. */
  readonly orEngine?: string;
  /** How the engine's arguments must end, and what goes wrong when they don't; replicated engines put a path and a replica first. */
  readonly lastArguments?: { readonly text: string; readonly consequence: string };
  readonly sortingKey?: string;
  readonly partitionKey?: string;
}

/** A table's row of system.tables. */
export interface EngineFacts {
  readonly engine: string;
  /** The engine with its arguments, keys and settings. */
  readonly engineFull: string;
  /** The statement that would make the table; empty where the server does not show it. */
  readonly createQuery: string;
  readonly sortingKey: string;
  readonly partitionKey: string;
  /** Materialized views that copy what is inserted. */
  readonly hasViews: boolean;
}

/** Tables that are read with FINAL. */
const READ_WITH_FINAL = {
  consequence: "FINAL finds the newest version of a row in no other",
  lastArguments: {
    text: "event_ts, is_deleted",
    consequence: "FINAL would take old versions or deleted rows for current ones",
  },
} as const;

/** What the three tables of a run must be. Pages are cut by the source's keys, ranges of traces by theirs. */
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
    consequence: "others keep the rows of a repeated insert twice",
    // It keeps nothing: to measure a run without its target.
    orEngine: "Null",
  },
} as const satisfies Readonly<Record<keyof BackfillOptions["tables"], EngineExpectation>>;

/** What the table of the items of dataset runs must be. */
export const ITEMS_EXPECTATION: EngineExpectation = READ_WITH_FINAL;

/** Reads the engines and keys of the tables that system.tables shows to this user, by name. */
export async function readEngines(
  server: Server,
  database: string,
  tables: readonly string[],
  retry: RetryPolicy,
): Promise<ReadonlyMap<string, EngineFacts>> {
  const statement = {
    sql: `SELECT name, engine, engine_full, sorting_key, partition_key, create_table_query, notEmpty(dependencies_table)
      FROM system.tables
      WHERE database = {database:String} AND name IN (${tables.map(literal).join(", ")})`,
    params: { database },
  };
  const rows = await server.query("Reading the engines of the tables", statement, retry);
  return new Map(
    rows.map((row) => {
      const [
        name = "",
        engine = "",
        engineFull = "",
        sortingKey = "",
        partitionKey = "",
        createQuery = "",
        views,
      ] = row.map(String);
      return [
        name,
        { engine, engineFull, sortingKey, partitionKey, createQuery, hasViews: Number(views) === 1 },
      ];
    }),
  );
}

/** Returns what in a table's engine and keys would make the result wrong; `facts` undefined: unknown. */
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
      problems.push(`${table}: engine ${engine}, expected a ReplacingMergeTree: ${expectation.consequence}`);
    }
  } else if (lastArguments !== undefined && engineFull === "") {
    problems.push(
      `${table}: system.tables shows nothing of engine ${engine} but its name, so that its arguments cannot be checked. Can the server read the table?`,
    );
  } else if (lastArguments !== undefined) {
    const given = engineArguments(engineFull);
    if (given !== lastArguments.text && !given.endsWith(`, ${lastArguments.text}`)) {
      problems.push(
        `${table}: engine ${engine}(${given}), expected the arguments (${lastArguments.text}): ${lastArguments.consequence}`,
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
