import { beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expectSameRows } from "../../../scripts/testbed/compare.ts";
import { runOptions } from "../../../scripts/testbed/run-options.ts";
import { eventsCoreTables, eventsFullTable } from "../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import type { PhaseName } from "../../../src/plan/phases.ts";
import type { BackfillOptions } from "../../../src/run/backfill-options.ts";
import type { BackfillReport } from "../../../src/run/report.ts";
import { backfill } from "../../support/backfill.ts";
import { BY_HAND, makeDatasetRuns } from "../../support/data/dataset-runs.ts";
import { chooseSeed, generateDataset } from "../../support/generate.ts";
import { writeV4Reference } from "../../support/reference-v4.ts";
import { sampled } from "../../support/sampled.ts";
import { expectV4Rows } from "../../support/v4-comparison.ts";

const seed = chooseSeed();
const PARTITION = "202511";

let server: TestServer;
let database: string;

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("v4");
  await generateDataset(server, { database, seed, observations: 2_500, traces: 700, largeInputs: 1 });
  await makeDatasetRuns(server, { database, seed });
  await server.command(eventsFullTable("events_full", { mergesOff: true }), { database });
});

async function count(from: string): Promise<number> {
  return Number(await server.query(`SELECT count() FROM ${from}`, { database }));
}

async function run(target: string, changes: Partial<BackfillOptions> = {}): Promise<BackfillReport> {
  const tables = { source: "observations", traces: "traces", target };
  const options = runOptions(server, database, PARTITION, { layout: "auto", tables, ...changes });
  return (await backfill(options)).report;
}

async function expectReference(target: string, expected: string, sinceMs: number): Promise<void> {
  await expectV4Rows(server, { database, target, expected }, sinceMs);
}

