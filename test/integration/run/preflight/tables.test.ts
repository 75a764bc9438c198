import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  eventsFullTable,
  eventsTable,
  observationsTable,
  tracesTable,
} from "../../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../../scripts/testbed/server.ts";
import type { ConnectionSettings } from "../../../../src/clickhouse/connection.ts";
import { Server } from "../../../../src/clickhouse/server.ts";
import { RunError } from "../../../../src/errors.ts";
import { PHASES } from "../../../../src/plan/phases.ts";
import type { BackfillOptions } from "../../../../src/run/backfill-options.ts";
import { connect } from "../../../../src/run/preflight/connect.ts";
import { EXPECTATIONS, engineProblems } from "../../../../src/run/preflight/engines.ts";
import { checkTables } from "../../../../src/run/preflight/preflight.ts";

const RETRY = { maxRetries: 0, onRetry: () => {}, signal: new AbortController().signal };
let testing: TestServer;
let server: Server;
let database: string;

beforeAll(async () => {
  testing = await testServer();
  database = await testing.createDatabase("preflight");
  server = new Server(connection());
});

afterAll(() => server.close());

function connection(changes: Partial<ConnectionSettings> = {}): ConnectionSettings {
  return { url: testing.url, user: testing.user, password: testing.password, database, ...changes };
}

function optionsFor(
  tables: Partial<BackfillOptions["tables"]> = {},
  changes: Partial<ConnectionSettings> = {},
): BackfillOptions {
  return {
    partition: "202503",
    connection: connection(changes),
    tables: { source: "observations", traces: "traces", target: "events", ...tables },
    datasetRunItemsTable: "dataset_run_items_rmt",
    layout: "events",
    engine: "client",
    serverMemoryBytes: null,
    only: PHASES,
    allowMissingView: false,
    batchSizeRows: 10,
    insertRows: 100,
    streamBlockSizeRows: 10,
    dryRun: false,
    maxRetries: 0,
    maxWaitMs: 0,
    parallelWorkers: 1,
    cores: 1,
    traceWindowDays: 2,
    ignoreTtl: false,
    workerUrl: new URL("file:///none"),
  };
}

async function messageOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
  } catch (error) {
    expect(error).toBeInstanceOf(RunError);
    return (error as RunError).message;
  }
  throw new Error("An error was expected");
}

describe("the check of the tables", () => {
  beforeAll(async () => {
    for (const sql of [
      observationsTable("observations"),
      tracesTable("traces"),
      eventsTable("events"),
      eventsFullTable("events_full"),
      observationsTable("no keys", { engine: "Memory" }),
    ]) {
      await testing.command(sql, { database });
    }
  });

  test("views of the target are found, since their rows count in the response to an INSERT", async () => {
    const retry = { maxRetries: 0, onRetry: () => {}, signal: new AbortController().signal };
    await testing.command(eventsTable("viewed"), { database });
    const before = await checkTables(server, optionsFor({ target: "viewed" }), retry);
    const view = "CREATE MATERIALIZED VIEW viewed_mv ENGINE = Memory AS SELECT span_id FROM viewed";
    await testing.command(view, { database });
    const after = await checkTables(server, optionsFor({ target: "viewed" }), retry);
    expect([before.targetHasViews, after.targetHasViews]).toEqual([false, true]);
  });

  test("takes Langfuse's tables", async () => {
    for (const target of ["events", "events_full"]) {
      const { mapping } = await checkTables(server, optionsFor({ target }), RETRY);
      expect(mapping.copied.length).toBeGreaterThan(20);
      expect(mapping.tagsBecomeMetadata).toBe(false);
    }
  });

  test("says first which tables are missing, all of them", async () => {
    const message = await messageOf(
      checkTables(server, optionsFor({ source: "o'`s", target: "gone" }), RETRY),
    );
    const [first, ...rest] = message.split("\n");
    expect(first).toContain(`Table "o'\`s", "gone" is missing in database "${database}"`);
    expect(rest.some((line) => line.startsWith("o'`s: "))).toBe(true);
    expect(rest.some((line) => line.startsWith("gone: "))).toBe(true);
    // The columns of a missing table are not reported as well.
    expect(message).not.toContain("column");
  });

  test("lists what is wrong with every table at once", async () => {
    await testing.command(
      "CREATE TABLE odd_target (project_id String, start_time DateTime) ENGINE = Memory",
      { database },
    );
    const message = await messageOf(
      checkTables(server, optionsFor({ source: "no keys", target: "odd_target" }), RETRY),
    );
    for (const part of [
      "no keys: engine Memory",
      "no keys: sorting key ()",
      "no keys: partition key ",
      "odd_target: engine Memory",
      "odd_target: column span_id is missing",
      "odd_target: column start_time has type DateTime, expected",
      "odd_target: column event_ts is missing",
    ]) {
      expect(message).toContain(part);
    }
  });
});

