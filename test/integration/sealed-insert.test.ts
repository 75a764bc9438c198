import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type TestServer, testServer } from "../../scripts/testbed/server.ts";
import { Server } from "../../src/clickhouse/server.ts";
import { FaultProxy } from "../support/fault-proxy.ts";

const { signal } = new AbortController();
const BLOCK_ROWS = 1_000;
const BLOCKS = 3;

let testing: TestServer;
let database: string;
let proxy: FaultProxy;
let server: Server;
/** One Native block, which each INSERT carries several times. */
let block: Buffer;

beforeAll(async () => {
  testing = await testServer();
  database = await testing.createDatabase("sealed");
  for (const table of ["target", "copied"]) {
    await testing.command(`CREATE TABLE ${table} (n UInt64, text String) ENGINE = MergeTree ORDER BY n`, {
      database,
    });
  }
  await testing.command("CREATE MATERIALIZED VIEW view TO copied AS SELECT * FROM target", { database });
  block = Buffer.from(
    await testing.fetchBytes(
      `SELECT number AS n, repeat('x', 100) AS text FROM numbers(${BLOCK_ROWS}) FORMAT Native`,
      { settings: { max_block_size: BLOCK_ROWS } },
    ),
  );
  proxy = await FaultProxy.start(testing.url);
  const { user, password } = testing;
  server = new Server({ url: proxy.url, user, password, database });
});

afterAll(async () => {
  server.close();
  await proxy.close();
});

/** Inserts the blocks into a table with a view, of which the server gets the first `bytes` bytes and a proper end. */
async function insertShortened(isSealed: boolean, bytes: number): Promise<void> {
  proxy.reset();
  const rule = proxy.on({ on: "insert" }, { kind: "shortenBody", toBytes: bytes });
  const insert = server.openInsert({ sql: "INSERT INTO target FORMAT Native" }, { isSealed }, signal);
  for (let i = 0; i < BLOCKS; i++) await insert.write([block], BLOCK_ROWS);
  insert.end();
  try {
    await insert.acknowledged;
  } finally {
    expect(rule.applied).toBe(1);
  }
}

describe("an INSERT whose last block does not reach the server, into a table with a view", () => {
  test("counts as stored without a seal, since the view's rows hide it", async () => {
    await insertShortened(false, (BLOCKS - 1) * block.length);
  });

  test("fails with a seal, wherever its data ends", async () => {
    const whole = await testing.queryJson<{ rows: number }>("SELECT count() AS rows FROM target", {
      database,
    });
    // The seal takes some 20 bytes, and 5 more for every 64 KiB.
    for (const missing of [1, 8, 9, 13, block.length, block.length + 20, 2 * block.length]) {
      const failure = insertShortened(true, BLOCKS * block.length - missing);
      await expect(failure).rejects.toMatchObject({ name: "ServerError", code: 354 });
    }
    const after = await testing.queryJson("SELECT count() AS rows FROM target", { database });
    expect(after).toEqual(whole);
  });

  test("is stored with a seal when nothing is missing", async () => {
    const count = "SELECT count() AS rows FROM target";
    const [before] = await testing.queryJson<{ rows: number }>(count, { database });
    proxy.reset();
    const insert = server.openInsert({ sql: "INSERT INTO target FORMAT Native" }, { isSealed: true }, signal);
    for (let i = 0; i < BLOCKS; i++) await insert.write([block], BLOCK_ROWS);
    insert.end();
    await insert.acknowledged;
    const [after] = await testing.queryJson<{ rows: number }>(count, { database });
    expect(Number(after?.rows) - Number(before?.rows)).toBe(BLOCKS * BLOCK_ROWS);
  });
});