describe(`events_full of Langfuse v4, seed ${seed}`, () => {
  beforeAll(async () => {
    await writeV4Reference(server, { database, partition: PARTITION, target: "events_full" }, "expected");
  });

  const sizes = [
    { streamBlockSizeRows: 50_000, batchSizeRows: 10_000, insertRows: 250_000, parallelWorkers: 1 },
    { streamBlockSizeRows: 300, batchSizeRows: 50, insertRows: 400, parallelWorkers: 4 },
    { streamBlockSizeRows: 150, batchSizeRows: 40, insertRows: 1, parallelWorkers: 3 },
  ];
  for (const [i, size] of sampled(sizes, 1).entries()) {
    test(`a month of it equals the reference with pages of ${size.streamBlockSizeRows} rows`, async () => {
      const target = `events_full_${i}`;
      await server.command(eventsFullTable(target, { mergesOff: true }), { database });
      const sinceMs = Date.now();
      const report = await run(target, size);
      expect(report.outcome).toBe("done");
      expect(report.phases.map(({ phase }) => phase)).toEqual(["roots", "observations", "experiments"]);
      expect(report.eventsInserted).toBe(await count(`${target}`));
      await expectReference(target, "expected", sinceMs);
    });
  }

  test("the data has every oddity of dataset runs", async () => {
    const named = "(SELECT project_id, trace_id FROM dataset_run_items_rmt FINAL)";
    const facts = [
      "expected FINAL WHERE notEmpty(experiment_id)",
      `expected FINAL WHERE empty(experiment_id) AND (project_id, trace_id) IN ${named}`,
      "expected FINAL WHERE startsWith(span_id, 't-') AND notEmpty(experiment_id)",
      "expected FINAL WHERE isNull(experiment_item_version) AND notEmpty(experiment_id)",
      `expected FINAL WHERE project_id = '${BY_HAND}' AND toYYYYMM(start_time) != ${PARTITION}`,
      `(SELECT project_id, trace_id, observation_id FROM dataset_run_items_rmt FINAL GROUP BY ALL HAVING count() > 1)`,
      `dataset_run_items_rmt FINAL WHERE (project_id, trace_id) NOT IN (SELECT project_id, id FROM traces)`,
      `traces FINAL WHERE (project_id, id) NOT IN (SELECT project_id, trace_id FROM observations) AND toYYYYMM(timestamp) = ${PARTITION}`,
      "dataset_run_items_rmt WHERE is_deleted = 1",
    ];
    for (const fact of facts) expect(await count(fact), fact).toBeGreaterThan(0);
  });

  test("trees of spans that are odd become what was written down by hand", async () => {
    const rows = await server.queryJson<{ span: string; run: string; root: string }>(
      `SELECT concat(trace_id, ': ', span_id) AS span, experiment_id AS run, experiment_item_root_span_id AS root
        FROM events_full_0 FINAL WHERE project_id = '${BY_HAND}' AND trace_id != 'chain' AND trace_id != 'plain' ORDER BY span`,
      { database },
    );
    expect(Object.fromEntries(rows.map(({ span, root }) => [span, root]))).toEqual({
      "circle: below": "circle 1",
      "circle: beside": "",
      "circle: circle 0": "circle 1",
      "circle: circle 1": "circle 1",
      "circle: circle 2": "circle 1",
      "circle: t-circle": "",
      "elsewhere: there": "t-elsewhere",
      "elsewhere: t-elsewhere": "t-elsewhere",
      "months: after": "t-months",
      "months: before": "t-months",
      "months: lost": "",
      "months: t-months": "t-months",
      "months: within": "t-months",
      "no row: child": "child",
      "no row: grandchild": "child",
      "no row: top": "",
      "repeated: once": "twice",
      "repeated: t-repeated": "",
      "repeated: twice": "twice",
      "self: self 0": "self 0",
      "self: self 1": "self 0",
      "self: t-self": "",
    });
  });

  test("phase by phase comes the same as all at once", async () => {
    await server.command(eventsFullTable("by_phase", { mergesOff: true }), { database });
    const sinceMs = Date.now();
    for (const phase of ["experiments", "observations", "roots"] as const satisfies readonly PhaseName[]) {
      const report = await run("by_phase", { only: [phase] });
      expect(report.phases.map((done) => done.phase)).toEqual([phase]);
    }
    await expectReference("by_phase", "expected", sinceMs);
  });

  test("the layout that was asked for beats the one that the columns call for", async () => {
    await server.command(eventsFullTable("as_events", { mergesOff: true }), { database });
    const report = await run("as_events", { layout: "events" });
    expect(report.phases.map(({ phase }) => phase)).toEqual(["observations"]);
    expect(await count("as_events WHERE endsWith(source, '-backfill')")).toBe(0);
  });
});

test(`without the table of dataset runs no trace is left out, seed ${seed}`, async () => {
  const other = await server.createDatabase("v4_without");
  await generateDataset(server, { database: other, seed, observations: 300, traces: 90, largeInputs: 0 });
  await server.command(eventsFullTable("events_full", { mergesOff: true }), { database: other });
  const tables = { source: "observations", traces: "traces", target: "events_full" };
  const { report, events } = await backfill(runOptions(server, other, PARTITION, { layout: "auto", tables }));
  expect(report.phases.map(({ phase, leftOut }) => [phase, leftOut])).toEqual([
    ["roots", 0],
    ["observations", 0],
  ]);
  // A trace with versions under several dates has one root row all the same.
  expect(report.phases[0]?.superseded).toBeGreaterThan(0);
  const [roots] = await server.queryJson<{ rows: number; traces: number }>(
    `SELECT count() AS rows, uniqExact(project_id, trace_id) AS traces FROM events_full
      WHERE span_id = concat('t-', trace_id) AND type = 'SPAN' AND model_parameters = '{}' AND event_bytes = 0 AND isNull(end_time)
        AND (project_id, trace_id) IN (SELECT project_id, id FROM traces) AND empty(parent_span_id)`,
    { database: other },
  );
  expect(roots?.rows).toBe(roots?.traces as number);
  const notices = events.flatMap((event) => (event.kind === "notice" ? [event.message] : []));
  expect(
    notices.filter((message) => message.includes("There is no table dataset_run_items_rmt")),
  ).toHaveLength(1);
});

