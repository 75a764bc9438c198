import { beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { Readable } from "node:stream";
import { createClient } from "@clickhouse/client";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";

let server: TestServer;
let database: string;
beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("inserts");
});
beforeEach(async () => {
  await server.command("CREATE OR REPLACE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a", {
    database,
  });
});

async function count(): Promise<number> {
  return Number(await server.query("SELECT count() FROM t", { database }));
}

async function native(rows: number, maxBlockSize = 65_409): Promise<Uint8Array> {
  return await server.fetchBytes(
    `SELECT number AS a, repeat('\\n', number % 100) AS s FROM numbers(${rows}) FORMAT Native`,
    {
      settings: { max_block_size: maxBlockSize },
    },
  );
}

async function insert(url: string, init: RequestInit): Promise<Record<string, string>> {
  const response = await fetch(url, {
    ...init,
    method: "POST",
    headers: { "X-ClickHouse-User": server.user, "X-ClickHouse-Key": server.password, ...init.headers },
  });
  if (!response.ok) throw new Error(await response.text());
  return JSON.parse(response.headers.get("X-ClickHouse-Summary") ?? "{}");
}

function address(query: string, parameters: Record<string, string> = {}): string {
  return `${server.url}?${new URLSearchParams({ query, database, ...parameters })}`;
}

describe("the summary's written rows are true", () => {
  test.each([
    ["INSERT INTO t FORMAT JSONEachRow", '{"a":1,"s":"x"}\n{"a":2,"s":"y"}', 2],
    ["INSERT INTO t (s, a) FORMAT CSV", '"x\ny",1\n"",2\n', 2],
    ["INSERT INTO t VALUES", "(1,'a'),(2,'b'),\n(3,')')", 3],
    ["INSERT INTO t (a) VALUES (1)", "(2)", 2],
    ["INSERT INTO t SETTINGS input_format_skip_unknown_fields=1 FORMAT JSONEachRow", '{"a":1,"zz":1}', 1],
    ["INSERT INTO t FORMAT Native", "", 0],
    ["INSERT INTO t FORMAT JSONEachRow", "", 0],
    ["INSERT INTO t VALUES", "", 0],
  ])("%s", async (query, body, rows) => {
    expect(await insert(address(query), { body })).toMatchObject({ written_rows: String(rows) });
    expect(await count()).toBe(rows);
  });

  test("of a statement that is all in the body", async () => {
    const body = "-- FORMAT no\nINSERT /* VALUES */ INTO `t` (a, s) VALUES (1, 'FORMAT x'), (2, '');";
    expect(await server.insertRaw("", Buffer.from(body), { database })).toBe(2);
    const data = Buffer.concat([Buffer.from("INSERT INTO t FORMAT Native\n"), await native(5000)]);
    expect(await server.insertRaw("", data, { database })).toBe(5000);
    expect(await count()).toBe(5002);
  });

  test("of a statement whose data begins in the body and exceeds 256 KiB", async () => {
    const rows = Array.from({ length: 30_000 }, (_, i) => `(${i},'${i}')`).join(",");
    const body = `INSERT INTO t VALUES ${rows}`;
    expect(body.length).toBeGreaterThan(300 * 1024);
    // In one piece, and as statement and data.
    expect(await server.insertRaw("", Buffer.from(body), { database })).toBe(30_000);
    await server.command(body, { database });
    expect(await count()).toBe(60_000);
  });

  test("of none where the statement before the data exceeds 256 KiB: that is an error", async () => {
    const body = `INSERT INTO t /* ${"-".repeat(300 * 1024)} */ VALUES (1,'a'),(2,'b')`;
    await expect(server.insertRaw("", Buffer.from(body), { database })).rejects.toThrow("Code: 62.");
    expect(await count()).toBe(0);
  });

  test("of INSERT … SELECT and CREATE … AS SELECT", async () => {
    const select = "INSERT INTO t SELECT number, '' FROM numbers(777);";
    expect(await server.insertRaw("", Buffer.from(select), { database })).toBe(777);
    const create = "CREATE OR REPLACE TABLE t2 ENGINE = MergeTree ORDER BY a AS SELECT * FROM t";
    expect(await server.insertRaw("", Buffer.from(create), { database })).toBe(777);
  });

  test("of Native in one block, in many, and without rows", async () => {
    for (const [rows, blockSize] of [[100_000, 1_000_000] as const, [100_000, 1_000] as const]) {
      await server.command("TRUNCATE TABLE t", { database });
      expect(
        await server.insertRaw("INSERT INTO t FORMAT Native", await native(rows, blockSize), { database }),
      ).toBe(rows);
      expect(await server.query("SELECT count(), uniqExact(a), sum(length(s)) FROM t", { database })).toBe(
        `${rows}\t${rows}\t${rows * 49.5}\n`,
      );
    }
  });

  test("where blocks are dropped by the engine's deduplication, the rows were not written", async () => {
    await server.command(
      "CREATE OR REPLACE TABLE d (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 10",
      { database },
    );
    const body = Buffer.from("1\n");
    await server.insertRaw("INSERT INTO d FORMAT TSV", body, { database });
    await server.insertRaw("INSERT INTO d FORMAT TSV", body, { database });
    expect(await server.query("SELECT count() FROM d", { database })).toBe("1\n");
  });
});

