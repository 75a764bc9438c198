import { beforeAll, describe, expect, test } from "bun:test";
import { expectSameRows } from "../../../scripts/testbed/compare.ts";
import { runOptions } from "../../../scripts/testbed/run-options.ts";
import { eventsFullTable, eventsTable } from "../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import { Server } from "../../../src/clickhouse/server.ts";
import { readServerSettings } from "../../../src/clickhouse/settings/read-server-settings.ts";
import { statementSettings } from "../../../src/clickhouse/settings/statement-settings.ts";
import { identifier, qualifiedTable } from "../../../src/clickhouse/sql.ts";
import { enrichmentSql, isExactItem } from "../../../src/mapping/enrichment-sql.ts";
import { LAYOUTS, type LayoutName } from "../../../src/mapping/layouts.ts";
import type { ResolvedMapping } from "../../../src/mapping/resolve-mapping.ts";
import type { KeyRange } from "../../../src/plan/key-range.ts";
import { WHOLE_KEY_SPACE } from "../../../src/plan/key-range.ts";
import { planPages } from "../../../src/plan/pages.ts";
import type { MonthlyPhase } from "../../../src/plan/phases.ts";
import { PHASE_KEYS, rangeCondition } from "../../../src/plan/source-key.ts";
import { checkTables } from "../../../src/run/preflight/preflight.ts";
import { makeDatasetRuns } from "../../support/data/dataset-runs.ts";
import { chooseSeed, generateDataset } from "../../support/generate.ts";
import { writeReference } from "../../support/reference.ts";
import { writeV4Reference } from "../../support/reference-v4.ts";

const seed = chooseSeed();
const PARTITION = "202511";
const RETRY = { maxRetries: 0, onRetry: () => {}, signal: new AbortController().signal };

let testbed: TestServer;
let database: string;

beforeAll(async () => {
  testbed = await testServer();
  database = await testbed.createDatabase("enrichment");
  await generateDataset(testbed, { database, seed, observations: 1_500, traces: 400, largeInputs: 1 });
  await makeDatasetRuns(testbed, { database, seed });
  await testbed.command(eventsTable("events", { mergesOff: true }), { database });
  await testbed.command(eventsFullTable("events_full", { mergesOff: true }), { database });
});

async function count(from: string): Promise<number> {
  return Number(await testbed.query(`SELECT count() FROM ${from}`, { database }));
}

/** Has the server insert the rows of every page, each by one statement, into a clone of `target`. */
async function insertByPages(
  target: string,
  layout: LayoutName,
  phases: readonly MonthlyPhase[],
  pageRows: number,
  into: string,
): Promise<number> {
  const tables = { source: "observations", traces: "traces", target };
  const options = runOptions(testbed, database, PARTITION, { layout, tables });
  const server = new Server(options.connection);
  const userSettings = await readServerSettings(server, RETRY.signal);
  server.settings = statementSettings(userSettings);
  const checked = await checkTables(server, options, RETRY, undefined, LAYOUTS[layout]);
  await testbed.command(`CREATE TABLE ${identifier(into)} AS ${identifier(target)}`, { database });
  let pages = 0;
  for (const phase of phases) {
    const mapping = (phase === "roots" ? checked.roots : checked.mapping) as ResolvedMapping;
    const source = qualifiedTable(database, phase === "roots" ? "traces" : "observations");
    const key = PHASE_KEYS[phase];
    const insert = async (range: KeyRange): Promise<void> => {
      const scope = {
        phase,
        tables: {
          source: qualifiedTable(database, "observations"),
          traces: qualifiedTable(database, "traces"),
        },
        partition: PARTITION,
        window: { partition: PARTITION, windowDays: 2 },
        datasetRunItems:
          checked.experiments === null ? null : qualifiedTable(database, "dataset_run_items_rmt"),
      };
      const isExact = isExactItem(mapping, "is_exact");
      const { sql, params, columns } = enrichmentSql(mapping, scope, rangeCondition(key, range), [isExact]);
      const names = columns
        .filter((name) => name !== isExact.name)
        .map(identifier)
        .join(", ");
      await server.insert(
        {
          sql: `INSERT INTO ${qualifiedTable(database, into)} (${names}) SELECT ${names} FROM (${sql}) WHERE is_exact`,
          params,
          settings: { optimize_on_insert: 0 },
        },
        [],
        RETRY.signal,
      );
    };
    const scope = { server, table: source, key, partition: PARTITION, pageRows, retry: RETRY };
    for await (const { range } of planPages(scope, [WHOLE_KEY_SPACE])) {
      pages++;
      await insert(range);
    }
  }
  server.close();
  return pages;
}

describe(`the enrichment as SQL, seed ${seed}`, () => {
  const sizes = [
    { pageRows: 1_000_000, pages: 1 },
    { pageRows: 200, pages: 2 },
  ];
  for (const { pageRows, pages } of sizes) {
    test(`in pages of ${pageRows} rows equals the reference of events`, async () => {
      const [into, expected] = [`events_${pageRows}`, `events_expected_${pageRows}`];
      expect(
        await insertByPages("events", "events", ["observations"], pageRows, into),
      ).toBeGreaterThanOrEqual(pages);
      await writeReference(testbed, { database, partition: PARTITION, target: "events" }, expected);
      const key = "project_id, type, start_time, span_id, trace_id";
      const inexact = `(${key}) NOT IN (SELECT ${key} FROM ${into})`;
      const rows = (table: string, condition = "1"): Promise<number> => count(`${table} WHERE ${condition}`);
      const all = await rows(expected);
      await testbed.command(`ALTER TABLE ${expected} DELETE WHERE ${inexact}`, {
        database,
        settings: { mutations_sync: 2 },
      });
      // Most of the metadata is odd here.
      expect(await rows(expected)).toBeGreaterThan(all * 0.2);
      await expectSameRows(testbed, { database, actual: into, expected }, "multiset");
    });

    for (const phase of ["roots", "observations"] as const) {
      test(`in pages of ${pageRows} rows equals the reference of ${phase} in events_full`, async () => {
        const [into, expected] = [`${phase}_${pageRows}`, `${phase}_expected_${pageRows}`];
        expect(await insertByPages("events_full", "v4", [phase], pageRows, into)).toBeGreaterThanOrEqual(
          pages,
        );
        await writeV4Reference(testbed, { database, partition: PARTITION, target: "events_full" }, expected, [
          phase,
        ]);
        await expectSameRows(testbed, { database, actual: into, expected }, "multiset");
      });
    }
  }
});