test("a chain of ten thousand spans is reached to its end", async () => {
  const other = await server.createDatabase("v4_chain");
  await generateDataset(server, { database: other, seed, observations: 20, traces: 10, largeInputs: 0 });
  await makeDatasetRuns(server, { database: other, seed, chainSpans: 10_000, generation: "old" });
  await server.command(eventsFullTable("events_full", { mergesOff: true }), { database: other });
  const tables = { source: "observations", traces: "traces", target: "events_full" };
  await backfill(
    runOptions(server, other, PARTITION, {
      layout: "auto",
      tables,
      only: ["experiments"],
      streamBlockSizeRows: 500,
    }),
  );
  const reached = await server.query(
    "SELECT count() FROM events_full FINAL WHERE trace_id = 'chain' AND notEmpty(experiment_id)",
    { database: other },
  );
  expect(Number(reached)).toBe(10_001);
});

test("events_core has what events_full has, cut", async () => {
  const other = await server.createDatabase("v4_core");
  await generateDataset(server, { database: other, seed, observations: 300, traces: 90, largeInputs: 0 });
  await makeDatasetRuns(server, { database: other, seed });
  await server.command(eventsFullTable("events_full", { mergesOff: true }), { database: other });
  const names = { full: "events_full", core: "events_core", view: "events_core_mv" };
  for (const sql of eventsCoreTables(names, { mergesOff: true }))
    await server.command(sql, { database: other });
  const tables = { source: "observations", traces: "traces", target: "events_full" };
  await backfill(
    runOptions(server, other, PARTITION, { layout: "auto", tables, insertRows: 200, batchSizeRows: 50 }),
  );
  await server.command("CREATE TABLE cut AS events_core", { database: other });
  await server.command(
    "INSERT INTO cut SELECT * REPLACE (leftUTF8(input, 200) AS input, leftUTF8(output, 200) AS output) FROM events_full",
    { database: other },
  );
  await expectSameRows(server, { database: other, actual: "events_core", expected: "cut" }, "final");
});

test(`experiments are copied once, and again when items are newer, seed ${seed}`, async () => {
  const other = await server.createDatabase("v4_again");
  await generateDataset(server, { database: other, seed, observations: 60, traces: 20, largeInputs: 0 });
  await makeDatasetRuns(server, { database: other, seed });
  await server.command(eventsFullTable("events_full", { mergesOff: true }), { database: other });
  const tables = { source: "observations", traces: "traces", target: "events_full" };
  const directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-state-"));
  const phasesOf = async (partition: string): Promise<PhaseName[]> => {
    const options = runOptions(server, other, partition, { layout: "auto", tables });
    const { report } = await backfill(options, () => {}, new AbortController().signal, directory);
    return report.phases.map(({ phase }) => phase);
  };
  try {
    expect(await phasesOf(PARTITION)).toEqual(["roots", "observations", "experiments"]);
    expect(await phasesOf(PARTITION)).toEqual([]);
    expect(await phasesOf("202509")).not.toContain("experiments");
    const item = `INSERT INTO dataset_run_items_rmt (id, project_id, dataset_run_id, dataset_item_id, dataset_id, trace_id, event_ts, created_at)
      VALUES ('new', '${BY_HAND}', 'run new', 'item new', 'dataset', 'plain', now64(3) + 120, now64(3))`;
    await server.command(item, { database: other });
    expect(await phasesOf(PARTITION)).toEqual(["experiments"]);
    const added =
      "SELECT count() FROM events_full FINAL WHERE trace_id = 'plain' AND experiment_id = 'run new'";
    expect(Number(await server.query(added, { database: other }))).toBe(1);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
