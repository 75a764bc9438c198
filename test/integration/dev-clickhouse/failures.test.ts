import { beforeAll, describe, expect, test } from "bun:test";
import { type IncomingHttpHeaders, request } from "node:http";
import { connect } from "node:net";
import { ClickHouseLogLevel, createClient } from "@clickhouse/client";
import { startDevServer, type TestServer, testServer } from "../../../scripts/testbed/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});

const FAILS_LATE = "SELECT number, throwIf(number = 2000000) AS x FROM numbers(5000000)";

async function post(sql: string, parameters: Record<string, string> = {}): Promise<Response> {
  return await fetch(`${server.url}?${new URLSearchParams(parameters)}`, {
    method: "POST",
    body: sql,
    headers: { "X-ClickHouse-User": server.user, "X-ClickHouse-Key": server.password },
  });
}

describe("a query that fails at once", () => {
  test.each([
    ["SELEC 1", 400, "62", "SYNTAX_ERROR"],
    ["SELECT nope", 404, "47", "UNKNOWN_IDENTIFIER"],
    ["SELECT * FROM no_such_table", 404, "60", "UNKNOWN_TABLE"],
    ["SELECT throwIf(1)", 500, "395", "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"],
    ["SELECT throwIf(1) FORMAT JSON", 500, "395", "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"],
    ["INSERT INTO no_such_table FORMAT CSV\n1", 404, "60", "UNKNOWN_TABLE"],
    ["INSERT INTO no_such_table SELECT 1", 404, "60", "UNKNOWN_TABLE"],
    ["SELECT 1 INTO OUTFILE '/tmp/x'", 500, "358", "INTO_OUTFILE_NOT_ALLOWED"],
    ["", 400, "62", "SYNTAX_ERROR"],
  ])("%j has status %i and code %s", async (sql, status, code, name) => {
    const response = await post(sql);
    expect(response.status).toBe(status);
    expect(response.headers.get("X-ClickHouse-Exception-Code")).toBe(code);
    expect(await response.text()).toMatch(
      new RegExp(`^Code: ${code}\\. DB::Exception: .* \\(${name}\\) \\(version [\\d.]+.*\\)\\n$`, "s"),
    );
  });

  test("keeps the engine's limits: memory, time, read-only", async () => {
    const settings: Array<[Record<string, string>, string, string]> = [
      [{ max_memory_usage: "10000000" }, "SELECT groupArray(number) FROM numbers(10000000)", "241"],
      [{ max_execution_time: "1" }, "SELECT count() FROM numbers(1000000000000)", "159"],
      [{ readonly: "1" }, "CREATE DATABASE never", "164"],
    ];
    for (const [parameters, sql, code] of settings) {
      expect((await post(sql, parameters)).headers.get("X-ClickHouse-Exception-Code")).toBe(code);
    }
  });
});

// A real server supports both.
describe.skipIf(Boolean(process.env["CLICKHOUSE_TEST_URL"]))("what is not supported is refused", () => {
  test("when it uses a session", async () => {
    expect(await (await post("SELECT 1", { session_id: "s" })).text()).toStartWith("Code: 48.");
  });

  test("when its body is compressed with LZ4", async () => {
    const response = await fetch(`${server.url}?query=INSERT+INTO+t+FORMAT+CSV`, {
      method: "POST",
      body: "1",
      headers: { "Content-Encoding": "lz4" },
    });
    expect(await response.text()).toStartWith("Code: 89.");
  });
});

