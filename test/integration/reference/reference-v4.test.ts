import { beforeAll, describe, expect, test } from "bun:test";
import { eventsFullTable } from "../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import { PARTITION } from "../../support/data/values.ts";
import { chooseSeed, generateV4Dataset } from "../../support/generate.ts";
import { writeV4Reference } from "../../support/reference-v4-by-hand.ts";

/** The reference decides all comparisons, so what it makes of the rows that are written by hand stands here. */
const seed = chooseSeed();

let server: TestServer;
let database: string;

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("v4");
  await generateV4Dataset(server, { database, seed, observations: 800, traces: 200 });
  await server.command(eventsFullTable("events_full", { mergesOff: true }), { database });
  await writeV4Reference(server, { database, partition: PARTITION, target: "events_full" }, "expected");
});

/** Values of the rows of a condition among those written by hand, by span id. */
async function valuesOf(condition: string, value: string): Promise<Record<string, unknown>> {
  const rows = await server.queryJson<{ span_id: string; value: unknown }>(
    `SELECT span_id, ${value} AS value FROM expected WHERE project_id = 'cases' AND ${condition} ORDER BY span_id`,
    { database },
  );
  return Object.fromEntries(rows.map((row) => [row.span_id, row.value]));
}

describe(`root rows, seed ${seed}`, () => {
  test("exist for each live trace whose newest version lies in the month", async () => {
    const roots = await valuesOf("startsWith(span_id, 't-root-')", "concat(name, ' ', toString(start_time))");
    expect(roots).toEqual({
      "t-root-back": "version 2 2025-11-10 12:00:00.000000",
      "t-root-empties": " 2025-11-10 12:00:00.000000",
      "t-root-month-end": "trace 2025-11-30 23:59:59.999000",
      "t-root-month-start": "trace 2025-11-01 00:00:00.000000",
      "t-root-moved-far": "version 0 2025-11-10 12:00:00.000000",
      "t-root-moved-in": "version 1 2025-11-30 23:59:59.999000",
      "t-root-moved-within-month": "version 1 2025-11-05 12:00:00.000000",
      "t-root-nulls": "trace 2025-11-10 12:00:00.000000",
      "t-root-old-version": "version 1 2025-11-10 12:00:00.005000",
      "t-root-otel": "trace 2025-11-10 12:00:00.000000",
      "t-root-plain": "trace 2025-11-10 12:00:00.000000",
      "t-root-repeated-keys": "trace 2025-11-10 12:00:00.000000",
      "t-root-tie": "later day 2025-11-11 12:00:00.000000",
      "t-root-tie-deleted": "trace 2025-11-10 12:00:00.000000",
      "t-root-two-projects": "in cases 2025-11-10 12:00:00.000000",
    });
  });

  test("hold the trace's values, and defaults elsewhere", async () => {
    const columns = `parent_span_id, end_time, name, trace_name, type, level, model_parameters, environment, tags, public,
      bookmarked, version, release, user_id, session_id, input, output, metadata_names, metadata_values, source, is_app_root,
      cost_details, prompt_version, event_bytes, ingestion_api_key, ingestion_sdk_name, experiment_id, is_deleted,
      toUnixTimestamp64Milli(event_ts) - toUnixTimestamp64Milli(start_time), created_at < updated_at`;
    expect(await valuesOf("trace_id = 'root-plain'", `(${columns})`)).toEqual({
      "t-root-plain": [
        ...["", null, "trace", "trace", "SPAN", "DEFAULT", "{}", "production", ["tag"], true],
        ...[true, "trace version", "1.0", "user", "session", "question", "answer", ["of"], ["trace"]],
        ...["ingestion-api-backfill", false, {}, null, 0, "", "unknown", "", 0, 3, 1],
      ],
    });
    const texts = "(version, release, user_id, session_id, input, output, metadata_names)";
    expect(await valuesOf("trace_id = 'root-nulls'", texts)).toEqual({
      "t-root-nulls": ["", "", "", "", "", "", []],
    });
  });

  test("keep all metadata in stored order and tell its origin", async () => {
    const value = "(metadata_names, metadata_values, source)";
    expect(await valuesOf("trace_id IN ('root-otel', 'root-repeated-keys')", value)).toEqual({
      "t-root-otel": [
        ["resourceAttributes", "attributes"],
        ['{"service.name":"api"}', "{}"],
        "otel-backfill",
      ],
      "t-root-repeated-keys": [["k", "attributes", "k"], ["1", "x", "2"], "ingestion-api-backfill"],
    });
  });
});

