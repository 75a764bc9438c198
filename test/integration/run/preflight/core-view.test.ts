import { beforeAll, describe, expect, test } from "bun:test";
import { runOptions } from "../../../../scripts/testbed/run-options.ts";
import { eventsCoreTables, eventsFullTable } from "../../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../../scripts/testbed/server.ts";
import type { BackfillOptions } from "../../../../src/run/backfill-options.ts";
import type { BackfillEvent } from "../../../../src/run/events.ts";
import { backfill } from "../../../support/backfill.ts";
import { chooseSeed, generateDataset } from "../../../support/generate.ts";

const PARTITION = "202511";
const NAMES = { full: "events_full", core: "events_core", view: "events_core_mv" };
const seed = chooseSeed();

let server: TestServer;

beforeAll(async () => {
  server = await testServer();
});

/** A database of Langfuse v4 with a few rows, and its tables as far as `tables` says. */
async function databaseWith(tables: "all" | "no view" | "no core"): Promise<string> {
  const database = await server.createDatabase("core_view");
  await generateDataset(server, { database, seed, observations: 20, traces: 10, largeInputs: 0 });
  const [core, view] = eventsCoreTables(NAMES);
  for (const sql of [eventsFullTable("events_full"), core, ...(tables === "no view" ? [] : [view])]) {
    await server.command(sql, { database });
  }
  if (tables === "no core") await server.command("DROP TABLE events_core SYNC", { database });
  return database;
}

async function run(
  database: string,
  changes: Partial<BackfillOptions> = {},
): Promise<readonly BackfillEvent[]> {
  const tables = { source: "observations", traces: "traces", target: "events_full" };
  const options = runOptions(server, database, PARTITION, {
    layout: "auto",
    allowMissingView: false,
    maxRetries: 0,
    tables,
    ...changes,
  });
  return (await backfill(options)).events;
}

function warningsOf(events: readonly BackfillEvent[]): string[] {
  return events.flatMap((event) => (event.kind === "warning" ? [event.message] : []));
}

describe(`the view that fills events_core, seed ${seed}`, () => {
  test("is required, unless a run may go on without it", async () => {
    const database = await databaseWith("no view");
    const rows = async (): Promise<number> =>
      Number(await server.query("SELECT count() FROM events_full", { database }));
    await expect(run(database)).rejects.toThrow(
      /events_full: no materialized view fills events_core[\s\S]*create events_core and events_core_mv first, or give --allow-missing-view/,
    );
    expect(await rows()).toBe(0);
    expect(warningsOf(await run(database, { allowMissingView: true })).join("\n")).toContain(
      "no materialized view fills events_core",
    );
    expect(await rows()).toBeGreaterThan(0);
  });

  test("must not be broken, whatever a run may do without", async () => {
    const database = await databaseWith("no core");
    const failed = run(database, { allowMissingView: true });
    await expect(failed).rejects.toThrow(
      /its view `.*`\.`events_core_mv` is broken, so that every INSERT fails: .*events_core/,
    );
  });

  test("is not needed by the events layout", async () => {
    const database = await databaseWith("no view");
    expect(warningsOf(await run(database, { layout: "events" }))).toEqual([]);
  });
});

test("backfilled rows of somebody else are a warning, and this program's own are none", async () => {
  const database = await databaseWith("all");
  await server.command(
    `INSERT INTO events_full (project_id, trace_id, span_id, start_time, source) VALUES ('p', 't', 's', '2025-11-02 00:00:00', 'otel-backfill')`,
    { database },
  );
  const isOfOthers =
    /already has backfilled rows of 202511[\s\S]*LANGFUSE_BACKGROUND_MIGRATION_V4_ENABLE_HISTORIC_BACKFILL=false/;
  expect(warningsOf(await run(database)).join("\n")).toMatch(isOfOthers);
  // What this program would write next to its own rows of another phase.
  expect(warningsOf(await run(database, { only: ["observations"] }))).toEqual([]);
  const fresh = await databaseWith("all");
  expect(warningsOf(await run(fresh))).toEqual([]);
});
