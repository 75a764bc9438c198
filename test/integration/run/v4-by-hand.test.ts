import { beforeAll, describe, expect, test } from "bun:test";
import { runOptions } from "../../../scripts/testbed/run-options.ts";
import { eventsFullTable } from "../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import { backfill } from "../../support/backfill.ts";
import { expectSameV4Rows } from "../../support/compare-v4.ts";
import { PARTITION } from "../../support/data/values.ts";
import { chooseSeed, generateV4Dataset, type V4DatasetOptions } from "../../support/generate.ts";
import { writeV4Reference } from "../../support/reference-v4-by-hand.ts";

const seed = chooseSeed();

let server: TestServer;

beforeAll(async () => {
  server = await testServer();
});

describe(`a run of the v4 layout, seed ${seed}`, () => {
  const datasets: readonly [name: string, options: Partial<V4DatasetOptions>][] = [
    ["newer tables", { observations: 1_000, traces: 400 }],
    ["older tables and a deep chain", { generation: "old", itemsGeneration: "old", deepChain: 1_000 }],
  ];
  for (const [name, options] of datasets) {
    test(`leaves the rows of the reference: ${name}`, async () => {
      const database = await server.createDatabase("v4byhand");
      await generateV4Dataset(server, { database, seed, observations: 300, traces: 100, ...options });
      await server.command(eventsFullTable("events_full", { mergesOff: true }), { database });
      await writeV4Reference(server, { database, partition: PARTITION, target: "events_full" }, "expected");
      const startedAt = new Date();
      const tables = { source: "observations", traces: "traces", target: "events_full" };
      const sizes = { streamBlockSizeRows: 200, batchSizeRows: 70, insertRows: 500 };
      const { report } = await backfill(
        runOptions(server, database, PARTITION, { layout: "auto", tables, ...sizes }),
      );
      expect(report.outcome).toBe("done");
      const pair = { database, actual: "events_full", expected: "expected" };
      await expectSameV4Rows(server, pair, "multiset", startedAt);
    });
  }
});
