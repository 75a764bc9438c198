import { beforeAll, describe, expect, test } from "bun:test";
import { expectSameRows } from "../../../scripts/testbed/compare.ts";
import { runOptions } from "../../../scripts/testbed/run-options.ts";
import {
  eventsFullTable,
  eventsTable,
  observationsTable,
  tracesTable,
} from "../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import { backfill } from "../../support/backfill.ts";
import { chooseSeed, generateDataset } from "../../support/generate.ts";
import { writeReference } from "../../support/reference.ts";
import { sampled } from "../../support/sampled.ts";

const seed = chooseSeed();
const OBSERVATIONS = 800;
const TRACES = 250;
const PARTITION = "202511";

let server: TestServer;

beforeAll(async () => {
  server = await testServer();
});

/** Runs into a fresh target table of the given DDL and compares what it holds with the reference. */
async function runAndCompare(
  database: string,
  target: string,
  overrides: Parameters<typeof runOptions>[3] = {},
): Promise<number> {
  const options = runOptions(server, database, PARTITION, {
    ...overrides,
    tables: { source: "observations", traces: "traces", target },
  });
  const { report } = await backfill(options);
  const expected = await server.queryJson<{ rows: number }>("SELECT count() AS rows FROM expected", {
    database,
  });
  expect(report.outcome).toBe("done");
  expect(report.observationsRead).toBe(expected[0]?.rows as number);
  await expectSameRows(server, { database, actual: target, expected: "expected" }, "multiset");
  return report.observationsRead;
}

describe(`events as of November 2025, seed ${seed}`, () => {
  let database: string;

  beforeAll(async () => {
    database = await server.createDatabase("reference");
    await generateDataset(server, { database, seed, observations: OBSERVATIONS, traces: TRACES });
    await server.command(eventsTable("events", { mergesOff: true }), { database });
    await writeReference(server, { database, partition: PARTITION, target: "events" }, "expected");
  });

  const matrix = [
    { streamBlockSizeRows: 50_000, batchSizeRows: 10_000, parallelWorkers: 1 },
    { streamBlockSizeRows: 50_000, batchSizeRows: 300, parallelWorkers: 4 },
    { streamBlockSizeRows: 1_000, batchSizeRows: 10_000, parallelWorkers: 4 },
    { streamBlockSizeRows: 1_000, batchSizeRows: 1_000, parallelWorkers: 1 },
  ];
  for (const [i, sizes] of sampled(matrix, 2).entries()) {
    test(`pages of ${sizes.streamBlockSizeRows}, batches of ${sizes.batchSizeRows}, ${sizes.parallelWorkers} workers`, async () => {
      await server.command(eventsTable(`events_${i}`, { mergesOff: true }), { database });
      expect(await runAndCompare(database, `events_${i}`, sizes)).toBeGreaterThan(OBSERVATIONS / 2);
    });
  }

  test("another trace window finds other traces", async () => {
    const expected = "expected_window";
    await writeReference(
      server,
      { database, partition: PARTITION, target: "events", traceWindowDays: 0 },
      expected,
    );
    await server.command(eventsTable("events_window", { mergesOff: true }), { database });
    await backfill(
      runOptions(server, database, PARTITION, {
        traceWindowDays: 0,
        tables: { source: "observations", traces: "traces", target: "events_window" },
      }),
    );
    await expectSameRows(server, { database, actual: "events_window", expected }, "multiset");
    const differing = expectSameRows(
      server,
      { database, actual: "events_window", expected: "expected" },
      "multiset",
    );
    await expect(differing).rejects.toThrow();
  });
});

describe(`the smallest sizes, seed ${seed}`, () => {
  let database: string;

  beforeAll(async () => {
    database = await server.createDatabase("smallest");
    const sizes = { observations: 90, traces: 40, largeInputs: 1 };
    await generateDataset(server, { database, seed, ...sizes });
    await server.command(eventsTable("events", { mergesOff: true }), { database });
    await writeReference(server, { database, partition: PARTITION, target: "events" }, "expected");
  });

  // Each pair of sizes is there; chaos plays the other combinations.
  const smallest = [
    [1, 1, 1],
    [1, 3, 4],
    [7, 1, 4],
    [7, 3, 1],
    [7, 10_000, 4],
    [1_000, 1, 1],
    [1_000, 3, 4],
    [50_000, 10_000, 1],
  ] as const;
  for (const [streamBlockSizeRows, batchSizeRows, parallelWorkers] of sampled(smallest, 2)) {
    const sizes = { streamBlockSizeRows, batchSizeRows, parallelWorkers };
    test(`pages of ${streamBlockSizeRows}, batches of ${batchSizeRows}, ${parallelWorkers} workers`, async () => {
      const target = `events_${streamBlockSizeRows}_${batchSizeRows}`;
      await server.command(eventsTable(target, { mergesOff: true }), { database });
      await runAndCompare(database, target, sizes);
    });
  }
});

