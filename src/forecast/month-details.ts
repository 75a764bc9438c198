import type { RetryPolicy } from "../clickhouse/retry.ts";
import type { Server } from "../clickhouse/server.ts";
import { qualifiedTable } from "../clickhouse/sql.ts";
import { LAYOUTS, type LayoutName } from "../mapping/layouts.ts";
import type { ResolvedMapping } from "../mapping/resolve-mapping.ts";
import type { BackfillOptions } from "../run/backfill-options.ts";
import { describeTable } from "../run/preflight/tables.ts";

/** What happens to the columns of the target. */
export interface ColumnPlan {
  /** Filled from the sources. */
  readonly filled: readonly string[];
  /** Left to the target's defaults. */
  readonly defaulted: readonly string[];
  /** Columns that a run would fill and that the target does not have. */
  readonly leftOut: readonly string[];
}

/** Sorts the columns of the target by what happens to them. Rejects with an OperationError. */
export async function planColumns(
  server: Server,
  { connection: { database }, tables: { target } }: BackfillOptions,
  layout: LayoutName,
  mappings: readonly ResolvedMapping[],
  retry: RetryPolicy,
): Promise<ColumnPlan> {
  const shape = await describeTable(server, database, target, retry);
  const columns = "columns" in shape ? shape.columns : [];
  const filled = new Set(
    mappings.flatMap(({ copied, derived }) => [
      ...copied.map(({ name }) => name),
      ...derived.map(({ column }) => column.name),
    ]),
  );
  const present = new Set(columns.map(({ name }) => name));
  return {
    filled: [...filled].sort(),
    defaulted: columns
      .filter(({ name, isComputed }) => !isComputed && !filled.has(name))
      .map(({ name }) => name)
      .sort(),
    leftOut: LAYOUTS[layout].observations.columns
      .map(({ name }) => name)
      .filter((name) => !present.has(name))
      .sort(),
  };
}

/** A project and its rows in the month, old versions included. */
export interface ProjectSize {
  readonly project: string;
  readonly rows: number;
}

const MAX_PROJECTS = 5;

/** The largest projects of a month. Rejects with an OperationError. */
export async function largestProjects(
  server: Server,
  { connection: { database }, tables: { source }, partition }: BackfillOptions,
  retry: RetryPolicy,
): Promise<ProjectSize[]> {
  const sql = `SELECT o.project_id AS project, count() AS row_count FROM ${qualifiedTable(database, source)} AS o
    WHERE o._partition_id = {partition:String} GROUP BY project ORDER BY row_count DESC, project LIMIT ${MAX_PROJECTS}`;
  const operation = `Counting the projects of ${source}`;
  const rows = await server.query(operation, { sql, params: { partition } }, retry);
  return rows.map(([project, count]) => ({ project: String(project), rows: Number(count) }));
}
