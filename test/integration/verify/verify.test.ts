import { beforeAll, describe, expect, test } from "bun:test";
import { runOptions } from "../../../scripts/testbed/run-options.ts";
import { eventsFullTable, eventsTable } from "../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import type { DifferenceKind } from "../../../src/verify/classify.ts";
import { type VerifyOptions, type VerifyResult, verify } from "../../../src/verify/verify.ts";
import { backfill } from "../../support/backfill.ts";
import { makeDatasetRuns } from "../../support/data/dataset-runs.ts";
import { chooseSeed, generateDataset } from "../../support/generate.ts";

const seed = chooseSeed();
const PARTITION = "202511";
const NONE = { missing: 0, unexpected: 0, stale: 0, differing: 0, newer: 0 };
const NAMED = "SELECT project_id, trace_id FROM dataset_run_items_rmt FINAL";

let server: TestServer;
let database: string;

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("verify");
  await generateDataset(server, { database, seed, observations: 1_500, traces: 400, largeInputs: 1 });
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

/** A row of the target to be tampered with. */
interface Victim {
  readonly project_id: string;
  readonly trace_id: string;
  readonly span_id: string;
  readonly time: string;
}

/** A difference that was planted, and what must be found. */
interface Plant {
  readonly kind: DifferenceKind;
  readonly span: string;
  readonly columns: readonly string[];
}

/** What becomes of a row: another value of one column, as an expression on the row `e`. */
interface Change {
  readonly victim: Victim;
  readonly column: string;
  readonly sql: string;
}

/** Plants differences in rows that it picks one after another, each in a row of its own. */
class Planter {
  readonly target: string;
  readonly plants: Plant[] = [];
  readonly #taken = new Set<string>();
  readonly #candidates = new Map<string, Victim[]>();

  constructor(target: string) {
    this.target = target;
  }

  async victim(condition: string): Promise<Victim> {
    const rows = this.#candidates.get(condition) ?? (await this.#rowsFor(condition));
    this.#candidates.set(condition, rows);
    const row = rows.find(({ span_id }) => !this.#taken.has(span_id));
    if (row === undefined) throw new Error(`No row left for which ${condition}`);
    this.#taken.add(row.span_id);
    return row;
  }

  async #rowsFor(condition: string): Promise<Victim[]> {
    // Rows of one span must not be taken for each other.
    return await server.queryJson<Victim>(
      `SELECT project_id, trace_id, span_id, toString(start_time) AS time FROM ${this.target} FINAL
       WHERE toYYYYMM(start_time) = ${PARTITION} AND isValidUTF8(project_id) AND isValidUTF8(trace_id) AND isValidUTF8(span_id)
         AND notEmpty(span_id) AND span_id IN (SELECT span_id FROM ${this.target} GROUP BY span_id HAVING uniqExact(project_id, trace_id, start_time) = 1)
         AND (${condition})
       ORDER BY cityHash64(span_id, ${seed}) LIMIT 300`,
      { database },
    );
  }

  /** Inserts the victims again, each with another value of one column. */
  async insert(changes: readonly Change[]): Promise<void> {
    const params = Object.fromEntries(changes.map(({ victim }, i) => [`span${i}`, victim.span_id]));
    const items = [...Map.groupBy(changes.entries(), ([, { column }]) => column)].map(([column, group]) => {
      const branches = [...group].map(([i, { sql }]) => `e.span_id = {span${i}:String}, ${sql}`);
      return `multiIf(${branches.join(", ")}, e.${column}) AS ${column}`;
    });
    const spans = Object.keys(params).map((name) => `{${name}:String}`);
    await server.command(
      `INSERT INTO ${this.target} SELECT * REPLACE (${items.join(", ")}) FROM ${this.target} AS e FINAL
       WHERE toYYYYMM(e.start_time) = ${PARTITION} AND e.span_id IN (${spans.join(", ")})`,
      { database, params, settings: { optimize_on_insert: 0 } },
    );
  }

  async delete(victims: readonly Victim[]): Promise<void> {
    const params = Object.fromEntries(victims.map(({ span_id }, i) => [`span${i}`, span_id]));
    const spans = Object.keys(params).map((name) => `{${name}:String}`);
    await server.command(`ALTER TABLE ${this.target} DELETE WHERE span_id IN (${spans.join(", ")})`, {
      database,
      params,
      settings: { mutations_sync: 2 },
    });
  }

