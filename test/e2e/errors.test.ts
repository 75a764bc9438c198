import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { eventsTable, observationsTable, tracesTable } from "../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../scripts/testbed/server.ts";
import { type CliOutcome, readStderr, runCli } from "../support/cli.ts";
import { temporaryDirectory } from "../support/cli-directory.ts";
import { FaultProxy } from "../support/fault-proxy.ts";
import { serverError } from "../support/fault-proxy-faults.ts";

let server: TestServer;
let proxy: FaultProxy;
let cwd = "";
beforeAll(async () => {
  server = await testServer();
  proxy = await FaultProxy.start(server.url);
  cwd = temporaryDirectory("clickhouse-backfill-e2e-");
});
afterAll(() => proxy.close());

/** Runs against the test server, as its user, unless the flags set something else. */
async function run(...flags: string[]): Promise<CliOutcome> {
  const environment = {
    PARTITION: "202511",
    CLICKHOUSE_URL: server.url,
    CLICKHOUSE_USER: server.user,
    CLICKHOUSE_PASSWORD: server.password,
    MAX_RETRIES: "1",
  };
  return await runCli(flags, { cwd, environment });
}

/** Expects a failure, and that it leaves neither checkpoint nor lock; returns the lines that report it. */
async function failureOf(flags: readonly string[], code = 1): Promise<readonly string[]> {
  const outcome = await run(...flags);
  expect(outcome).toMatchObject({ code, stdout: "" });
  expect(readdirSync(cwd)).toEqual([]);
  return readStderr(outcome).failure;
}

async function databaseWith(...statements: readonly string[]): Promise<string> {
  const database = await server.createDatabase("e2e_errors");
  for (const sql of statements) await server.command(sql, { database });
  return database;
}

describe("the first line says what is wrong, the last one what to check:", () => {
  test("no server at the URL", async () => {
    const closed = await FaultProxy.start(server.url);
    await closed.close();
    const lines = await failureOf([`--clickhouse-url=${closed.url}`]);
    expect(lines[0]).toBe(`No ClickHouse server responds at ${closed.url}`);
    expect(lines.at(-1)).toContain("--clickhouse-url");
  });

  test("a name that does not exist", async () => {
    const lines = await failureOf(["--clickhouse-url=http://no-such-host.invalid:8123"]);
    expect(lines[0]).toBe("No ClickHouse server responds at http://no-such-host.invalid:8123");
  });

  test("something else at the URL", async () => {
    using other = Bun.serve({ port: 0, fetch: () => new Response("<html>Hello</html>") });
    const url = other.url.origin;
    const lines = await failureOf([`--clickhouse-url=${url}`]);
    expect(lines[0]).toBe(`No ClickHouse server responds at ${url}`);
    expect(lines[1]).toBe(
      `${url} responded, not ClickHouse, with HTTP status 200 and a page that begins "<html>Hello</html>". Is there a proxy, a load balancer or a login page in between?`,
    );
  });

  test("a response with nothing in it", async () => {
    using other = Bun.serve({ port: 0, fetch: () => new Response("") });
    const url = other.url.origin;
    const lines = await failureOf([`--clickhouse-url=${url}`]);
    expect(lines[0]).toBe(`No ClickHouse server responds at ${url}`);
  });

  test("a wrong password", async () => {
    const lines = await failureOf(["--clickhouse-password=wrong-pa55word"]);
    expect(lines[0]).toBe(`ClickHouse at ${server.url} refuses user "${server.user}"`);
    expect(lines[1]).toStartWith("Code: 516. ");
    expect(lines.at(-1)).toBe("Check --clickhouse-user and --clickhouse-password.");
    expect(lines.join("\n")).not.toContain("wrong-pa55word");
  });

  test("no such database", async () => {
    const lines = await failureOf(["--clickhouse-db=no_such_database"]);
    expect(lines[0]).toBe(`ClickHouse at ${server.url} has no database "no_such_database"`);
    expect(lines[1]).toStartWith("Code: 81. ");
  });

  test("a server that is too old", async () => {
    proxy.reset();
    proxy.on(
      { on: /version\(\)/ },
      { kind: "edit", body: (body) => Buffer.from(body.toString().replace(/\d+\.[\d.]+/, "23.12.4.15")) },
    );
    const [first] = await failureOf([`--clickhouse-url=${proxy.url}`]);
    expect(first).toBe(`ClickHouse 23.12.4.15 at ${proxy.url} is too old: 24.3 or later is needed`);
  });
});

