import { OperationError, type RetryPolicy } from "../../clickhouse/retry.ts";
import type { Server } from "../../clickhouse/server.ts";
import { ERROR_CODE, ServerError } from "../../clickhouse/server-errors.ts";
import { qualifiedTable } from "../../clickhouse/sql.ts";
import type { Layout } from "../../mapping/layouts.ts";
import { MappingError, type ResolvedMapping, resolveMapping } from "../../mapping/resolve-mapping.ts";
import type { TableShape } from "../../mapping/table-shape.ts";
import type { BackfillOptions } from "../backfill-options.ts";
import { type EngineFacts, EXPECTATIONS, engineProblems, readEngines } from "./engines.ts";

/** The mappings of a layout, applied to the tables of a run. */
export interface LayoutMappings {
  readonly observations: ResolvedMapping;
  /** Null where the layout has no root rows. */
  readonly roots: ResolvedMapping | null;
  /** The same for the traces that dataset runs name; null where the layout has no experiments. */
  readonly experiments: { readonly observations: ResolvedMapping; readonly roots: ResolvedMapping } | null;
}

/** What the check of the three tables found. */
export interface TableFindings {
  /** Null where the columns do not allow it. */
  readonly mappings: LayoutMappings | null;
  readonly sourceColumns: ReadonlySet<string>;
  readonly targetColumns: ReadonlySet<string>;
  /** By the names of the tables that exist. */
  readonly engines: ReadonlyMap<string, EngineFacts>;
  /** What prevents a run, each as a line of text. */
  readonly problems: readonly string[];
  /** The first line of a message with these problems. */
  readonly headline: string;
}

/**
 * Checks that the tables exist, with engines and keys that repeated inserts and FINAL can rely on and with the columns and types that
 * the mapping requires, and applies the mapping to them. Rejects with an OperationError where the server cannot be queried.
 */
export async function inspectTables(
  server: Server,
  options: BackfillOptions,
  layout: Layout,
  retry: RetryPolicy,
): Promise<TableFindings> {
  const { source, traces, target } = options.tables;
  const { database, url } = options.connection;
  const names = [source, traces, target];
  const shapes = await Promise.all(names.map((name) => describeTable(server, database, name, retry)));
  const unreadable = shapes.filter((shape) => "code" in shape);
  const problems = unreadable.map(({ problem }) => problem);
  const readable = shapes.filter((shape) => "columns" in shape);
  const isReadable = (name: string): boolean => readable.some((shape) => shape.name === name);
  const shapeOf = (name: string): TableShape =>
    readable.find((shape) => shape.name === name) ?? { name, columns: [] };
  const shapesByRole = { source: shapeOf(source), traces: shapeOf(traces), target: shapeOf(target) };
  let mappings: LayoutMappings | null = null;
  try {
    const { observations, roots, experiments } = layout;
    mappings = {
      observations: resolveMapping(shapesByRole, observations),
      roots: roots === null ? null : resolveMapping(shapesByRole, roots),
      experiments:
        experiments === null
          ? null
          : {
              observations: resolveMapping(shapesByRole, experiments.observations),
              roots: resolveMapping(shapesByRole, experiments.roots),
            },
    };
  } catch (error) {
    if (!(error instanceof MappingError)) throw error;
    // Columns of a missing table would only repeat that it is missing.
    const isNews = (problem: string): boolean =>
      !unreadable.some(({ name }) => problem.startsWith(`${name}: `));
    problems.push(...error.problems.filter(isNews));
  }
  const facts = await readEngines(server, database, names, retry);
  for (const role of ["source", "traces", "target"] as const) {
    const name = options.tables[role];
    if (isReadable(name)) problems.push(...engineProblems(name, EXPECTATIONS[role], facts.get(name)));
  }
  // Several event columns may lack the same source column, and several tables the same database.
  return {
    mappings,
    sourceColumns: new Set(shapesByRole.source.columns.map(({ name }) => name)),
    targetColumns: new Set(shapesByRole.target.columns.map(({ name }) => name)),
    engines: facts,
    problems: [...new Set(problems)],
    headline: firstLine(unreadable, database, url),
  };
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

/** A table whose columns the server does not show. */
export interface UnreadableTable {
  readonly name: string;
  /** ClickHouse's error code. */
  readonly code: number;
  readonly problem: string;
}

/** Reads the columns of a table; returns the problem where the server does not show them. */
export async function describeTable(
  server: Server,
  database: string,
  table: string,
  retry: RetryPolicy,
): Promise<TableShape | UnreadableTable> {
  const sql = `DESCRIBE TABLE ${qualifiedTable(database, table)}`;
  try {
    const rows = await server.query(`Reading the columns of ${table}`, { sql }, retry);
    const columns = rows.map(([name, type, defaultKind]) => ({
      name: String(name),
      type: String(type),
      isComputed: defaultKind === "MATERIALIZED" || defaultKind === "ALIAS",
    }));
    return { name: table, columns };
  } catch (error) {
    const cause = error instanceof OperationError ? error.cause : null;
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
