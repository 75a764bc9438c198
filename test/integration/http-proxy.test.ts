import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { testServer } from "../../scripts/testbed/server.ts";
import { Server } from "../../src/clickhouse/server.ts";
import { TransportError } from "../../src/clickhouse/server-errors.ts";
import { HttpProxy } from "../support/http-proxy.ts";

const NEVER = new AbortController().signal;
const CERTIFICATES = join(import.meta.dir, "../support/tls");
const CREDENTIALS = "someone:p:w";
const BASIC = `Basic ${Buffer.from(CREDENTIALS).toString("base64")}`;

test("queries and inserts reach the server through an HTTP proxy", async () => {
  const testing = await testServer();
  const database = await testing.createDatabase("proxied");
  await testing.command("CREATE TABLE t (n UInt8) ENGINE = Memory", { database });
  await using proxy = await HttpProxy.start();
  const { url, user, password } = testing;
  const server = new Server({
    url,
    user,
    password,
    database,
    proxy: { host: "127.0.0.1", port: proxy.port, credentials: CREDENTIALS },
  });
  const body = [Buffer.from([1, 2, 1, 0x6e, 5, ...Buffer.from("UInt8"), 7, 8])];
  expect(await server.insert({ sql: "INSERT INTO t (n) FORMAT Native" }, body, NEVER)).toBe(2);
  expect(await server.allRows({ sql: "SELECT n FROM t ORDER BY n" }, NEVER)).toEqual([[7], [8]]);
  server.close();
  expect(proxy.requests.length).toBeGreaterThan(0);
  for (const { line, authorization } of proxy.requests) {
    expect(line).toStartWith(`POST ${new URL(url).origin}/?`);
    expect(authorization).toBe(BASIC);
  }
});

test("TLS goes through a tunnel, and the proxy sees nothing of the request", async () => {
  using behind = Bun.serve({
    port: 0,
    tls: {
      key: readFileSync(join(CERTIFICATES, "server.key")),
      cert: readFileSync(join(CERTIFICATES, "server.pem")),
    },
    fetch: () => new Response("[1]\n", { headers: { "X-ClickHouse-Format": "JSONCompactEachRow" } }),
  });
  await using proxy = await HttpProxy.start();
  const authorities = readFileSync(join(CERTIFICATES, "ca.pem"), "utf8");
  const server = new Server({
    url: `https://localhost:${behind.port}`,
    user: "default",
    password: "",
    database: "d",
    tls: { authorities, client: null },
    proxy: { host: "127.0.0.1", port: proxy.port, credentials: CREDENTIALS },
  });
  expect(await server.allRows({ sql: "SELECT 1" }, NEVER)).toEqual([[1]]);
  server.close();
  expect(proxy.requests).toEqual([
    { line: `CONNECT localhost:${behind.port} HTTP/1.1`, authorization: BASIC },
  ]);
});

test("a proxy that refuses a tunnel is named with its status", async () => {
  await using proxy = await HttpProxy.start();
  proxy.refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
  const server = new Server({
    url: "https://clickhouse.example.com",
    user: "default",
    password: "",
    database: "d",
    proxy: { host: "127.0.0.1", port: proxy.port, credentials: null },
  });
  const error = await server.allRows({ sql: "SELECT 1" }, NEVER).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(TransportError);
  expect((error as Error).message).toBe(
    `Connecting through the proxy 127.0.0.1:${proxy.port}: it responded with HTTP status 407 to CONNECT clickhouse.example.com:443`,
  );
});