describe("compressed bodies", () => {
  test.each(["gzip", "zstd"] as const)("%s, statement in the URL and in the body", async (encoding) => {
    const compress = (bytes: Uint8Array<ArrayBuffer>) =>
      encoding === "gzip" ? Bun.gzipSync(bytes) : Bun.zstdCompressSync(bytes);
    const data = new Uint8Array(await native(20_000));
    const headers = { "Content-Encoding": encoding };
    const inUrl = await insert(address("INSERT INTO t FORMAT Native"), { body: compress(data), headers });
    expect(inUrl).toMatchObject({ written_rows: "20000" });
    const all = new Uint8Array(Buffer.concat([Buffer.from("INSERT INTO t FORMAT Native\n"), data]));
    const inBody = await insert(`${server.url}?database=${database}`, { body: compress(all), headers });
    expect(inBody).toMatchObject({ written_rows: "20000" });
    const cut = compress(all).subarray(0, -1000);
    await expect(insert(`${server.url}?database=${database}`, { body: cut, headers })).rejects.toThrow(
      "Code: ",
    );
    expect(await count()).toBe(40_000);
  });
});

describe("through the client", () => {
  test.each([false, true])("rows and streams, compressed: %p", async (compression) => {
    const { url, user: username, password } = server;
    const client = createClient({
      url,
      username,
      password,
      database,
      compression: { request: compression, response: compression },
    });
    const rows = Array.from({ length: 1000 }, (_, i) => ({ a: i, s: `r'${i}\n` }));
    const inserted = await client.insert({ table: "t", values: rows, format: "JSONEachRow" });
    expect(inserted.summary?.written_rows).toBe("1000");
    const executed = await client.exec({
      query: "INSERT INTO t FORMAT Native",
      values: Readable.from([Buffer.from(await native(3000))]),
    });
    executed.stream.resume();
    expect(executed.summary?.written_rows).toBe("3000");
    const result = await client.query({
      query: "SELECT a, s FROM t WHERE s LIKE 'r%' ORDER BY a",
      format: "JSONEachRow",
    });
    expect(await result.json<{ a: number; s: string }>()).toEqual(rows);
    await client.close();
  });
});

// The development server reads bodies from a pipe, so a test can see how far it has come.
const isRealServer = Boolean(process.env["CLICKHOUSE_TEST_URL"]);

describe("an insert that fails", () => {
  test("leaves no rows, and its error arrives while the body is still being sent", async () => {
    const data = await native(300_000);
    await expect(server.insertRaw("INSERT INTO no_such FORMAT Native", data, { database })).rejects.toThrow(
      "UNKNOWN_TABLE",
    );
    await expect(
      server.insertRaw("INSERT INTO t (a) FORMAT Native", data.subarray(0, 100_000), { database }),
    ).rejects.toThrow("Code: ");
    const strict = { input_format_skip_unknown_fields: 0 };
    await expect(
      server.insertRaw("INSERT INTO t (a) FORMAT Native", data, { database, settings: strict }),
    ).rejects.toThrow("Code: 117");
    expect(await count()).toBe(0);
  });

  test.skipIf(isRealServer).each([
    ["Content-Length", "a block's end"],
    ["Content-Length", "a block's middle"],
    ["chunked", "a block's end"],
    ["chunked", "a block's middle"],
    ["chunked", "the beginning"],
  ] as const)("cut by the client (%s) at %s commits nothing", async (framing, where) => {
    const block = await native(10_000, 1_000_000);
    const sent =
      where === "a block's end"
        ? block
        : block.subarray(0, where === "the beginning" ? 0 : block.length - 500);
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    const authorization = Buffer.from(`${server.user}:${server.password}`).toString("base64");
    const target = `/?${new URLSearchParams({ query: "INSERT INTO t FORMAT Native", database })}`;
    const size = framing === "chunked" ? "Transfer-Encoding: chunked" : `Content-Length: ${block.length * 2}`;
    socket.write(
      `POST ${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic ${authorization}\r\n${size}\r\n\r\n`,
    );
    if (sent.length > 0) {
      if (framing === "chunked") socket.write(`${sent.length.toString(16)}\r\n`);
      socket.write(sent);
      if (framing === "chunked") socket.write("\r\n");
    }
    // Cut only when the engine has read everything: the end of its input would now be the end of good data.
    await until(async () => (await running()).includes(sent.length));
    socket.end();
    await until(async () => (await running()).length === 0);
    expect(await count()).toBe(0);
    // The pipe serves the next insert.
    expect(await server.insertRaw("INSERT INTO t FORMAT Native", block, { database })).toBe(10_000);
  });
});

/** How many bytes the inserts under way have read so far. */
async function running(): Promise<number[]> {
  const sql =
    "SELECT ProfileEvents['ReadBufferFromFileDescriptorReadBytes'] AS bytes FROM system.processes " +
    "WHERE query LIKE 'INSERT INTO t%' AND current_database = {database:String}";
  const rows = await server.queryJson<{ bytes: number }>(sql, { params: { database } });
  return rows.map((row) => row.bytes);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await Bun.sleep(10);
}