describe(`pipelines that share threads, seed ${seed}`, () => {
  let database: string;

  beforeAll(async () => {
    database = await server.createDatabase("shared");
    await generateDataset(server, { database, seed, observations: 400, traces: 100 });
    await server.command(eventsTable("events", { mergesOff: true }), { database });
    await writeReference(server, { database, partition: PARTITION, target: "events" }, "expected");
  });

  const shared = [
    [5, 1, 7],
    [5, 2, 10_000],
    [7, 4, 7],
  ] as const;
  for (const [parallelWorkers, cores, batchSizeRows] of sampled(shared, 1)) {
    test(`${parallelWorkers} on ${cores} cores, batches of ${batchSizeRows}`, async () => {
      const target = `events_${cores}_${batchSizeRows}`;
      await server.command(eventsTable(target, { mergesOff: true }), { database });
      await runAndCompare(database, target, {
        streamBlockSizeRows: 100,
        batchSizeRows,
        parallelWorkers,
        cores,
      });
    });
  }
});

describe(`other tables, seed ${seed}`, () => {
  test("events_full as of July 2026", async () => {
    const database = await server.createDatabase("full");
    await generateDataset(server, { database, seed, observations: 500, traces: 150 });
    await server.command(eventsFullTable("events_full", { mergesOff: true }), { database });
    await writeReference(server, { database, partition: PARTITION, target: "events_full" }, "expected");
    await runAndCompare(database, "events_full", { streamBlockSizeRows: 200 });
  });

  test("a source without the newer columns", async () => {
    const database = await server.createDatabase("old");
    const sizes = { observations: 500, traces: 150 };
    await generateDataset(server, { database, seed, ...sizes, generation: "old" });
    await server.command(eventsFullTable("events_full", { mergesOff: true }), { database });
    await writeReference(server, { database, partition: PARTITION, target: "events_full" }, "expected");
    await runAndCompare(database, "events_full", { streamBlockSizeRows: 200 });
  });

  test("a target without tags gets them as metadata", async () => {
    const database = await server.createDatabase("tagless");
    await generateDataset(server, { database, seed, observations: 500, traces: 150 });
    await server.command(eventsTable("events", { mergesOff: true }), { database });
    await server.command("ALTER TABLE events DROP COLUMN tags", { database });
    await writeReference(server, { database, partition: PARTITION, target: "events" }, "expected");
    await runAndCompare(database, "events", { streamBlockSizeRows: 200 });
  });

  test("events of one sorting key collapse to one, whichever way they came", async () => {
    const database = await server.createDatabase("colliding");
    const sizes = { observations: 500, traces: 150 };
    await generateDataset(server, { database, seed, ...sizes, collidingEvents: true });
    await server.command(eventsTable("events", { mergesOff: true }), { database });
    await writeReference(server, { database, partition: PARTITION, target: "events" }, "expected");
    await backfill(runOptions(server, database, PARTITION, { streamBlockSizeRows: 200 }));
    await expectSameRows(server, { database, actual: "events", expected: "expected" }, "final");
  });

  test("an empty partition has nothing to do", async () => {
    const database = await server.createDatabase("empty");
    await server.command(tracesTable("traces"), { database });
    await server.command(observationsTable("observations"), { database });
    await server.command(eventsTable("events"), { database });
    const { report } = await backfill(runOptions(server, database, PARTITION));
    expect(report).toMatchObject({ outcome: "nothing-to-do", observationsRead: 0, eventsInserted: 0 });
  });

  test("a dry run inserts nothing", async () => {
    const database = await server.createDatabase("dry");
    const { partition } = await generateDataset(server, { database, seed, observations: 300, traces: 80 });
    await server.command(eventsTable("events"), { database });
    const { report } = await backfill(runOptions(server, database, partition, { dryRun: true }));
    expect(report).toMatchObject({ outcome: "dry-run", eventsInserted: 0 });
    expect(report.observationsRead).toBeGreaterThan(200);
    expect(await server.query("SELECT count() FROM events", { database })).toBe("0\n");
  });
});
