import { beforeAll, describe, expect, test } from "bun:test";
import { expectSameRows } from "../../../scripts/testbed/compare.ts";
import { runOptions } from "../../../scripts/testbed/run-options.ts";
import { eventsFullTable, eventsTable } from "../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import type { BackfillOptions } from "../../../src/run/backfill-options.ts";
import { backfill, type RunOutcome } from "../../support/backfill.ts";
import { makeDatasetRuns } from "../../support/data/dataset-runs.ts";
import { chooseSeed, generateDataset } from "../../support/generate.ts";
import { writeReference } from "../../support/reference.ts";
import { writeV4Reference } from "../../support/reference-v4.ts";
import { sampled } from "../../support/sampled.ts";
import { expectV4Rows } from "../../support/v4-comparison.ts";

const seed = chooseSeed();
const PARTITION = "202511";

let server: TestServer;
let database: string;

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("server_engine");
  await generateDataset(server, { database, seed, observations: 800, traces: 250, largeInputs: 1 });
  await makeDatasetRuns(server, { database, seed });
  await server.command(eventsFullTable("events_full", { mergesOff: true }), { database });
  await server.command(eventsTable("events", { mergesOff: true }), { database });
  await writeReference(server, { database, partition: PARTITION, target: "events" }, "events_expected");
  await writeV4Reference(server, { database, partition: PARTITION, target: "events_full" }, "expected");
});

async function run(target: string, changes: Partial<BackfillOptions>): Promise<RunOutcome> {
  const tables = { source: "observations", traces: "traces", target };
  return await backfill(
    runOptions(server, database, PARTITION, { engine: "server", layout: "auto", tables, ...changes }),
  );
}

describe(`the server's engine, seed ${seed}`, () => {
  for (const insertRows of sampled([250_000, 200], 1)) {
    test(`writes what the client's writes of Langfuse v4, ${insertRows} rows an INSERT`, async () => {
      const target = `v4_${insertRows}`;
      await server.command(eventsFullTable(target, { mergesOff: true }), { database });
      const sinceMs = Date.now();
      const { report } = await run(target, { insertRows });
      const byClient = `client_${insertRows}`;
      await server.command(eventsFullTable(byClient, { mergesOff: true }), { database });
      const { report: clientReport } = await run(byClient, { insertRows, engine: "client" });
      await expectV4Rows(server, { database, target, expected: "expected" }, sinceMs);
      const counts = ({ phases }: typeof report): unknown =>
        phases.map(({ phase, rows, leftOut, superseded, withoutTrace, skipped }) => ({
          phase,
          rows,
          leftOut,
          superseded,
          withoutTrace,
          skipped,
        }));
      expect(counts(report)).toEqual(counts(clientReport));
      expect(report.eventsInserted).toBe(clientReport.eventsInserted);
    });

    test(`writes what the client's writes of events, JSON included, ${insertRows} rows an INSERT`, async () => {
      const target = `events_${insertRows}`;
      await server.command(eventsTable(target, { mergesOff: true }), { database });
      const { report } = await run(target, { insertRows });
      expect(report.outcome).toBe("done");
      await expectSameRows(server, { database, actual: target, expected: "events_expected" }, "final");
    });
  }

  test("leaves no page to this program for the sake of ids that look like exponents", async () => {
    const own = await server.createDatabase("server_ids");
    await generateDataset(server, { database: own, seed, observations: 20, traces: 10, largeInputs: 0 });
    // Their metadata is odd, and would be that of many rows.
    await server.command("TRUNCATE TABLE traces", { database: own });
    await server.command(
      `INSERT INTO observations SELECT o.* REPLACE (concat(o.id, '-', toString(n.number)) AS id,
         map('thread_id', concat('12e345f', lower(hex(n.number)))) AS metadata)
       FROM observations AS o, numbers(200) AS n`,
      { database: own },
    );
    await server.command(eventsTable("events", { mergesOff: true }), { database: own });
    await writeReference(server, { database: own, partition: PARTITION, target: "events" }, "expected");
    const { report, events } = await backfill(runOptions(server, own, PARTITION, { engine: "server" }));
    expect(report.observationsRead).toBeGreaterThan(1_000);
    const notices = events.flatMap((event) => (event.kind === "notice" ? [event.message] : []));
    expect(notices.filter((message) => message.includes("that the server cannot"))).toEqual([]);
    await expectSameRows(server, { database: own, actual: "events", expected: "expected" }, "final");
  });

  test("a dry run inserts nothing and counts the same", async () => {
    await server.command(eventsFullTable("dry", { mergesOff: true }), { database });
    const { report } = await run("dry", { dryRun: true, only: ["roots", "observations"] });
    expect(report.outcome).toBe("dry-run");
    expect(report.observationsRead).toBeGreaterThan(250);
    expect(await server.query("SELECT count() FROM dry", { database })).toBe("0\n");
  });
});
