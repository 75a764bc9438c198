import { beforeAll, describe, expect, test } from "bun:test";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import { BufferPool } from "../../../src/bytes/buffer-pool.ts";
import type { Compression } from "../../../src/clickhouse/connection.ts";
import { selectBlocks } from "../../../src/clickhouse/select-blocks.ts";
import { type QuerySettings, Server } from "../../../src/clickhouse/server.ts";
import { readServerSettings } from "../../../src/clickhouse/settings/read-server-settings.ts";
import { statementSettings, withPreferred } from "../../../src/clickhouse/settings/statement-settings.ts";

const NEVER = new AbortController().signal;

let testing: TestServer;
beforeAll(async () => {
  testing = await testServer();
});

describe.each(["none", "zstd", "gzip"] as const)("%s", (compression) => {
  async function rows(sql: string): Promise<number> {
    const { server, settings } = await connect(compression);
    const buffers = new BufferPool(2 ** 26);
    let count = 0;
    for await (const block of selectBlocks(server, { sql, settings }, buffers, NEVER)) {
      count += block.rows;
      buffers.release(block.bytes);
    }
    await server.close();
    return count;
  }

  test("blocks arrive whole", async () => {
    expect(await rows("SELECT toString(number) AS s, number FROM numbers(300000)")).toBe(300_000);
  });

  test("a response without rows has no blocks", async () => {
    expect(await rows("SELECT toString(number) AS s FROM numbers(10) WHERE number > 10")).toBe(0);
  });

  test("an exception in the middle of a response is the server's own", async () => {
    const sql = "SELECT toString(number) AS s, throwIf(number = 2000000) AS x FROM numbers(5000000)";
    await expect(rows(sql)).rejects.toMatchObject({ name: "ServerError", code: 395 });
  });

  test("an error before the response is the server's own", async () => {
    await expect(rows("SELECT no_such_column FROM numbers(1)")).rejects.toMatchObject({ code: 47 });
  });
});

async function connect(compression: Compression): Promise<{ server: Server; settings: QuerySettings }> {
  const { url, user, password } = testing;
  const server = new Server({ url, user, password, database: "default", compression });
  const ofUser = await readServerSettings(server, NEVER);
  const settings = withPreferred(statementSettings(ofUser), ofUser, {
    pageRead: 8192,
    traceRead: 8192,
    insert: 8192,
    compression,
  });
  return { server, settings: settings.pageRead };
}
