import { join } from "node:path";
import { identifier } from "../../src/clickhouse/sql.ts";
import { THREAD_POOL_SIZE } from "../dev-clickhouse/threads.ts";

export interface QueryOptions {
  readonly database?: string;
  /** Values of `{name:Type}` parameters; text goes in as it is. */
  readonly params?: Readonly<Record<string, string | number>>;
  readonly settings?: Readonly<Record<string, string | number>>;
}

/** The ClickHouse that integration tests talk to. Failures throw an Error with the server's own text. */
export interface TestServer {
  readonly url: string;
  readonly user: string;
  readonly password: string;
  /** Makes an empty database under a name of its own; it goes away after the tests. */
  createDatabase(prefix?: string): Promise<string>;
  /** The response as text, in the statement's FORMAT or as TabSeparated. */
  query(sql: string, options?: QueryOptions): Promise<string>;
  /** The rows of a SELECT without FORMAT; 64-bit integers arrive as numbers, exact up to 2^53. */
  queryJson<Row>(sql: string, options?: QueryOptions): Promise<Row[]>;
  command(sql: string, options?: QueryOptions): Promise<void>;
  /** Sends `body` as the data of `INSERT … FORMAT …`; returns the rows that the server says it wrote. */
  insertRaw(sql: string, body: Uint8Array, options?: QueryOptions): Promise<number>;
  fetchBytes(sql: string, options?: QueryOptions): Promise<Uint8Array>;
}

/** A process of `scripts/dev-clickhouse.ts`. */
export interface DevServerProcess {
  readonly url: string;
  readonly process: Bun.Subprocess<"ignore", "pipe", "inherit">;
}

let shared: Promise<TestServer> | undefined;
/** Of the local server. */
let isAlive = () => true;

/**
 * One server for the whole test process: a local one on a fresh data directory, started with the first call, or the one
 * that CLICKHOUSE_TEST_URL names (credentials in its user info).
 */
export function testServer(): Promise<TestServer> {
  // When a test times out, bun test kills the processes that tests have started: other files need a new server.
  if (!isAlive()) shared = undefined;
  shared ??= start();
  return shared;
}

/** Starts a server on a free port with the given flags; it ends with this process at the latest. */
export function startDevServer(...flags: string[]): Promise<DevServerProcess> {
  return startDevServerIn(process.cwd(), ...flags);
}

/** The same in another working directory, where the engine creates the files that relative paths in settings name. */
export async function startDevServerIn(cwd: string, ...flags: string[]): Promise<DevServerProcess> {
  const script = join(import.meta.dir, "../dev-clickhouse.ts");
  const child = Bun.spawn(
    [process.execPath, script, "--port", "0", "--exit-with-parent", ...flags],
    // With the variable set the script is the server itself and not its launcher, so that signals reach it.
    {
      cwd,
      env: { ...process.env, UV_THREADPOOL_SIZE: String(THREAD_POOL_SIZE) },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let output = "";
  for await (const bytes of child.stdout) {
    output += Buffer.from(bytes).toString();
    const url = /^listening on (\S+)\n/.exec(output)?.[1];
    if (url !== undefined) return { url, process: child };
  }
  throw new Error(`The local ClickHouse did not start (exit code ${await child.exited})`);
}

/** Talks to a server over plain HTTP. */
export function connectTo(url: string, user = "default", password = ""): TestServer {
  const send = async (sql: string, options: QueryOptions, body?: Uint8Array): Promise<Response> => {
    const target = new URL(url);
    const { searchParams } = target;
    if (options.database !== undefined) searchParams.set("database", options.database);
    for (const [name, value] of Object.entries(options.settings ?? {})) searchParams.set(name, String(value));
    for (const [name, value] of Object.entries(options.params ?? {})) {
      searchParams.set(`param_${name}`, escapeParameter(String(value)));
    }
    if (body !== undefined) searchParams.set("query", sql);
    const response = await fetch(target, {
      method: "POST",
      body: body ?? sql,
      headers: { "X-ClickHouse-User": asBytes(user), "X-ClickHouse-Key": asBytes(password) },
    });
    if (!response.ok || response.headers.has("X-ClickHouse-Exception-Code")) {
      throw new Error((await response.text()).trim());
    }
    return response;
  };
  const server: TestServer = {
    url,
    user,
    password,
    createDatabase: async (prefix = "test") => {
      const name = `${prefix}_${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`;
      await server.command(`CREATE DATABASE ${identifier(name)}`);
      return name;
    },
    query: async (sql, options = {}) => await (await send(sql, options)).text(),
    queryJson: async <Row>(sql: string, options: QueryOptions = {}) => {
      const settings = {
        ...options.settings,
        default_format: "JSONEachRow",
        output_format_json_quote_64bit_integers: 0,
      };
      const lines = (await server.query(sql, { ...options, settings })).split("\n");
      return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Row);
    },
    command: async (sql, options = {}) => void (await (await send(sql, options)).arrayBuffer()),
    insertRaw: async (sql, body, options = {}) => {
      const response = await send(sql, options, body);
      await response.arrayBuffer();
      const summary = JSON.parse(response.headers.get("X-ClickHouse-Summary") ?? "{}") as {
        written_rows?: string;
      };
      return Number(summary.written_rows);
    },
    fetchBytes: async (sql, options = {}) => new Uint8Array(await (await send(sql, options)).arrayBuffer()),
  };
  return server;
}

async function start(): Promise<TestServer> {
  const external = process.env["CLICKHOUSE_TEST_URL"];
  if (external) return droppingDatabases(connectToUrl(external));
  const { url, process: child } = await startDevServer("--temporary");
  isAlive = () => child.exitCode === null && child.signalCode === null;
  return connectTo(url);
}

/** A real server outlives the tests, so their databases must go. */
function droppingDatabases(server: TestServer): TestServer {
  const script = join(import.meta.dir, "drop-databases.ts");
  const child = Bun.spawn([process.execPath, script, server.url, server.user, server.password], {
    stdio: ["pipe", "inherit", "inherit"],
  });
  child.unref();
  return {
    ...server,
    createDatabase: async (prefix) => {
      const name = await server.createDatabase(prefix);
      child.stdin.write(`${name}\n`);
      await child.stdin.flush();
      return name;
    },
  };
}

/** Talks to the server of an address with credentials in its user info. */
export function connectToUrl(address: string): TestServer {
  const url = new URL(address);
  const user = decodeURIComponent(url.username) || "default";
  const password = decodeURIComponent(url.password);
  url.username = "";
  url.password = "";
  // As the local server's: callers put paths after it.
  return connectTo(url.href.replace(/\/$/, ""), user, password);
}

/** fetch writes a header's text as Latin-1; ClickHouse compares the bytes of UTF-8. */
function asBytes(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** ClickHouse reads parameter values in TabSeparated's escaping. */
function escapeParameter(value: string): string {
  return value
    .replaceAll("\\", "\\\\")
    .replaceAll("\t", "\\t")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r")
    .replaceAll("\0", "\\0");
}
