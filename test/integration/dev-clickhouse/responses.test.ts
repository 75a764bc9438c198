import { beforeAll, describe, expect, test } from "bun:test";
import { deflateSync } from "node:zlib";
import { createClient } from "@clickhouse/client";
import { MAX_CONCURRENT_QUERIES } from "../../../scripts/dev-clickhouse/threads.ts";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";

const isRealServer = Boolean(process.env["CLICKHOUSE_TEST_URL"]);

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});

function get(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(new URL(path, server.url), {
    ...init,
    headers: { "X-ClickHouse-User": server.user, "X-ClickHouse-Key": server.password, ...init.headers },
  });
}

function post(sql: string, parameters: Record<string, string> = {}, init: RequestInit = {}) {
  return get(`/?${new URLSearchParams(parameters)}`, { method: "POST", body: sql, ...init });
}

describe("statements", () => {
  test("come in the URL, in the body, or in both", async () => {
    expect(await (await get(`/?query=${encodeURIComponent("SELECT 1")}`)).text()).toBe("1\n");
    expect(await (await post("SELECT 2")).text()).toBe("2\n");
    expect(await (await post("+ 2", { query: "SELECT 1" })).text()).toBe("3\n");
  });

  test("come to a path with too many slashes", async () => {
    const response = await fetch(`${server.url.replace(/\/$/, "")}//?query=SELECT%201`, {
      headers: { "X-ClickHouse-User": server.user, "X-ClickHouse-Key": server.password },
    });
    expect(response.status).toBeLessThan(500);
    await response.text();
    expect(await (await post("SELECT 2")).text()).toBe("2\n");
  });

  test("that change something are refused over GET", async () => {
    const response = await get(`/?query=${encodeURIComponent("CREATE DATABASE never")}`);
    expect(response.headers.get("X-ClickHouse-Exception-Code")).toBe("164");
  });

  test("health checks need no credentials", async () => {
    for (const path of ["/ping", "/"])
      expect(await (await fetch(new URL(path, server.url))).text()).toBe("Ok.\n");
  });

  test.each([
    ["TabSeparated", "0\n1\n2\n"],
    ["CSVWithNames", '"number"\n0\n1\n2\n'],
    ["JSONEachRow", '{"number":"0"}\n{"number":"1"}\n{"number":"2"}\n'],
    ["JSONCompactEachRowWithNames", '["number"]\n["0"]\n["1"]\n["2"]\n'],
    ["Values", "(0),(1),(2)"],
  ])("response many blocks in one %s document", async (format, expected) => {
    const settings = { max_block_size: "1", output_format_json_quote_64bit_integers: "1" };
    expect(await (await post(`SELECT number FROM numbers(3) FORMAT ${format};`, settings)).text()).toBe(
      expected,
    );
    const byDefault = await post("SELECT number FROM numbers(3)", { ...settings, default_format: format });
    expect(await byDefault.text()).toBe(expected);
    expect(byDefault.headers.get("X-ClickHouse-Format")).toBe(format);
  });

  test("a response can be JSON with totals", async () => {
    const sql =
      "SELECT number % 2 AS k, count() AS n FROM numbers(10) GROUP BY k WITH TOTALS ORDER BY k FORMAT JSON";
    const response = (await (await post(sql)).json()) as { rows: number; totals: unknown };
    expect(response.rows).toBe(2);
    expect(response.totals).toMatchObject({ n: 10 });
  });

  test("SHOW, DESCRIBE, EXPLAIN and EXISTS return rows", async () => {
    expect(await server.query("SHOW DATABASES LIKE 'system'")).toBe("system\n");
    expect(await server.query("DESCRIBE TABLE system.one")).toStartWith("dummy\tUInt8");
    expect(await server.query("EXISTS TABLE system.one")).toBe("1\n");
    expect(await server.query("EXPLAIN SYNTAX SELECT 1")).toContain("SELECT 1");
  });
});

