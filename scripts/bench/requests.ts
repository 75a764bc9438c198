/**
 * What the tool's own requests cost when the client does nothing: it requests the same pages with the same SELECT list and
 * drops what comes, while it sends as many inserts as the tool would, one body of the tool's over and over. What the tool
 * takes longer than that is its own; what this takes longer than the floor is the server's.
 *
 *   bun scripts/bench/requests.ts <URL> <workers> <target table>
 */
import { readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { qualifiedTable } from "../../src/clickhouse/sql.ts";
import type { Page } from "../../src/plan/pages.ts";
import { DATABASE } from "./dataset.ts";
import { REQUESTS_PATH, type ToolRequests } from "./insert-body.ts";
import { drain, openPages, pageSource } from "./pages.ts";

const CHUNK_BYTES = 1 << 20;

const [url = "", workers = "1", table = ""] = process.argv.slice(2);
const requests = JSON.parse(readFileSync(REQUESTS_PATH, "utf8")) as ToolRequests;
const body = readFileSync(requests.bodyPath);
const chunks: Buffer[] = [];
for (let at = 0; at < body.length; at += CHUNK_BYTES) chunks.push(body.subarray(at, at + CHUNK_BYTES));
const reading = await openPages(url);
const target = qualifiedTable(DATABASE, table);
/** Rows that pages promised and no insert has carried yet. */
let owedRows = 0;

async function ask(page: Page): Promise<void> {
  const { sql, params } = pageSource(page);
  const response = await reading.client.exec({
    query: `SELECT ${requests.selectList} ${sql} FORMAT Native`,
    query_params: params,
    clickhouse_settings: reading.readSettings,
  });
  owedRows += page.plannedRows;
  await Promise.all([drain(response.stream), insertOwed()]);
}

async function insertOwed(): Promise<void> {
  while (owedRows >= requests.bodyRows) {
    owedRows -= requests.bodyRows;
    const stored = await reading.client.exec({
      query: `INSERT INTO ${target} (${requests.insertColumns}) FORMAT Native`,
      values: Readable.from(chunks, { objectMode: false }),
      clickhouse_settings: reading.writeSettings,
    });
    await drain(stored.stream);
  }
}

async function work(): Promise<void> {
  for (let next = await reading.pages.next(); next.done !== true; next = await reading.pages.next()) {
    await ask(next.value);
  }
}

await Promise.all(Array.from({ length: Number(workers) }, work));
await reading.close();
console.log("{}");