describe("tables are checked before anything is copied:", () => {
  test("all missing tables are named at once", async () => {
    const database = await databaseWith();
    const [first, ...others] = await failureOf([`--clickhouse-db=${database}`]);
    expect(first).toBe(
      `Table "observations", "traces", "events" is missing in database "${database}" at ${server.url}`,
    );
    for (const table of ["observations", "traces", "events"]) {
      expect(others.filter((line) => line.startsWith(`${table}: Code: 60. `))).toHaveLength(1);
    }
    expect(others.at(-1)).toContain("--target-table");
  });

  test("a missing table, missing columns and wrong types are reported together", async () => {
    const database = await databaseWith(
      observationsTable("observations"),
      "ALTER TABLE observations DROP COLUMN level, DROP COLUMN environment",
      eventsTable("events"),
      "ALTER TABLE events DROP COLUMN level",
      "ALTER TABLE events DROP COLUMN tags, ADD COLUMN tags UInt8",
    );
    const [first, ...others] = await failureOf([`--clickhouse-db=${database}`]);
    expect(first).toContain(`Table "traces" is missing in database "${database}"`);
    const text = others.join("\n");
    expect(text).toMatch(/^traces: Code: 60\. /m);
    expect(text).toMatch(/^events: .*\btags\b.*UInt8/m);
  });

  test("what the mapping cannot use is listed in full", async () => {
    const database = await databaseWith(
      observationsTable("observations", { generation: "old" }),
      "ALTER TABLE observations DROP INDEX idx_trace_id",
      "ALTER TABLE observations DROP COLUMN trace_id, DROP COLUMN end_time, ADD COLUMN end_time String",
      tracesTable("traces"),
      "ALTER TABLE traces DROP COLUMN user_id, ADD COLUMN user_id UInt64",
      eventsTable("events"),
      "ALTER TABLE events DROP COLUMN name, DROP COLUMN session_id, ADD COLUMN session_id UInt64",
    );
    const [first, ...others] = await failureOf([`--clickhouse-db=${database}`]);
    expect(first).toBe(`The tables in database "${database}" at ${server.url} cannot be used`);
    expect(others.slice(0, -1).sort()).toEqual([
      "events: column session_id has type UInt64, expected String",
      "observations: column end_time has type String, expected Nullable(DateTime64)",
      "observations: column trace_id is missing",
      "traces: column user_id has type UInt64, expected Nullable(String)",
    ]);
  });

  test("a source of another engine is refused", async () => {
    const database = await databaseWith(
      observationsTable("observations", { engine: "Memory" }),
      tracesTable("traces"),
      eventsTable("events"),
    );
    const [first, ...others] = await failureOf([`--clickhouse-db=${database}`]);
    expect(first).toBe(`The tables in database "${database}" at ${server.url} cannot be used`);
    expect(others).toContain(
      "observations: engine Memory, expected a ReplacingMergeTree: FINAL finds the newest version of a row in no other",
    );
  });

  test("a target that would keep the rows of a repeated insert twice is refused", async () => {
    const database = await databaseWith(
      observationsTable("observations"),
      tracesTable("traces"),
      eventsTable("events", { engine: "Memory" }),
    );
    const lines = await failureOf([`--clickhouse-db=${database}`]);
    expect(lines.slice(1, -1)).toEqual([
      "events: engine Memory, expected a ReplacingMergeTree: others keep the rows of a repeated insert twice",
    ]);
  });

  test("a table that the user has no grant for is reported with the others", async () => {
    const database = await databaseWith(
      observationsTable("observations", { engine: "Memory" }),
      tracesTable("traces"),
    );
    // The local server has one user, who may read everything.
    proxy.reset();
    const rule = proxy.on(
      { on: /DESCRIBE TABLE .*traces/ },
      serverError(403, 497, "Not enough privileges", "ACCESS_DENIED"),
    );
    const [first, ...others] = await failureOf([
      `--clickhouse-db=${database}`,
      `--clickhouse-url=${proxy.url}`,
    ]);
    expect(rule.applied).toBe(1);
    expect(first).toBe(`Table "events" is missing in database "${database}" at ${proxy.url}`);
    expect(others.filter((line) => line.startsWith("traces: "))).toEqual([
      expect.stringMatching(/^traces: Code: 497\. .*Not enough privileges/),
    ]);
    expect(others.filter((line) => line.startsWith("events: Code: 60. "))).toHaveLength(1);
    expect(others.filter((line) => line.startsWith("observations: engine Memory"))).toHaveLength(1);
  });
});

describe("usage", () => {
  test.each([
    [
      ["--partition=202513"],
      '--partition "202513": expected a month as YYYYMM from 190001 to 229912, such as 202501',
    ],
    [["--batch-size=0"], '--batch-size "0": expected '],
    [["--clickhouse-url=localhost:8123"], '--clickhouse-url "localhost:8123": expected '],
    [["--no-such-flag"], 'unknown option "--no-such-flag": '],
  ])("%j ends with code 2 and one line", async (flags, line) => {
    const lines = await failureOf(flags, 2);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toStartWith(line);
  });

  test("a missing partition ends with code 2 and one line", async () => {
    const outcome = await runCli([], { cwd });
    expect(outcome).toMatchObject({ code: 2, stdout: "" });
    expect(outcome.stderr).toMatch(/^--partition \(or PARTITION\) is missing: .*\n$/);
  });
});