describe(`observations, seed ${seed}`, () => {
  test("name their parents", async () => {
    const condition = "trace_id IN ('trace', 'trace-nulls', 'trace-otel') AND name = 'observation'";
    const value = "concat(trace_id, ' < ', parent_span_id)";
    expect(await valuesOf(`${condition} AND start_time = '2025-11-10 12:00:01'`, value)).toMatchObject({
      "parent-null": "trace < t-trace",
      "parent-empty": "trace < ",
      "parent-given": "trace < parent-null",
      trace: "trace < ",
      "t-trace-nulls": "trace-nulls < parent",
      "t-trace-otel": "trace-otel < ",
    });
    expect(await valuesOf("span_id = 't-trace' AND name = 'observation' AND type = 'SPAN'", value)).toEqual({
      "t-trace": "trace < t-trace",
    });
  });

  test("take version, bookmark and origin from the observation before its trace", async () => {
    const value = "concat(version, ', ', toString(bookmarked), ', ', source)";
    const condition = `span_id IN ('parent-null', 'parent-empty', 'parent-given', 'version-empty', 'version-own',
      'version-of-none', 'otel', 'otel-of-trace', 'no-trace', 'of-deleted-trace', 'of-moved-trace')`;
    expect(await valuesOf(condition, value)).toEqual({
      "parent-null": "trace version, true, ingestion-api-backfill",
      "parent-empty": "trace version, true, ingestion-api-backfill",
      "parent-given": "trace version, false, ingestion-api-backfill",
      "version-empty": ", true, ingestion-api-backfill",
      "version-own": "own, true, ingestion-api-backfill",
      "version-of-none": ", false, ingestion-api-backfill",
      otel: "trace version, true, otel-backfill",
      "otel-of-trace": "trace version, true, ingestion-api-backfill",
      "no-trace": ", false, ingestion-api-backfill",
      "of-deleted-trace": ", false, ingestion-api-backfill",
      "of-moved-trace": "trace version, true, ingestion-api-backfill",
    });
  });

  test("have their own metadata only", async () => {
    const condition = "span_id IN ('repeated-keys', 'no-metadata')";
    expect(await valuesOf(condition, "(metadata_names, metadata_values)")).toEqual({
      "repeated-keys": [
        ["k", "j", "k"],
        ["1", "", "2"],
      ],
      "no-metadata": [[], []],
    });
  });

  test("are those of the month that are not deleted", async () => {
    const condition = "span_id IN ('month-start', 'month-end', 'before-month', 'after-month', 'deleted')";
    expect(Object.keys(await valuesOf(condition, "1"))).toEqual(["month-end", "month-start"]);
  });
});

