import { isAccessDenied, type RetryPolicy, refusalOfServer } from "../../clickhouse/retry.ts";
import type { Server } from "../../clickhouse/server.ts";
import { qualifiedTable } from "../../clickhouse/sql.ts";

/** Langfuse v4's shortened copy of `events_full`, which its pages read, and the view that fills it. */
const CORE = { table: "events_core", view: "events_core_mv" } as const;

/** A materialized view that copies what is inserted into the target. */
interface TargetView {
  readonly database: string;
  readonly name: string;
  readonly select: string;
  readonly createQuery: string;
}

/** What is wrong with the view that fills `events_core`. */
export interface CoreViewProblem {
  readonly kind: "missing" | "broken";
  readonly message: string;
}

/**
 * Checks that a view fills `events_core` from the target, and that no view of the target is broken: every INSERT would fail. Returns null
 * where all is well. Rejects with an OperationError where the server cannot be queried.
 */
export async function coreViewProblem(
  server: Server,
  database: string,
  target: string,
  retry: RetryPolicy,
): Promise<CoreViewProblem | null> {
  const views = await viewsOf(server, database, target, retry);
  for (const view of views) {
    const failure = await failureOf(server, view, retry);
    if (failure === null) continue;
    const name = qualifiedTable(view.database, view.name);
    return {
      kind: "broken",
      message: `${target}: its view ${name} is broken, so that every INSERT fails: ${failure}\nRepair the view, or drop it and create it again as Langfuse does.`,
    };
  }
  if (views.some(({ createQuery }) => FILLS_CORE.test(createQuery))) return null;
  return {
    kind: "missing",
    message: `${target}: no materialized view fills ${CORE.table} from it, so that ${CORE.table} would stay empty and Langfuse show nothing of what is copied\nLet Langfuse's migrations create ${CORE.table} and ${CORE.view} first, or give --allow-missing-view.`,
  };
}

const FILLS_CORE = new RegExp(`^CREATE MATERIALIZED VIEW \\S+ TO \\S*\\b${CORE.table}\\b`);

async function viewsOf(
  server: Server,
  database: string,
  target: string,
  retry: RetryPolicy,
): Promise<TargetView[]> {
  const sql = `SELECT v.database, v.name, v.as_select, v.create_table_query FROM system.tables AS v
    WHERE v.engine = 'MaterializedView' AND (v.database, v.name) IN (
      SELECT dependency.1, dependency.2 FROM (
        SELECT arrayJoin(arrayZip(t.dependencies_database, t.dependencies_table)) AS dependency
        FROM system.tables AS t WHERE t.database = {database:String} AND t.name = {target:String}))`;
  const statement = { sql, params: { database, target } };
  const rows = await server.query(`Reading the views of ${target}`, statement, retry);
  return rows.map((row) => {
    const [viewDatabase = "", name = "", select = "", createQuery = ""] = row.map(String);
    return { database: viewDatabase, name, select, createQuery };
  });
}

/** The server's words where the view's SELECT or the table behind it cannot be read; null where they can, or where this user may not. */
async function failureOf(server: Server, view: TargetView, retry: RetryPolicy): Promise<string | null> {
  const operation = `Checking the view ${view.name}`;
  for (const sql of [
    `DESCRIBE TABLE (${view.select})`,
    `SELECT 1 FROM ${qualifiedTable(view.database, view.name)} LIMIT 0`,
  ]) {
    try {
      await server.query(operation, { sql }, retry);
    } catch (error) {
      if (isAccessDenied(error)) return null;
      const refusal = refusalOfServer(error);
      if (refusal === null) throw error;
      return refusal.words;
    }
  }
  return null;
}
