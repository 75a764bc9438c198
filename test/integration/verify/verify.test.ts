import { beforeAll, describe, expect, test } from "bun:test";
import { runOptions } from "../../../scripts/testbed/run-options.ts";
import { eventsFullTable, eventsTable } from "../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import type { DifferenceKind } from "../../../src/verify/classify.ts";
import { type VerifyOptions, type VerifyResult, verify } from "../../../src/verify/verify.ts";
import { backfill } from "../../support/backfill.ts";
import { makeDatasetRuns } from "../../support/data/dataset-runs.ts";
import { chooseSeed, generateDataset } from "../../support/generate.ts";
import {
  APART,
  type Change,
  columnTypes,
  inOrder,
  KEY,
  otherValue,
  Planter,
  shown,
} from "../../support/planter.ts";
import { playRound } from "../../verify/round.ts";

const seed = chooseSeed();
const PARTITION = "202511";
const NONE = { missing: 0, unexpected: 0, stale: 0, differing: 0, newer: 0 };
const NAMED = "SELECT project_id, trace_id FROM dataset_run_items_rmt FINAL";

let server: TestServer;
let database: string;

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("verify");
  await generateDataset(server, { database, seed, observations: 700, traces: 200, largeInputs: 1 });
  await makeDatasetRuns(server, { database, seed });
  await server.command(eventsTable("events", { mergesOff: true }), { database });
  await server.command(eventsFullTable("events_full", { mergesOff: true }), { database });
  for (const target of ["events", "events_full"]) await backfill(optionsFor(target));
});

function optionsFor(target: string): VerifyOptions["backfill"] {
  const tables = { source: "observations", traces: "traces", target };
  return runOptions(server, database, PARTITION, { layout: "auto", tables });
}

async function verifyTarget(target: string, changes: Partial<VerifyOptions> = {}): Promise<VerifyResult> {
  const options = {
    backfill: optionsFor(target),
    quick: false,
    ignoreNewer: false,
    examples: 5,
    only: null,
    ...changes,
  };
  return await verify(options, () => {}, new AbortController().signal);
}

/** What was compared of the clean targets. */
const compared = new Map<string, readonly string[]>();

describe(`the month of seed ${seed}`, () => {
  for (const target of ["events", "events_full"]) {
    test(`is the same in ${target}`, async () => {
      for (const quick of [true, false]) {
        const result = await verifyTarget(target, { quick });
        expect(result.counts).toEqual(NONE);
        expect(result.examples).toEqual([]);
        expect(result.differingRanges).toEqual([]);
        expect(result.actualRows).toBeGreaterThan(250);
        compared.set(target, result.columns);
      }
    });
  }

  for (const target of ["events", "events_full"]) {
    test(`shows everything that was planted in ${target}`, async () => {
      const planter = new Planter(server, { database, target, partition: PARTITION, seed });
      const columns = compared.get(target) ?? [];
      expect(columns.length).toBeGreaterThan(35);
      const isPlain = target === "events" ? "1" : `(project_id, trace_id) NOT IN (${NAMED})`;
      const plain = columns.filter((name) => !KEY.includes(name) && !APART.includes(name));
      const changes: Change[] = [];
      const change = async (column: string, sql: string, condition = isPlain): Promise<string> => {
        const victim = await planter.victim(condition);
        changes.push({ victim, column, sql });
        return victim.span_id;
      };
      for (const [name, type] of await columnTypes(server, { database, target }, plain)) {
        const isOfExperiment = name.startsWith("experiment_");
        const from = isOfExperiment ? `(project_id, trace_id) IN (${NAMED})` : isPlain;
        planter.plant("differing", await change(name, otherValue(name, type), from), [name]);
      }
      planter.plant("missing", await change("is_deleted", "1"));
      await change("span_id", "'invented'");
      planter.plant("unexpected", "invented");
      planter.plant("differing", await change("event_ts", "e.event_ts + INTERVAL 1 SECOND"), ["event_ts"]);
      const ofSeveral = `${isPlain} AND metadata_names != arrayReverse(metadata_names)`;
      const reversed = await change("metadata_names", "arrayReverse(e.metadata_names)", ofSeveral);
      planter.plant("differing", reversed, ["metadata_names"]);
      const cut = await change("input", "substring(e.input, 1, 10)", `${isPlain} AND length(input) > 20`);
      planter.plant("differing", cut, ["input"]);
      await planter.insert(changes);
      const stale = await planter.victim(isPlain);
      const copy = `${target}_older`;
      await server.command(`CREATE TABLE ${copy} AS ${target}`, { database });
      await server.command(
        `INSERT INTO ${copy} SELECT * REPLACE (e.event_ts - INTERVAL 1 SECOND AS event_ts, 'before' AS name)
         FROM ${target} AS e FINAL WHERE e.span_id = {span:String}`,
        { database, params: { span: stale.span_id } },
      );
      planter.plant("stale", stale.span_id, ["event_ts", "name"]);
      const missing = [await planter.victim(isPlain)];
      if (target === "events_full") {
        missing.push(await planter.victim(`${isPlain} AND startsWith(span_id, 't-')`));
        missing.push(await planter.victim(`(project_id, trace_id) IN (${NAMED})`));
      }
      for (const { span_id } of missing) planter.plant("missing", span_id);
      await planter.delete([stale, ...missing]);
      await server.command(`INSERT INTO ${target} SELECT * FROM ${copy}`, { database });
      const result = await verifyTarget(target, { examples: 1_000 });
      expect(inOrder(shown(result.examples))).toEqual(inOrder(planter.plants));
      const counts = Object.groupBy(planter.plants, ({ kind }) => kind);
      for (const [kind, plants = []] of Object.entries(counts)) {
        expect(result.counts[kind as DifferenceKind], kind).toBe(plants.length);
      }
      // What Langfuse may have written since: a newer version, and a row with a source of its own.
      const lenient = await verifyTarget(target, { ignoreNewer: true });
      expect(lenient.counts.newer).toBe(2);
      expect(lenient.counts.differing).toBe(result.counts.differing - 2);
      const quick = await verifyTarget(target, { quick: true });
      expect(quick.counts.missing).toBe(result.counts.missing);
      expect(quick.counts.unexpected).toBe(result.counts.unexpected);
      expect(quick.counts.stale).toBe(1);
      expect(quick.counts.differing).toBe(1);
    });
  }
});

