/**
 * The floor: what it costs merely to carry the bytes. The same pages as the tool's go from a SELECT … FORMAT Native into an
 * INSERT … FORMAT Native of a table that keeps nothing, one insert a page, chunk by chunk and unread.
 *
 *   bun scripts/bench/floor.ts <URL> <workers>
 */
import { qualifiedTable } from "../../src/clickhouse/sql.ts";
import type { Page } from "../../src/plan/pages.ts";
import { TABLES } from "./data.ts";
import { DATABASE } from "./dataset.ts";
import { drain, openPages, pageSource } from "./pages.ts";

const [url = "", workers = "1"] = process.argv.slice(2);
const reading = await openPages(url);
const { client, pages } = reading;
const target = qualifiedTable(DATABASE, TABLES.observationsNull);
let rows = 0;

async function carry(page: Page): Promise<void> {
  const { sql, params } = pageSource(page);
  const response = await client.exec({
    query: `SELECT o.* ${sql} FORMAT Native`,
    query_params: params,
    clickhouse_settings: reading.readSettings,
  });
  const stored = await client.exec({
    query: `INSERT INTO ${target} FORMAT Native`,
    values: response.stream,
    clickhouse_settings: reading.writeSettings,
  });
  await drain(stored.stream);
  rows += Number(stored.summary?.written_rows);
}

async function work(): Promise<void> {
  for (let next = await pages.next(); next.done !== true; next = await pages.next()) await carry(next.value);
}

await Promise.all(Array.from({ length: Number(workers) }, work));
await reading.close();
console.log(JSON.stringify({ rows }));
