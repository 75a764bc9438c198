import { isAccessDenied, type RetryPolicy } from "../../clickhouse/retry.ts";
import type { Server } from "../../clickhouse/server.ts";
import { literal } from "../../clickhouse/sql.ts";

/** An ALTER … UPDATE or DELETE, or a lightweight one, that has not reached all parts. */
export interface Mutation {
  readonly table: string;
  readonly id: string;
  readonly command: string;
  readonly partsToDo: number;
  /** Why a part of it failed last; empty: nothing failed. */
  readonly failure: string;
}

/**
 * The unfinished mutations of tables; none where the user may not read them. Reading while one is under way sees some
 * parts before it and some after.
 */
export async function unfinishedMutations(
  server: Server,
  database: string,
  tables: readonly string[],
  retry: RetryPolicy,
): Promise<Mutation[]> {
  const statement = {
    sql: `SELECT table, mutation_id, command, parts_to_do, latest_fail_reason FROM system.mutations
      WHERE database = {database:String} AND table IN (${tables.map(literal).join(", ")}) AND NOT is_done
      ORDER BY create_time`,
    params: { database },
  };
  try {
    const rows = await server.query("Reading unfinished mutations", statement, retry);
    return rows.map(([table, id, command, partsToDo, failure]) => ({
      table: String(table),
      id: String(id),
      command: String(command),
      partsToDo: Number(partsToDo),
      failure: String(failure),
    }));
  } catch (error) {
    if (isAccessDenied(error)) return [];
    throw error;
  }
}

/** A mutation as a line of text. */
export function describeMutation({ table, id, command, partsToDo, failure }: Mutation): string {
  const parts = partsToDo === 1 ? "1 part" : `${partsToDo} parts`;
  const why = failure === "" ? "" : `; it failed last with: ${failure}`;
  return `${table}: mutation ${id} has ${parts} to do: ${command}${why}`;
}