describe("settings and parameters", () => {
  test("hold for one query", async () => {
    const sql = "SELECT getSetting('max_block_size')";
    const before = await server.query(sql);
    expect(await server.query(sql, { settings: { max_block_size: 12345 } })).toBe("12345\n");
    expect(await server.query(sql)).toBe(before);
  });

  test("an unknown setting is code 115", async () => {
    const response = await post("SELECT 1", { no_such_setting: "1" });
    expect(response.status).toBe(404);
    expect(response.headers.get("X-ClickHouse-Exception-Code")).toBe("115");
  });

  test("the database comes from the URL or a header; an unknown one is code 81", async () => {
    expect(await server.query("SELECT currentDatabase()", { database: "system" })).toBe("system\n");
    const byHeader = await post(
      "SELECT currentDatabase()",
      {},
      { headers: { "X-ClickHouse-Database": "system" } },
    );
    expect(await byHeader.text()).toBe("system\n");
    expect(server.query("SELECT 1", { database: "no_such" })).rejects.toThrow("UNKNOWN_DATABASE");
  });

  test.each([
    "",
    "it's",
    'say "x"',
    "back\\slash",
    "\\N",
    "\\'",
    "line\nbreak",
    "tab\tstop",
    "carriage\rreturn",
    "a\0b",
    "Zürich 東京 🚀",
    "{x:String} -- /* `",
    "%25&=+?#",
  ])("the parameter %j arrives as it is, also through the client", async (value) => {
    const [row] = await server.queryJson<{ v: string }>("SELECT {x:String} AS v", { params: { x: value } });
    expect(row?.v).toBe(value);
    const { url, user: username, password } = server;
    const client = createClient({ url, username, password });
    const result = await client.query({
      query: "SELECT {x:String} AS v",
      query_params: { x: value },
      format: "JSONEachRow",
    });
    expect(await result.json<{ v: string }>()).toEqual([{ v: value }]);
    await client.close();
  });

  test("parameters of queries at the same time do not mix", async () => {
    const values = Array.from({ length: 30 }, (_, i) => `value ${i}`);
    const responses = await Promise.all(
      values.map((x) =>
        server.query("SELECT {x:String} FROM numbers(1) WHERE sleep(0.02) = 0", { params: { x } }),
      ),
    );
    expect(responses).toEqual(values.map((x) => `${x}\n`));
  });
});

describe("headers", () => {
  test("name the query, format, time zone and server", async () => {
    const { headers } = await post("SELECT 1 FORMAT CSV", { query_id: "mine" });
    expect(headers.get("X-ClickHouse-Query-Id")).toBe("mine");
    expect(headers.get("X-ClickHouse-Format")).toBe("CSV");
    expect(headers.get("X-ClickHouse-Timezone")).toBe((await server.query("SELECT timezone()")).trim());
    expect(headers.get("X-ClickHouse-Server-Display-Name")).not.toBeNull();
  });
});

test.skipIf(isRealServer)(
  "more queries at a time than there are threads for are refused with code 202",
  async () => {
    const codes = await Promise.all(
      Array.from({ length: 60 }, async () =>
        (await post("SELECT sleep(0.3)")).headers.get("X-ClickHouse-Exception-Code"),
      ),
    );
    // A query of the test before may not have ended.
    const taken = codes.filter((code) => code === null).length;
    expect([MAX_CONCURRENT_QUERIES - 1, MAX_CONCURRENT_QUERIES]).toContain(taken);
    expect(codes.filter((code) => code === "202")).toHaveLength(60 - taken);
  },
);

describe("compression", () => {
  test.each(["gzip", "zstd"])("is %s when the request accepts it", async (encoding) => {
    const response = await post(
      "SELECT number FROM numbers(100000)",
      { enable_http_compression: "1" },
      { headers: { "Accept-Encoding": encoding } },
    );
    expect(response.headers.get("Content-Encoding")).toBe(encoding);
    const rows = (await response.text()).trimEnd().split("\n");
    expect(rows).toHaveLength(100_000);
    expect(rows.at(-1)).toBe("99999");
  });

  test("follows enable_http_compression, which is on by default", async () => {
    const headers = { "Accept-Encoding": "gzip" };
    const asUsual = await post("SELECT 1", {}, { headers });
    expect(asUsual.headers.get("Content-Encoding")).toBe("gzip");
    const off = await post("SELECT 1", { enable_http_compression: "0" }, { headers });
    expect(off.headers.get("Content-Encoding")).toBeNull();
  });

  test.each(["gzip", "zstd", "deflate"] as const)("of a statement may be %s", async (encoding) => {
    const response = await post(
      "",
      {},
      { body: compressed("SELECT 42", encoding), headers: { "Content-Encoding": encoding } },
    );
    expect(await response.text()).toBe("42\n");
  });
});

function compressed(text: string, encoding: "gzip" | "zstd" | "deflate"): Uint8Array {
  const bytes = Buffer.from(text);
  if (encoding === "gzip") return Bun.gzipSync(bytes);
  if (encoding === "zstd") return Bun.zstdCompressSync(bytes);
  return new Uint8Array(deflateSync(bytes));
}
