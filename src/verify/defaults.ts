import type { RetryPolicy } from "../clickhouse/retry.ts";
import type { Server } from "../clickhouse/server.ts";
import { sqlTokens } from "../clickhouse/sql-tokens.ts";

/** Reads the DEFAULT expressions of a table, by column; a column without one is left out. Rejects with an OperationError. */
export async function readDefaults(
  server: Server,
  database: string,
  table: string,
  retry: RetryPolicy,
): Promise<ReadonlyMap<string, string>> {
  const statement = {
    sql: `SELECT name, default_expression FROM system.columns
      WHERE database = {database:String} AND table = {table:String} AND default_kind = 'DEFAULT'`,
    params: { database, table },
  };
  const rows = await server.query(`Reading the defaults of ${table}`, statement, retry);
  return new Map(rows.map(([name, expression]) => [String(name), String(expression)]));
}

/** Literals, and functions that make or convert a value; of these names no others depend on the time. */
const VALUE_WORDS = /^(?:\d\w*|(?:true|True|false|False|NULL|CAST|array|map|tuple|to[A-Z]\w*))$/;

/** Whether a DEFAULT expression, as the server writes it, is sure to have the same value in every row and at any time. */
export function isFixedValue(expression: string): boolean {
  return sqlTokens(expression).every(({ kind, text }) => {
    if (kind === "identifier") return false;
    return kind !== "word" || VALUE_WORDS.test(text);
  });
}