describe(`dataset runs, seed ${seed}`, () => {
  /** The spans of a trace, without its name, that items have reached, by what stands after `item of`. */
  const itemsOf = async (traceId: string): Promise<Record<string, string>> => {
    const items = await valuesOf(`trace_id = '${traceId}'`, "replaceOne(experiment_item_id, 'item of ', '')");
    return Object.fromEntries(
      Object.entries(items).map(([span, item]) => [
        span === `t-${traceId}` ? "root" : span.replace(`${traceId}/`, ""),
        String(item),
      ]),
    );
  };
  const none = { root: "", a: "", b: "", c: "", sibling: "" };
  const all = (item: string) => ({ root: item, a: item, b: item, c: item, sibling: item });

  test.each<[trace: string, items: Record<string, string>]>([
    ["run-whole", all("whole")],
    ["run-whole-empty", all("whole-empty")],
    ["run-named-root", all("named-root")],
    ["run-inner", { ...none, b: "inner", c: "inner" }],
    ["run-missing-span", none],
    ["run-missing-parent", { root: "missing-parent", a: "missing-parent", lost: "", below: "" }],
    ["run-empty-parent", { ...all("empty-parent"), empty: "empty-parent" }],
    ["run-own-id", { ...all("own-id"), "run-own-id": "own-id", below: "own-id" }],
    ["run-nested", { ...none, a: "outer", b: "nested", c: "nested" }],
    ["run-outer-newer", { ...none, a: "outer-newer", b: "outer-newer", c: "outer-newer" }],
    ["run-same-span", all("same-newer")],
    ["run-tie-created", all("tie-a")],
    ["run-tie-id", all("tie-id-2")],
    ["run-two-runs", all("first-run")],
    ["run-circle-1", { ...all("circle-1"), self: "", below: "" }],
    ["run-circle-2", { ...none, x: "circle-2", y: "circle-2" }],
    ["run-circle-3", { root: "", x: "circle-3", y: "circle-3", z: "circle-3", below: "circle-3-newer" }],
    ["run-circle-named", { root: "circle-named", a: "circle-named" }],
    ["run-in-no-table", {}],
    ["run-no-trace", { a: "", b: "no-trace-inner", c: "no-trace-inner", sibling: "" }],
    ["run-no-trace-named", { root: "no-trace-named", a: "no-trace-named", b: "no-trace-named" }],
    ["run-deleted-trace", { a: "", b: "", c: "", sibling: "" }],
    ["run-no-observations", { root: "no-observations" }],
    ["run-several-months", { ...all("several-months"), earlier: "several-months", later: "several-months" }],
    ["run-other-month", all("other-month")],
    ["run-moved-far", all("moved-far")],
    ["run-two-projects", all("two-projects")],
    ["run-tombstone", none],
    ["run-renamed-old", none],
    ["run-renamed-new", all("renamed")],
    ["run-one-left", { ...none, b: "one-left", c: "one-left" }],
    ["run-twin", { root: "", a: "", b: "twin", twin: "", below: "" }],
  ])("the items of the spans of %s", async (traceId, items) => {
    expect(await itemsOf(traceId)).toEqual(items);
  });

  test("rows of experiments hold the item, the run and the dataset", async () => {
    const columns = `experiment_id, experiment_name, experiment_description, experiment_metadata_names,
      experiment_metadata_values, experiment_dataset_id, experiment_item_version, experiment_item_expected_output,
      experiment_item_metadata_names, experiment_item_metadata_values, experiment_item_root_span_id`;
    const run = ["run", "run name", "run description", ["run"], ["metadata"], "dataset"];
    expect(await valuesOf("span_id = 'run-inner/c'", `(${columns})`)).toEqual({
      "run-inner/c": [
        ...run,
        ...["2025-11-10 12:00:00.000000", "expected", ["item"], ["metadata"], "run-inner/b"],
      ],
    });
    expect(await valuesOf("span_id = 't-run-nulls'", `(${columns})`)).toEqual({
      "t-run-nulls": ["run", "run name", "", [], [], "dataset", null, "", [], [], "t-run-nulls"],
    });
    expect(await valuesOf("span_id = 'run-inner/a'", `(${columns})`)).toEqual({
      "run-inner/a": ["", "", "", [], [], "", null, "", [], [], ""],
    });
    const metadata =
      "(experiment_metadata_names, experiment_metadata_values, experiment_item_metadata_values)";
    expect(await valuesOf("span_id = 't-run-repeated-keys'", metadata)).toEqual({
      "t-run-repeated-keys": [
        ["k", "k", ""],
        ["1", "2", ""],
        ["2", "1"],
      ],
    });
  });

  test("their traces' attributes come from any month", async () => {
    expect(await valuesOf("trace_id = 'run-moved-far'", "trace_name")).toEqual({
      "t-run-moved-far": "newest",
      "run-moved-far/a": "newest",
      "run-moved-far/b": "newest",
      "run-moved-far/c": "newest",
      "run-moved-far/sibling": "newest",
    });
  });

  test("only rows of experiments bear the time of writing", async () => {
    const condition = "trace_id = 'run-inner'";
    expect(await valuesOf(condition, "event_ts > '2026-01-01' AND created_at = updated_at")).toEqual({
      "t-run-inner": 0,
      "run-inner/a": 0,
      "run-inner/b": 1,
      "run-inner/c": 1,
      "run-inner/sibling": 0,
    });
  });
});
