import type { Readable } from "node:stream";
import { type ClickHouseClient, createClient } from "@clickhouse/client";
import { type QuerySettings, Server } from "../../src/clickhouse/server.ts";
import { readServerSettings } from "../../src/clickhouse/settings/read-server-settings.ts";
import { statementSettings, withPreferred } from "../../src/clickhouse/settings/statement-settings.ts";
import { qualifiedTable } from "../../src/clickhouse/sql.ts";
import { WHOLE_KEY_SPACE } from "../../src/plan/key-range.ts";
import { type Page, planPages } from "../../src/plan/pages.ts";
import { OBSERVATIONS_KEY, rangeCondition } from "../../src/plan/source-key.ts";
import { PARTITION, TABLES } from "./data.ts";
import { DATABASE } from "./dataset.ts";

/** What a contender that is written here needs to read pages as the tool does. */
export interface PageReading {
  readonly client: ClickHouseClient;
  readonly pages: AsyncGenerator<Page, void, void>;
  readonly readSettings: QuerySettings;
  readonly writeSettings: QuerySettings;
  close(): Promise<void>;
}

/** The tool's defaults. */
export const BATCH_ROWS = 10_000;
const PAGE_ROWS = 50_000;
const CLIENT_TIMEOUT_MS = 2 ** 31 - 1;

/** Plans pages with the tool's own planner and opens the same HTTP client. */
export async function openPages(url: string): Promise<PageReading> {
  const signal = new AbortController().signal;
  const server = new Server({ url, user: "default", password: "", database: DATABASE });
  const client = createClient({
    url,
    database: DATABASE,
    request_timeout: CLIENT_TIMEOUT_MS,
    keep_alive: { enabled: true, idle_socket_ttl: 1_500 },
  });
  const user = await readServerSettings(server, signal);
  server.settings = withPreferred(statementSettings(user), user, {
    pageRead: BATCH_ROWS,
    traceRead: BATCH_ROWS,
    insert: BATCH_ROWS,
    compression: "none",
  });
  const pages = planPages(
    {
      server,
      table: qualifiedTable(DATABASE, TABLES.source),
      key: OBSERVATIONS_KEY,
      partition: PARTITION,
      pageRows: PAGE_ROWS,
      retry: { maxRetries: 0, onRetry: () => {}, signal },
    },
    [WHOLE_KEY_SPACE],
  );
  return {
    client,
    pages,
    readSettings: server.settings.pageRead,
    writeSettings: server.settings.insert,
    close: async () => {
      await client.close();
      await server.close();
    },
  };
}

/** `FROM … WHERE …` of a page's observations, newest versions only, and its parameters. */
export function pageSource(page: Page): { sql: string; params: Record<string, string | number> } {
  const condition = rangeCondition(OBSERVATIONS_KEY, page.range);
  const sql = `FROM ${qualifiedTable(DATABASE, TABLES.source)} AS o FINAL WHERE o._partition_id = {partition:String} AND ${condition.sql}`;
  return { sql, params: { ...condition.params, partition: PARTITION } };
}

/** Reads a response without content to its end. */
export async function drain(stream: Readable): Promise<void> {
  for await (const _ of stream);
}
