import { expect, test } from "bun:test";
import { runOptions } from "../../../scripts/testbed/run-options.ts";
import { eventsFullTable } from "../../../scripts/testbed/schema.ts";
import { testServer } from "../../../scripts/testbed/server.ts";
import { type LoadLimits, type LoadTimes, watchLoad } from "../../../src/run/load-watch.ts";
import { Throttler } from "../../../src/throttle/throttler.ts";

const TIMES: LoadTimes = { queryEveryMs: 100, partsEveryMs: 100, maxQueryMs: 2_000 };

/** A target with so many active parts in 202501, and one in another month. */
async function watched(
  parts: number,
  limits: LoadLimits,
  prepare: (database: string) => Promise<void> = async () => {},
) {
  const server = await testServer();
  const database = await server.createDatabase("load");
  await server.command(eventsFullTable("events", { mergesOff: true }), { database });
  const insert = async (time: string): Promise<void> =>
    await server.command(
      `INSERT INTO events (project_id, trace_id, span_id, start_time) VALUES ('p', 't', '${time}', '${time}')`,
      { database },
    );
  for (let part = 0; part < parts; part++) await insert(`2025-01-0${part + 1} 00:00:00`);
  await insert("2025-02-01 00:00:00");
  await prepare(database);
  const throttler = new Throttler();
  const warnings: string[] = [];
  const stop = new AbortController();
  const watch = watchLoad(
    {
      options: runOptions(server, database, "202501"),
      throttler,
      partition: () => "202501",
      onWarning: (message) => warnings.push(message),
      stop: stop.signal,
    },
    limits,
    TIMES,
  );
  return { server, database, throttler, warnings, stop, watch };
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let waits = 0; waits < 200 && !isTrue(); waits++) await Bun.sleep(50);
}

test("a run is paused while the target has too many parts in the month, and goes on afterwards", async () => {
  const limits = { pauseWhen: null, maxActiveParts: 4 };
  const { server, database, throttler, warnings, watch } = await watched(5, limits);
  const stopWatching = await watch;
  expect(throttler.state.pausedFor).toEqual(["events has 5 active parts, of at most 4"]);
  await server.command("OPTIMIZE TABLE events PARTITION 202501 FINAL", { database });
  await until(() => !throttler.isPaused);
  expect(throttler.isPaused).toBe(false);
  stopWatching();
  expect(warnings).toEqual([]);
});

test("as many parts as are allowed pause nothing, and other months do not count", async () => {
  const { throttler, watch } = await watched(3, { pauseWhen: null, maxActiveParts: 3 });
  (await watch)();
  expect(throttler.isPaused).toBe(false);
});

test.each([
  ["SELECT 1", true],
  ["SELECT 1 AS a, 0 AS b;", true],
  ["SELECT true", true],
  ["SELECT count() > 0 FROM system.one", true],
  ["SELECT 0", false],
  ["SELECT 2", false],
  ["SELECT 1 WHERE 0", false],
  ["SELECT '1'", true],
])("--pause-when %j", async (pauseWhen, isPaused) => {
  const { throttler, watch } = await watched(0, { pauseWhen, maxActiveParts: null });
  (await watch)();
  expect(throttler.isPaused).toBe(isPaused);
});

test.each([
  ["SELECT nonsense", /^Running the query of --pause-when: Code: 47\. /],
  ["DROP TABLE events", /^Running the query of --pause-when: Code: 62\. /],
  ["SELECT sleep(3)", /^Running the query of --pause-when: no result within 2 s$/],
])("--pause-when %j ends the run before it begins", async (pauseWhen, message) => {
  const { server, database, watch } = await watched(0, { pauseWhen, maxActiveParts: null });
  await expect(watch).rejects.toThrow(message);
  expect(Number(await server.query("SELECT count() FROM events", { database }))).toBe(1);
});

test("the query of --pause-when is run again and again; where it fails the run stays as it is", async () => {
  const limits = { pauseWhen: "SELECT busy FROM load", maxActiveParts: null };
  const { server, database, throttler, warnings, watch } = await watched(0, limits, async (database) => {
    await (await testServer()).command(
      "CREATE TABLE load ENGINE = MergeTree ORDER BY () AS SELECT 1 AS busy",
      { database },
    );
  });
  const stopWatching = await watch;
  expect(throttler.isPaused).toBe(true);
  await server.command("RENAME TABLE load TO elsewhere", { database });
  await until(() => warnings.length > 0);
  expect(warnings.join()).toMatch(
    /^Running the query of --pause-when: Code: 60\. .*; the run stays as it is$/,
  );
  expect(throttler.isPaused).toBe(true);
  // It is run some more times.
  await Bun.sleep(300);
  await server.command("CREATE TABLE load ENGINE = MergeTree ORDER BY () AS SELECT 0 AS busy", { database });
  await until(() => !throttler.isPaused);
  expect(throttler.isPaused).toBe(false);
  // The same failure is not said twice; while the table comes into being there may be another one.
  const codes = warnings.map((warning) => /Code: (\d+)/.exec(warning)?.[1] ?? warning);
  expect(codes).toEqual([...new Set(codes)]);
  stopWatching();
});

test("a failure of the query of --pause-when that may pass is said once, too", async () => {
  const pauseWhen = `SELECT throwIf(max(busy) = 2, 'too busy', 241::Int16) FROM load
    SETTINGS allow_custom_error_code_in_throwif = 1`;
  const limits = { pauseWhen, maxActiveParts: null };
  const { server, database, warnings, watch } = await watched(0, limits, async (database) => {
    await (await testServer()).command(
      "CREATE TABLE load ENGINE = MergeTree ORDER BY () AS SELECT 0::UInt8 AS busy",
      { database },
    );
  });
  const stopWatching = await watch;
  await server.command("INSERT INTO load VALUES (2)", { database });
  await until(() => warnings.length > 0);
  // It is run some more times.
  await Bun.sleep(500);
  stopWatching();
  expect(warnings).toEqual([expect.stringMatching(/: Code: 241\. .*; the run stays as it is$/)]);
});