describe("columns that a source lacks", () => {
  let own: string;
  const target = "events_full";

  beforeAll(async () => {
    own = await server.createDatabase("verify_lacking");
    const command = (sql: string): Promise<void> => server.command(sql, { database: own });
    await generateDataset(server, { database: own, seed, observations: 60, traces: 20, largeInputs: 0 });
    await command("ALTER TABLE traces DROP COLUMN environment");
    await command("ALTER TABLE observations DROP COLUMN tool_calls, DROP COLUMN usage_pricing_tier_name");
    await command(eventsFullTable(target, { mergesOff: true }));
    await command(`ALTER TABLE ${target} MODIFY COLUMN provided_model_name DEFAULT 'of no model'`);
    await command(`ALTER TABLE ${target} MODIFY COLUMN prompt_name DEFAULT concat('of ', trace_id)`);
    await backfill(options());
  });

  function options(): VerifyOptions["backfill"] {
    const tables = { source: "observations", traces: "traces", target };
    return runOptions(server, own, PARTITION, { layout: "v4", tables });
  }

  async function found(): Promise<VerifyResult> {
    const compare = { backfill: options(), quick: false, ignoreNewer: false, examples: 5, only: null };
    return await verify(compare, () => {}, new AbortController().signal);
  }

  test("are compared with the target's DEFAULT in rows of a phase that does not fill them", async () => {
    const filled = await server.query(
      `SELECT count() > 0 FROM ${target} WHERE environment = 'default' AND provided_model_name = 'of no model'`,
      { database: own },
    );
    expect(filled).toBe("1\n");
    const { counts, columns } = await found();
    expect(counts).toEqual(NONE);
    expect(columns).toContain("environment");
    expect(columns).toContain("provided_model_name");
  });

  test("are left out by name where no row is filled, or where the DEFAULT is not one value", async () => {
    const { leftOut } = await found();
    const reasonOf = (name: string): string | undefined =>
      leftOut.find((column) => column.name === name)?.reason;
    expect(reasonOf("tool_calls")).toBe("no column of observations fills it");
    expect(reasonOf("usage_pricing_tier_name")).toBe("no column of observations fills it");
    expect(reasonOf("prompt_name")).toBe(
      "some rows have its DEFAULT concat('of ', trace_id), which has no fixed value",
    );
  });

  test("show a value that is not the DEFAULT", async () => {
    const planter = new Planter(server, { database: own, target, partition: PARTITION, seed });
    const changes: Change[] = [];
    for (const column of ["environment", "provided_model_name"]) {
      // An observation may be called like a root row, and have no name of a model.
      const victim = await planter.victim(`startsWith(span_id, 't-') AND notEmpty(${column})`);
      changes.push({ victim, column, sql: "''" });
      planter.plant("differing", victim.span_id, [column]);
    }
    await planter.insert(changes);
    expect(inOrder(shown((await found()).examples))).toEqual(inOrder(planter.plants));
  });
});

test(`every change of a value is found, and nothing else, seed ${seed}`, async () => {
  expect(await playRound(server, seed, 60)).toBe(60);
});
