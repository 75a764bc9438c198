import { beforeAll, expect, test } from "bun:test";
import { runOptions } from "../../../scripts/testbed/run-options.ts";
import { eventsTable } from "../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import type { BackfillEvent } from "../../../src/run/events.ts";
import { type VerifyResult, verify } from "../../../src/verify/verify.ts";
import { backfill } from "../../support/backfill.ts";
import { chooseSeed, generateDataset } from "../../support/generate.ts";
import { inOrder, Planter, shown } from "../../support/planter.ts";

const seed = chooseSeed();
const PARTITION = "202511";

/** A run embeds these as JSON. The server's SQL is not certain of such long integers, and takes the whole value for a string. */
const ODD_VALUES = ['{"order":12345678901234567}', "[1234567890123456789]"];
/** Of the same kind, and yet a string on both sides: more than 64 bits. */
const LONG_VALUE = "[123456789012345678901234567890]";

let server: TestServer;
let database: string;

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("json_rows");
  await generateDataset(server, { database, seed, observations: 300, traces: 60, largeInputs: 0 });
  await server.command(eventsTable("events", { mergesOff: true }), { database });
  for (const [i, value] of [...ODD_VALUES, LONG_VALUE].entries()) await addObservations(`odd-${i}`, value, 1);
  await backfill(options());
});

/** Observations with this one value of metadata. */
async function addObservations(name: string, value: string, count: number): Promise<void> {
  await server.command(
    `INSERT INTO observations SELECT o.* REPLACE (concat({name:String}, '-', toString(number)) AS id, map('value', {value:String}) AS metadata)
     FROM (SELECT * FROM observations FINAL WHERE _partition_id = '${PARTITION}' AND is_deleted = 0 LIMIT 1) AS o
     CROSS JOIN numbers(${count}) AS n`,
    { database, params: { name, value } },
  );
}

function options(): ReturnType<typeof runOptions> {
  const tables = { source: "observations", traces: "traces", target: "events" };
  return runOptions(server, database, PARTITION, { tables });
}

async function compare(emit: (event: BackfillEvent) => void = () => {}): Promise<VerifyResult> {
  return await verify(
    { backfill: options(), quick: false, ignoreNewer: false, examples: 10, only: null },
    emit,
    new AbortController().signal,
  );
}

test(`JSON that SQL does not decide is compared by this program, seed ${seed}`, async () => {
  const counts: [rows: number, total: number][] = [];
  const result = await compare((event) => {
    if (event.kind === "compared") counts.push([event.rows, event.totalRows]);
  });
  expect(result.examples).toEqual([]);
  // Looking at rows one by one is work of its own, which the progress has in its total.
  const [done = 0, total] = counts.at(-1) ?? [];
  expect(total).toBe(done);
  expect(done).toBeGreaterThan(result.expectedRows + result.actualRows);
  expect(result.comparedHere).toBeGreaterThanOrEqual(ODD_VALUES.length);
});

test("JSON that SQL does not decide, and that is another one in the target, is found", async () => {
  const planter = new Planter(server, { database, target: "events", partition: PARTITION, seed });
  const victim = await planter.victim("span_id = 'odd-0-0'");
  const sql = `CAST('{"value":{"order":12345678901234568}}' AS JSON)`;
  await planter.insert([{ victim, column: "metadata", sql }]);
  planter.plant("differing", "odd-0-0", ["metadata"]);
  expect(inOrder(shown((await compare()).examples))).toEqual(inOrder(planter.plants));
});

test("of many such rows, too, one that differs is found", async () => {
  await addObservations("many", '{"order":12345678901234567}', 1_100);
  await backfill(options());
  const planter = new Planter(server, { database, target: "events", partition: PARTITION, seed });
  const victim = await planter.victim("span_id = 'many-1099'");
  await planter.insert([{ victim, column: "metadata", sql: `CAST('{"value":{"order":"x"}}' AS JSON)` }]);
  planter.plant("differing", "many-1099", ["metadata"]);
  const result = await compare();
  expect(inOrder(shown(result.examples))).toEqual(inOrder(planter.plants));
  expect(result.comparedHere).toBeGreaterThan(1_100);
});