describe("a query that fails after its first bytes", () => {
  test.each(["TSV", "Native", "JSON"])(
    "ends %s with the tagged exception and a broken transfer",
    async (format) => {
      const { headers, status, body, error } = await download(`${FAILS_LATE} FORMAT ${format}`);
      expect(status).toBe(200);
      expect(error).toBeInstanceOf(Error);
      const tag = headers["x-clickhouse-exception-tag"];
      const tail = body.subarray(-2000).toString("latin1");
      const match = new RegExp(
        `\\r\\n__exception__\\r\\n${tag}\\r\\n(Code: 395\\..*\\n)(\\d+) ${tag}\\r\\n__exception__\\r\\n$`,
        "s",
      ).exec(tail);
      expect(match?.[1]).toContain("FUNCTION_THROW_IF_VALUE_IS_NON_ZERO");
      expect(Number(match?.[2])).toBe(match?.[1]?.length ?? -1);
    },
  );

  test("reaches the client's JSON stream as an exception", async () => {
    const { url, user: username, password } = server;
    const client = createClient({ url, username, password, log: { level: ClickHouseLogLevel.OFF } });
    const result = await client.query({ query: FAILS_LATE, format: "JSONEachRow" });
    const read = async () => {
      for await (const _rows of result.stream()) {
        // Only the end matters.
      }
    };
    await expect(read()).rejects.toThrow("throwIf");
    await client.close();
  });

  test("is a plain error with wait_end_of_query", async () => {
    const sql = "SELECT number, throwIf(number = 200000) AS x FROM numbers(500000)";
    const response = await post(sql, { wait_end_of_query: "1", max_block_size: "1000" });
    expect(response.status).toBe(500);
    expect(await response.text()).toStartWith("Code: 395.");
  });
});

describe("a client that goes away", () => {
  test("in the middle of a response frees the query", async () => {
    const marker = crypto.randomUUID();
    const response = await post(`SELECT number, '${marker}' FROM numbers(1000000000000) FORMAT Native`);
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    await until(async () => (await running(marker)) === 0);
  });

  test("before the first byte frees the query", async () => {
    const marker = crypto.randomUUID();
    const { hostname, port } = new URL(server.url);
    const body = `SELECT sum(number), '${marker}' FROM numbers(1000000000000)`;
    const socket = connect(Number(port), hostname);
    const authorization = Buffer.from(`${server.user}:${server.password}`).toString("base64");
    socket.write(
      `POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic ${authorization}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await until(async () => (await running(marker)) === 1);
    socket.destroy();
    await until(async () => (await running(marker)) === 0);
  });
});

describe("credentials", () => {
  test("are taken from Basic, headers and parameters; wrong ones are code 516", async () => {
    const { url, process: child } = await startDevServer(
      "--temporary",
      "--user",
      "ann",
      "--password",
      "p:w é",
    );
    const basic = (text: string) => ({ Authorization: `Basic ${Buffer.from(text).toString("base64")}` });
    const status = async (parameters: string, headers: Record<string, string>) =>
      (await fetch(`${url}?query=SELECT+1${parameters}`, { headers })).status;
    expect(await status("", basic("ann:p:w é"))).toBe(200);
    expect(await status("&user=ann&password=p:w+%C3%A9", {})).toBe(200);
    for (const [parameters, headers] of [
      ["", {}],
      ["", basic("ann:wrong")],
      ["", basic("bob:p:w é")],
      ["", { "X-ClickHouse-User": "ann", "X-ClickHouse-Key": "wrong" }],
      ["&user=ann", {}],
    ] as const) {
      const response = await fetch(`${url}?query=SELECT+1${parameters}`, { headers });
      expect(response.status).toBe(403);
      expect(response.headers.get("X-ClickHouse-Exception-Code")).toBe("516");
    }
    child.kill();
    expect(await child.exited).toBe(0);
  });
});

/** With node's own client: fetch drops what it has buffered when a transfer breaks off. */
function download(sql: string) {
  const { promise, resolve, reject } = Promise.withResolvers<{
    headers: IncomingHttpHeaders;
    status: number | undefined;
    body: Buffer;
    error: Error | undefined;
  }>();
  const headers = { "X-ClickHouse-User": server.user, "X-ClickHouse-Key": server.password };
  const sending = request(`${server.url}/?max_threads=1`, { method: "POST", headers }, (response) => {
    const chunks: Buffer[] = [];
    let error: Error | undefined;
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.on("error", (reason) => {
      error = reason;
    });
    response.on("close", () => {
      resolve({ headers: response.headers, status: response.statusCode, body: Buffer.concat(chunks), error });
    });
  });
  sending.on("error", reject);
  sending.end(sql);
  return promise;
}

async function running(marker: string): Promise<number> {
  const sql =
    "SELECT count() FROM system.processes WHERE position(query, {marker:String}) > 0 AND query NOT LIKE '%system.processes%'";
  return Number(await server.query(sql, { params: { marker } }));
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await Bun.sleep(10);
}