  plant(kind: DifferenceKind, span: string, columns: readonly string[] = []): void {
    this.plants.push({ kind, span, columns });
  }
}

/** An expression with another value than the column `name` of `e` has. */
function otherValue(name: string, type: string): string {
  const value = `e.${name}`;
  if (type === "String") return `concat(${value}, '!')`;
  if (type.startsWith("LowCardinality(")) return `CAST(concat(${value}, '!') AS ${type})`;
  if (type.startsWith("JSON")) return `CAST('{"planted":1}' AS ${type})`;
  if (type.startsWith("Nullable(DateTime64")) return `if(isNull(${value}), e.start_time, NULL)`;
  if (type.startsWith("Nullable(String")) return `if(isNull(${value}), '!', NULL)`;
  if (type.startsWith("Nullable(")) return `if(isNull(${value}), 1, NULL)`;
  if (type.startsWith("DateTime64")) return `${value} + INTERVAL 1 MILLISECOND`;
  if (type.startsWith("Array(")) return `arrayPushBack(${value}, '!')`;
  if (type === "Map(String, String)") return `mapConcat(${value}, map('!', '!'))`;
  if (type.startsWith("Map(")) return `CAST(mapConcat(${value}, map('!', 1)) AS ${type})`;
  if (type === "Bool") return `NOT ${value}`;
  return `${value} + 1`;
}

const KEY: readonly string[] = ["project_id", "trace_id", "span_id", "start_time"];
/** A version of its own, or no row at all. */
const APART: readonly string[] = ["event_ts", "is_deleted"];

async function columnTypes(target: string, columns: readonly string[]): Promise<[string, string][]> {
  const rows = await server.queryJson<{ name: string; type: string }>(
    "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {target:String}",
    { params: { database, target } },
  );
  return rows.filter(({ name }) => columns.includes(name)).map(({ name, type }) => [name, type]);
}

function byKindAndSpan(a: Plant, b: Plant): number {
  return Number(a.kind + a.span > b.kind + b.span) - Number(a.kind + a.span < b.kind + b.span);
}

describe(`the month of seed ${seed}`, () => {
  for (const target of ["events", "events_full"]) {
    test(`is the same in ${target}`, async () => {
      for (const quick of [true, false]) {
        const result = await verifyTarget(target, { quick });
        expect(result.counts).toEqual(NONE);
        expect(result.examples).toEqual([]);
        expect(result.differingRanges).toEqual([]);
        expect(result.actualRows).toBeGreaterThan(500);
      }
    });
  }

  for (const target of ["events", "events_full"]) {
    test(`shows everything that was planted in ${target}`, async () => {
      const planter = new Planter(target);
      const { columns } = await verifyTarget(target, { quick: false });
      const isPlain = target === "events" ? "1" : `(project_id, trace_id) NOT IN (${NAMED})`;
      const plain = columns.filter((name) => !KEY.includes(name) && !APART.includes(name));
      const changes: Change[] = [];
      const change = async (column: string, sql: string, condition = isPlain): Promise<string> => {
        const victim = await planter.victim(condition);
        changes.push({ victim, column, sql });
        return victim.span_id;
      };
      for (const [name, type] of await columnTypes(target, plain)) {
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
      const found = result.examples.map(({ kind, key, columns: differ }) => ({
        kind,
        span: key["span_id"] ?? "",
        columns: [...differ].sort(),
      }));
      const planted = planter.plants.map((plant) => ({ ...plant, columns: [...plant.columns].sort() }));
      expect(found.sort(byKindAndSpan)).toEqual(planted.sort(byKindAndSpan));
      const counts = Object.groupBy(planted, ({ kind }) => kind);
      for (const [kind, plants = []] of Object.entries(counts)) {
        expect(result.counts[kind as DifferenceKind], kind).toBe(plants.length);
      }
      const quick = await verifyTarget(target, { quick: true });
      expect(quick.counts.missing).toBe(result.counts.missing);
      expect(quick.counts.unexpected).toBe(result.counts.unexpected);
      expect(quick.counts.stale).toBe(1);
      expect(quick.counts.differing).toBe(1);
    });
  }
});
