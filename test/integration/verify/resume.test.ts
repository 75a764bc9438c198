import { beforeAll, expect, test } from "bun:test";
import { runOptions } from "../../../scripts/testbed/run-options.ts";
import { eventsFullTable } from "../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import type { ComparisonLedger, ComparisonState } from "../../../src/verify/comparison-ledger.ts";
import { type VerifyOptions, type VerifyResult, verify } from "../../../src/verify/verify.ts";
import { backfill } from "../../support/backfill.ts";
import { makeDatasetRuns } from "../../support/data/dataset-runs.ts";
import { chooseSeed, generateDataset } from "../../support/generate.ts";

const PARTITION = "202511";
const seed = chooseSeed();

let server: TestServer;
let database: string;
let options: VerifyOptions["backfill"];

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("resume");
  await generateDataset(server, { database, seed, observations: 200, traces: 60, largeInputs: 0 });
  await makeDatasetRuns(server, { database, seed, chainSpans: 10 });
  await server.command(eventsFullTable("events_full", { mergesOff: true }), { database });
  const tables = { source: "observations", traces: "traces", target: "events_full" };
  options = runOptions(server, database, PARTITION, { layout: "auto", tables, parallelWorkers: 1 });
  await backfill(options);
});

async function compare(ledger: ComparisonLedger, stop = new AbortController()): Promise<VerifyResult> {
  const what = { backfill: options, quick: false, ignoreNewer: false, examples: 5, only: null, ledger };
  return await verify(what, () => {}, stop.signal);
}

/** Stops a comparison once so many ranges are read, and returns what it has kept. */
async function interruptedAfter(ranges: number): Promise<{ subject: string; state: ComparisonState }> {
  const stop = new AbortController();
  const kept: { subject: string; state: ComparisonState }[] = [];
  const ledger: ComparisonLedger = {
    load: () => null,
    save: (subject, state) => {
      if (kept.push({ subject, state: structuredClone(state()) }) === ranges) stop.abort(new Error("enough"));
    },
    finish: () => {
      throw new Error("It was not to end");
    },
  };
  await expect(compare(ledger, stop)).rejects.toThrow("enough");
  const last = kept[ranges - 1];
  if (last === undefined) throw new Error("Nothing was kept");
  return last;
}

test("an interrupted comparison goes on, and reads what it has read no more", async () => {
  const whole = await compare({ load: () => null, save: () => {}, finish: () => {} });
  const { subject, state } = await interruptedAfter(2);
  const done = state.ranges.filter(({ isDone }) => isDone);
  expect(done).toHaveLength(2);
  expect(state.ranges.length).toBeGreaterThan(2);
  // Roots and observations are read by then: whatever becomes of them is not seen.
  expect(done.map(({ phase }) => phase)).toEqual(["roots", "observations"]);
  await server.command("RENAME TABLE traces TO traces_kept, observations TO observations_kept", { database });
  await server.command("CREATE TABLE traces AS traces_kept", { database });
  await server.command("CREATE TABLE observations AS observations_kept", { database });
  let hasFinished = false;
  try {
    const result = await compare({
      load: (given) => (given === subject ? state : null),
      save: () => {},
      finish: () => {
        hasFinished = true;
      },
    });
    // What dataset runs name is compared by itself, and is missing now.
    expect(result.columns).toEqual(whole.columns);
    expect(result.expectedRows).toBeGreaterThan(0);
    expect(result.differingRanges.filter(({ phase }) => phase === "month")).toEqual([]);
    expect(hasFinished).toBe(true);
  } finally {
    await server.command("DROP TABLE traces", { database });
    await server.command("DROP TABLE observations", { database });
    await server.command("RENAME TABLE traces_kept TO traces, observations_kept TO observations", {
      database,
    });
  }
});

test("one that goes on finds what differs in what it reads later", async () => {
  const { state } = await interruptedAfter(2);
  await server.command(
    `INSERT INTO events_full SELECT * REPLACE ('x' AS span_id) FROM events_full FINAL
      WHERE toYYYYMM(start_time) = ${PARTITION}
        AND (project_id, trace_id) NOT IN (SELECT project_id, trace_id FROM dataset_run_items_rmt FINAL) LIMIT 1`,
    { database },
  );
  const result = await compare({ load: () => state, save: () => {}, finish: () => {} });
  expect(result.counts.unexpected).toBe(1);
});

test("other columns, tables or windows are another comparison", async () => {
  const subjects = new Set<string>();
  const ledger: ComparisonLedger = {
    load: (subject) => {
      subjects.add(subject);
      return null;
    },
    save: () => {},
    finish: () => {},
  };
  const what = { backfill: options, quick: false, ignoreNewer: true, examples: 1, only: null, ledger };
  for (const other of [
    what,
    { ...what, quick: true },
    { ...what, backfill: { ...options, traceWindowDays: 3 } },
    { ...what, examples: 2 },
  ]) {
    await verify(other, () => {}, new AbortController().signal);
  }
  expect(subjects.size).toBe(3);
});
