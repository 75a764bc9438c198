import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expectSameRows } from "../../../scripts/testbed/compare.ts";
import { runOptions } from "../../../scripts/testbed/run-options.ts";
import { eventsFullTable, eventsTable } from "../../../scripts/testbed/schema.ts";
import {
  connectTo,
  type DevServerProcess,
  startDevServer,
  type TestServer,
} from "../../../scripts/testbed/server.ts";
import { RunError } from "../../../src/errors.ts";
import { type VerifyResult, verify } from "../../../src/verify/verify.ts";
import { backfill, type RunOutcome } from "../../support/backfill.ts";
import { chooseSeed, generateDataset } from "../../support/generate.ts";
import { writeReference } from "../../support/reference.ts";

const PARTITION = "202511";
const USERS = {
  reader: { settings: { readonly: "1", final: "1", materialized_views_ignore_errors: "1" } },
  "clean reader": { settings: { readonly: "1" } },
  bound: {
    settings: { apply_deleted_mask: "0", max_columns_to_read: "3" },
    constraints: { apply_deleted_mask: "const", insert_deduplicate: { min: "1" } },
  },
  "us:er": { password: "pä%20:ß" },
  filtered: {
    settings: { additional_table_filters: "{'observations':'cityHash64(id) % 2 = 0'}", limit: "7" },
  },
} as const;

let process: DevServerProcess;
let server: TestServer;
let directory: string;
let database: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-users-"));
  writeFileSync(join(directory, "users.json"), JSON.stringify(USERS));
  process = await startDevServer("--temporary", "--users", join(directory, "users.json"));
  server = connectTo(process.url);
  database = await server.createDatabase("users");
  await generateDataset(server, {
    database,
    seed: chooseSeed(),
    observations: 80,
    traces: 20,
    largeInputs: 0,
  });
  await server.command(eventsFullTable("events", { mergesOff: true }), { database });
  await writeReference(server, { database, partition: PARTITION, target: "events" }, "expected");
});
afterAll(async () => {
  process.process.kill("SIGTERM");
  await process.process.exited;
  rmSync(directory, { recursive: true });
});

async function runAs(user: keyof typeof USERS, dryRun = false): Promise<RunOutcome> {
  await server.command("TRUNCATE TABLE events", { database });
  const options = runOptions(server, database, PARTITION, { dryRun, maxRetries: 0 });
  const { password } = { password: "", ...USERS[user] };
  return await backfill({ ...options, connection: { ...options.connection, user, password } });
}

async function refusalOf(user: keyof typeof USERS, dryRun = false): Promise<string> {
  const error = await runAs(user, dryRun).then(
    () => new Error("It was not refused"),
    (thrown: Error) => thrown,
  );
  expect(error).toBeInstanceOf(RunError);
  expect(await server.query("SELECT count() FROM events", { database })).toBe("0\n");
  return error.message;
}

describe("a user who may not change settings", () => {
  test("is refused with all that differ, each with both values and the statement to run", async () => {
    expect((await refusalOf("bound")).split("\n")).toEqual([
      `ClickHouse at ${server.url} does not let user "bound" change settings that decide what is copied`,
      "apply_deleted_mask is '0' and must be '1': rows that a lightweight DELETE removed would come back",
      "  ALTER USER `bound` SETTINGS apply_deleted_mask = '1'",
      "insert_deduplicate is '1' and must be '0': rows that were deleted from the target would not be stored again",
      "  ALTER USER `bound` SETTINGS insert_deduplicate = '0'",
      "An administrator can run these statements, or set the values in the user's profile, or take the constraint or readonly = 1 away.",
    ]);
  });

  test("is refused in a dry run for what decides which rows are read, and for nothing else", async () => {
    const message = await refusalOf("reader", true);
    expect(message).toContain("final is '1' and must be '0'");
    expect(message).not.toContain("materialized_views_ignore_errors");
    expect((await runAs("clean reader", true)).report.outcome).toBe("dry-run");
  });

  test("cannot insert where it may read only, and is refused for that", async () => {
    for (const user of ["reader", "clean reader"] as const) {
      expect(await refusalOf(user)).toContain(
        `lets user "${user}" read only: readonly is 1, which forbids INSERT`,
      );
    }
  });
});

test("a profile that filters and limits decides nothing", async () => {
  const { report } = await runAs("filtered");
  expect(report.outcome).toBe("done");
  await expectSameRows(server, { database, actual: "events", expected: "expected" }, "multiset");
});

test("a name with a colon and a password with odd characters are those of the user", async () => {
  expect((await runAs("us:er", true)).report.outcome).toBe("dry-run");
});

describe("a user who may only read", () => {
  test("verifies a month", async () => {
    await server.command("TRUNCATE TABLE events", { database });
    await server.command("INSERT INTO events SELECT * FROM expected", { database });
    const options = runOptions(server, database, PARTITION, { maxRetries: 0 });
    const verifyAs = async (user: string, target = "events"): Promise<VerifyResult> =>
      await verify(
        {
          backfill: {
            ...options,
            connection: { ...options.connection, user },
            tables: { ...options.tables, target },
          },
          quick: false,
          ignoreNewer: false,
          examples: 5,
          only: null,
        },
        () => {},
        new AbortController().signal,
      );
    const { counts, actualRows } = await verifyAs("clean reader");
    expect(counts).toEqual({ missing: 0, unexpected: 0, stale: 0, differing: 0, newer: 0 });
    expect(actualRows).toBeGreaterThan(50);
    await server.command(eventsTable("events_json"), { database });
    // As text becomes JSON under other settings, what is the same would differ.
    await expect(verifyAs("clean reader", "events_json")).rejects.toThrow(
      "the column metadata cannot be compared",
    );
    await expect(verifyAs("reader")).rejects.toThrow("final is '1' and must be '0'");
  });
});