describe("the check of engines and keys", () => {
  const FINAL_GOES_WRONG = "FINAL would take old versions or deleted rows for current ones";

  /** The problems reported when one table of the fixtures is replaced by another. */
  async function problemsOf(
    role: "source" | "traces" | "target",
    from: string,
    to: string,
  ): Promise<readonly string[]> {
    const table = { source: observationsTable, traces: tracesTable, target: eventsTable }[role]("odd");
    expect(table).toContain(from);
    const scope = await testing.createDatabase("preflight_engine");
    for (const sql of [
      observationsTable("observations"),
      tracesTable("traces"),
      eventsTable("events"),
      table.replace(from, to),
    ]) {
      await testing.command(sql, { database: scope });
    }
    const options = optionsFor({ [role]: "odd" }, { database: scope });
    return (await messageOf(checkTables(server, options, RETRY))).split("\n").slice(1, -1);
  }

  for (const role of ["source", "traces"] as const) {
    test.each([
      ["ReplacingMergeTree(event_ts)", "ReplacingMergeTree(event_ts)"],
      ["ReplacingMergeTree", "ReplacingMergeTree()"],
      ["ReplacingMergeTree(updated_at, is_deleted)", "ReplacingMergeTree(updated_at, is_deleted)"],
    ])(`${role} as %s`, async (engine, reported) => {
      expect(await problemsOf(role, "ReplacingMergeTree(event_ts, is_deleted)", engine)).toEqual([
        `odd: engine ${reported}, expected the arguments (event_ts, is_deleted): ${FINAL_GOES_WRONG}`,
      ]);
    });

    test(`${role} as a MergeTree`, async () => {
      expect(await problemsOf(role, "ReplacingMergeTree(event_ts, is_deleted)", "MergeTree")).toEqual([
        `odd: engine MergeTree, expected a ReplacingMergeTree: FINAL finds the newest version of a row in no other`,
      ]);
    });
  }

  test("a target as a MergeTree", async () => {
    expect(await problemsOf("target", "ReplacingMergeTree(event_ts, is_deleted)", "MergeTree")).toEqual([
      "odd: engine MergeTree, expected a ReplacingMergeTree: others keep the rows of a repeated insert twice",
    ]);
  });

  test("other keys of the traces", async () => {
    expect(await problemsOf("traces", "PARTITION BY toYYYYMM(timestamp)", "")).toEqual([
      "odd: partition key (), expected toYYYYMM(timestamp)",
    ]);
    const key = "ORDER BY (project_id, toDate(timestamp), id)";
    expect(await problemsOf("traces", key, key.replace("id)", "id, name)"))).toEqual([
      "odd: sorting key (project_id, toDate(timestamp), id, name), expected (project_id, toDate(timestamp), id)",
    ]);
  });

  test("takes the target Null, which keeps nothing", async () => {
    await testing.command(eventsTable("events_null", { engine: "Null" }), { database });
    const { mapping } = await checkTables(server, optionsFor({ target: "events_null" }), RETRY);
    expect(mapping.copied.length).toBeGreaterThan(20);
  });

  // The local server has no keeper for replicated tables.
  test.each([
    ["'/clickhouse/tables/{uuid}/{shard}', '{replica}', event_ts, is_deleted", true],
    ["'/it\\'s (1)/a', '{replica}', event_ts, is_deleted", true],
    ["'/a', '{replica}', event_ts", false],
    ["'/a', '{replica}'", false],
    ["'/event_ts, is_deleted', 'a, event_ts, is_deleted'", false],
    ["'/a', '{replica}', old_event_ts, is_deleted", false],
  ])("the arguments (%s) of a replicated engine", (given, isRight) => {
    for (const engine of ["ReplicatedReplacingMergeTree", "SharedReplacingMergeTree"]) {
      const { sortingKey, partitionKey } = EXPECTATIONS.source;
      const engineFull = `${engine}(${given}) PARTITION BY ${partitionKey} ORDER BY (${sortingKey}) SETTINGS a = ')'`;
      const facts = { engine, engineFull, sortingKey, partitionKey, createQuery: "", hasViews: false };
      expect(engineProblems("observations", EXPECTATIONS.source, facts)).toEqual(
        isRight
          ? []
          : [
              `observations: engine ${engine}(${given}), expected the arguments (event_ts, is_deleted): ${FINAL_GOES_WRONG}`,
            ],
      );
    }
  });
});

test("a missing database is reported first, and once", async () => {
  const lines = (
    await messageOf(checkTables(server, optionsFor({}, { database: "there is none" }), RETRY))
  ).split("\n");
  expect(lines).toHaveLength(3);
  expect(lines[0]).toBe(`Database "there is none" is missing at ${testing.url}`);
  expect(lines[1]).toStartWith("there is none: Code: 81. ");
  expect(lines[2]).toStartWith("Check --clickhouse-db, ");
});

describe("connecting", () => {
  test("returns the server's version", async () => {
    expect((await connect(server, optionsFor(), RETRY)).serverVersion).toMatch(/^\d+\.\d+/);
  });

  test("reports first that no server responds", async () => {
    const url = "http://127.0.0.1:1";
    const nobody = new Server(connection({ url }));
    const message = await messageOf(connect(nobody, optionsFor({}, { url }), RETRY));
    expect(message).toStartWith(`No ClickHouse server responds at ${url}`);
    await nobody.close();
  });

  test("reports first that the database is missing", async () => {
    const other = new Server(connection({ database: "there is none" }));
    const message = await messageOf(connect(other, optionsFor({}, { database: "there is none" }), RETRY));
    expect(message.split("\n")[0]).toContain('has no database "there is none"');
    await other.close();
  });
});
