import { beforeAll, describe, expect, test } from "bun:test";
import { eventsCoreTables, eventsFullTable } from "../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import { expectSameV4Rows } from "../../support/compare-v4.ts";
import { PARTITION } from "../../support/data/values.ts";
import { chooseSeed, generateV4Dataset } from "../../support/generate.ts";
import { writeV4Reference } from "../../support/reference-v4-by-hand.ts";
import { sampled } from "../../support/sampled.ts";

const seed = chooseSeed();

let server: TestServer;
let database: string;

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("v4data");
  await generateV4Dataset(server, { database, seed, observations: 1_000, traces: 400 });
  await server.command(eventsFullTable("events_full", { mergesOff: true }), { database });
  await writeV4Reference(server, { database, partition: PARTITION, target: "events_full" }, "expected");
});

const countOf = async (from: string): Promise<number> =>
  Number(await server.query(`SELECT count() FROM ${from}`, { database }));

const CURRENT = "(SELECT project_id, trace_id FROM dataset_run_items_rmt FINAL)";
const NAMED = `(project_id, trace_id) IN ${CURRENT}`;
/** Rows of which the random part has some, too. */
const RANDOM = "project_id NOT IN ('cases', 'other cases')";

describe(`the generated data of seed ${seed}`, () => {
  test.each([
    [
      "unmerged parts",
      "(SELECT partition FROM system.parts WHERE database = currentDatabase() AND active AND table = 'dataset_run_items_rmt' GROUP BY partition HAVING count() > 1)",
    ],
    [
      "traces without observations",
      "traces FINAL WHERE (project_id, id) NOT IN (SELECT project_id, trace_id FROM observations)",
    ],
    [
      "traces of one id in two projects",
      `(SELECT id FROM traces WHERE ${RANDOM} GROUP BY id HAVING uniqExact(project_id) > 1)`,
    ],
    [
      "traces in several months",
      "(SELECT id FROM traces GROUP BY project_id, id HAVING uniqExact(toYYYYMM(timestamp)) > 1)",
    ],
    [
      "traces under several dates of a month",
      `(SELECT id FROM traces WHERE ${RANDOM} GROUP BY project_id, id HAVING uniqExact(toDate(timestamp)) > 1)`,
    ],
    ["deleted traces", `traces WHERE is_deleted = 1 AND ${RANDOM}`],
    ["NULLs in traces", `traces WHERE isNull(input) AND isNull(version) AND ${RANDOM}`],
    [
      "traces with resource attributes",
      `traces WHERE mapContains(metadata, 'resourceAttributes') AND ${RANDOM}`,
    ],
    ["traces without", `traces WHERE NOT mapContains(metadata, 'resourceAttributes') AND ${RANDOM}`],
    ["bytes that are no text", `traces WHERE NOT isValidUTF8(concat(id, name)) AND ${RANDOM}`],
    ["observations without parent", `observations WHERE parent_observation_id IS NULL AND ${RANDOM}`],
    ["observations with an empty parent", `observations WHERE parent_observation_id = '' AND ${RANDOM}`],
    ["observations named as their trace", `observations WHERE id = trace_id AND ${RANDOM}`],
    [
      "observations named as their trace's root",
      `observations WHERE id = concat('t-', trace_id) AND ${RANDOM}`,
    ],
    ["observations without version", `observations WHERE version IS NULL AND ${RANDOM}`],
    ["observations with an empty version", `observations WHERE version = '' AND ${RANDOM}`],
    [
      "repeated metadata keys",
      `observations WHERE length(mapKeys(metadata)) > length(arrayDistinct(mapKeys(metadata))) AND ${RANDOM}`,
    ],
    ["items without a span", "dataset_run_items_rmt FINAL WHERE observation_id IS NULL"],
    ["items with an empty span", "dataset_run_items_rmt FINAL WHERE observation_id = ''"],
    [
      "items with a span",
      `dataset_run_items_rmt FINAL WHERE (trace_id, observation_id) IN (SELECT trace_id, id FROM observations FINAL) AND ${RANDOM}`,
    ],
    [
      "items with a span that does not exist",
      `dataset_run_items_rmt FINAL WHERE observation_id != '' AND (trace_id, observation_id) NOT IN (SELECT trace_id, id FROM observations) AND ${RANDOM}`,
    ],
    [
      "items with a trace in no table",
      `dataset_run_items_rmt FINAL WHERE (project_id, trace_id) NOT IN (SELECT project_id, id FROM traces UNION ALL SELECT project_id, trace_id FROM observations) AND ${RANDOM}`,
    ],
    [
      "items with observations but no trace",
      `observations FINAL WHERE ${NAMED} AND (project_id, trace_id) NOT IN (SELECT project_id, id FROM traces)`,
    ],
    [
      "traces of several items",
      `(SELECT trace_id FROM dataset_run_items_rmt FINAL WHERE ${RANDOM} GROUP BY project_id, trace_id HAVING count() > 1)`,
    ],
    [
      "items that tie in event_ts",
      `(SELECT trace_id FROM dataset_run_items_rmt FINAL WHERE ${RANDOM} GROUP BY project_id, trace_id, event_ts HAVING count() > 1)`,
    ],
    [
      "items that tie in created_at as well",
      "(SELECT trace_id FROM dataset_run_items_rmt FINAL GROUP BY project_id, trace_id, event_ts, created_at HAVING count() > 1)",
    ],
    ["deleted items", `dataset_run_items_rmt WHERE is_deleted = 1 AND ${RANDOM}`],
    [
      "traces that only old or deleted items name",
      `dataset_run_items_rmt WHERE (project_id, trace_id) NOT IN ${CURRENT}`,
    ],
    [
      "NULLs in all nullable columns of items",
      "dataset_run_items_rmt FINAL WHERE isNull(error) AND isNull(dataset_run_description) AND isNull(dataset_item_input) AND isNull(dataset_item_expected_output) AND isNull(dataset_item_version)",
    ],
    [
      "empty metadata of items",
      `dataset_run_items_rmt FINAL WHERE empty(dataset_run_metadata) AND ${RANDOM}`,
    ],
    [
      "traces of runs over several months",
      `(SELECT trace_id FROM observations FINAL WHERE ${NAMED} AND ${RANDOM} GROUP BY project_id, trace_id HAVING uniqExact(toYYYYMM(start_time)) > 1)`,
    ],
    [
      "traces of runs outside of the month",
      `observations FINAL WHERE ${NAMED} AND (project_id, trace_id) NOT IN (SELECT project_id, trace_id FROM observations WHERE toYYYYMM(start_time) = ${PARTITION})`,
    ],
    [
      "spans that are their own parent",
      `observations FINAL WHERE ${NAMED} AND ${RANDOM} AND id = parent_observation_id`,
    ],
    [
      "long chains",
      `(SELECT trace_id FROM observations FINAL WHERE ${NAMED} AND ${RANDOM} GROUP BY project_id, trace_id HAVING count() > 290)`,
    ],
  ])("has %s", async (_name, from) => {
    expect(await countOf(from)).toBeGreaterThan(0);
  });

  test("yields rows of all kinds", async () => {
    const enriched = "experiment_item_root_span_id != ''";
    for (const condition of [
      `startsWith(span_id, 't-') AND ${enriched}`,
      `startsWith(span_id, 't-') AND NOT (${enriched}) AND (project_id, trace_id) IN ${CURRENT}`,
      `startsWith(span_id, 't-') AND (project_id, trace_id) NOT IN ${CURRENT}`,
      `NOT startsWith(span_id, 't-') AND ${enriched}`,
      `NOT (${enriched}) AND (project_id, trace_id) IN ${CURRENT}`,
      `NOT startsWith(span_id, 't-') AND (project_id, trace_id) NOT IN ${CURRENT}`,
    ]) {
      expect(await countOf(`expected WHERE ${RANDOM} AND ${condition}`)).toBeGreaterThan(0);
    }
    expect(await countOf("expected")).toBe(await countOf("expected FINAL"));
  });
});

