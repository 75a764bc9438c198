import { beforeAll, describe, expect, test } from "bun:test";
import { runOptions } from "../../../scripts/testbed/run-options.ts";
import { eventsFullTable, eventsTable } from "../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import { type VerifyOptions, type VerifyResult, verify } from "../../../src/verify/verify.ts";
import { backfill } from "../../support/backfill.ts";
import { chooseSeed, generateDataset } from "../../support/generate.ts";

const seed = chooseSeed();
const PARTITION = "202511";

let server: TestServer;
let database: string;

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("verify");
  await generateDataset(server, { database, seed, observations: 2_500, traces: 700, largeInputs: 1 });
  await server.command(eventsTable("events", { mergesOff: true }), { database });
  await server.command(eventsFullTable("events_full", { mergesOff: true }), { database });
  for (const target of ["events", "events_full"]) await backfill(optionsFor(target));
});

function optionsFor(target: string): VerifyOptions["backfill"] {
  const tables = { source: "observations", traces: "traces", target };
  return runOptions(server, database, PARTITION, { layout: "auto", tables });
}

async function verifyTarget(target: string, changes: Partial<VerifyOptions> = {}): Promise<VerifyResult> {
  const options = { backfill: optionsFor(target), quick: false, ignoreNewer: false, examples: 5, ...changes };
  return await verify(options, () => {}, new AbortController().signal);
}

describe(`the month of seed ${seed}`, () => {
  for (const target of ["events", "events_full"]) {
    test(`is the same in ${target}`, async () => {
      const result = await verifyTarget(target);
      expect(result.counts).toEqual({ missing: 0, unexpected: 0, stale: 0, differing: 0, newer: 0 });
      expect(result.actualRows).toBeGreaterThan(0);
    });
  }
});