describe("the comparison", () => {
  const scope = () => ({ database, partition: PARTITION, target: "events_full" });
  const pair = () => ({ database, actual: "events_full", expected: "expected" });
  const fill = async (replace = ""): Promise<void> => {
    await server.command("TRUNCATE TABLE events_full", { database });
    await server.command(`INSERT INTO events_full SELECT * ${replace} FROM expected`, { database });
  };
  const long = new Date("2026-01-01T00:00:00Z");

  test("finds no difference in another computation of the same", async () => {
    await writeV4Reference(server, scope(), "again");
    for (const mode of ["multiset", "set", "final"] as const) {
      await expectSameV4Rows(server, { ...pair(), actual: "again" }, mode, long);
    }
  });

  test("finds what was written before the run began", async () => {
    await fill();
    await expectSameV4Rows(server, pair(), "final", long);
    const inFuture = new Date(Date.now() + 60_000);
    await expect(expectSameV4Rows(server, pair(), "final", inFuture)).rejects.toThrow(/before the run began/);
  });

  test.each(
    sampled(
      [
        ["the time of a plain row", "if(span_id = 'run-inner/a', now64(6), updated_at) AS updated_at"],
        ["a value of an experiment", "if(span_id = 'run-inner/b', 'x', experiment_name) AS experiment_name"],
        ["a default", "if(span_id = 't-root-plain', 'x', ingestion_api_key) AS ingestion_api_key"],
      ],
      1,
    ),
  )("finds another value of %s", async (_name, change) => {
    await fill(`REPLACE (${change})`);
    await expect(expectSameV4Rows(server, pair(), "final", long)).rejects.toThrow(/2 differ/);
  });

  test("finds a row of an experiment that became plain", async () => {
    const root = "if(span_id = 'run-inner/b', '', experiment_item_root_span_id)";
    await fill(`REPLACE (${root} AS experiment_item_root_span_id)`);
    await expect(expectSameV4Rows(server, pair(), "final", long)).rejects.toThrow(/2 differ/);
  });

  test("the parts of the reference are together the whole", async () => {
    const counts: number[] = [];
    for (const part of ["roots", "observations", "experiments"] as const) {
      counts.push(await writeV4Reference(server, scope(), `only_${part}`, [part]));
    }
    expect(counts.reduce((sum, count) => sum + count)).toBe(await countOf("expected"));
    expect(Math.min(...counts)).toBeGreaterThan(0);
  });
});

test("events_core follows events_full, and older tables lack columns", async () => {
  const older = await server.createDatabase("v4older");
  const options = { seed, observations: 60, traces: 30, largeInputs: 0, deepChain: 2_000 };
  await generateV4Dataset(server, { database: older, ...options, generation: "old", itemsGeneration: "old" });
  await server.command(eventsFullTable("events_full"), { database: older });
  for (const sql of eventsCoreTables({ full: "events_full", core: "events_core", view: "events_core_mv" })) {
    await server.command(sql, { database: older });
  }
  const scope = { database: older, partition: PARTITION, target: "events_full" };
  const rows = await writeV4Reference(server, scope, "expected");
  await server.command("INSERT INTO events_full SELECT * FROM expected", { database: older });
  const count = async (from: string): Promise<number> =>
    Number(await server.query(`SELECT count() FROM ${from}`, { database: older }));
  expect(await count("events_core")).toBe(rows);
  expect(await count("expected WHERE experiment_item_version IS NOT NULL")).toBe(0);
  expect(await count("expected WHERE experiment_item_id = 'item of deep'")).toBe(1_001);
  expect(await count("expected WHERE experiment_item_id = 'item of deep-middle'")).toBe(1_000);
});
