import { beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  type CompareMode,
  compareTables,
  describeComparison,
  expectSameRows,
} from "../../../scripts/testbed/compare.ts";
import { eventsTable } from "../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import { chooseSeed, generateDataset } from "../../support/generate.ts";
import { writeReference } from "../../support/reference.ts";
import { sampled } from "../../support/sampled.ts";

const ALL_MODES: readonly CompareMode[] = ["multiset", "set", "final"];

let server: TestServer;
let database: string;
const pair = () => ({ database, actual: "events", expected: "expected" });

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("compare");
  await generateDataset(server, {
    database,
    seed: chooseSeed(),
    observations: 150,
    traces: 30,
    largeInputs: 0,
  });
  await server.command(eventsTable("template", { mergesOff: true }), { database });
  await writeReference(server, { database, partition: "202511", target: "template" }, "expected");
});

/** `events` as it should be. */
beforeEach(async () => {
  await server.command("DROP TABLE IF EXISTS events", { database });
  await server.command("CREATE TABLE events AS expected", { database });
  await copyExpected();
});

const copyExpected = (condition = "1", replace = "") =>
  server.command(`INSERT INTO events SELECT * ${replace} FROM (SELECT * FROM expected WHERE ${condition})`, {
    database,
  });

const SOME_ROW = "span_id = (SELECT min(span_id) FROM expected WHERE length(span_id) = 36)";

/** Puts another row in the place of one; the table keeps its merges off. */
async function replaceOne(replace: string): Promise<void> {
  await server.command("TRUNCATE TABLE events", { database });
  await copyExpected(`NOT (${SOME_ROW})`);
  await copyExpected(SOME_ROW, `REPLACE (${replace})`);
}

describe("the comparison", () => {
  test.each(ALL_MODES)("finds equal tables equal (%s)", async (mode) => {
    await expectSameRows(server, pair(), mode);
    const { actualRows, expectedRows } = await compareTables(server, pair(), mode);
    expect(actualRows).toBeGreaterThan(100);
    expect(actualRows).toBe(expectedRows);
  });

  test.each(
    sampled(
      [
        ["a text", "concat(name, ' ') AS name", "name"],
        [
          "NULL in place of a value",
          "if(prompt_version IS NULL, 0, NULL) AS prompt_version",
          "prompt_version",
        ],
        ["JSON of another type", `'{"only": "1"}' AS metadata`, "metadata"],
        ["an array", "arrayPushBack(metadata_names, '') AS metadata_names", "metadata_names"],
        ["a map", "CAST(map('total', 1.5) AS Map(String, Decimal(18, 12))) AS cost_details", "cost_details"],
        ["a flag", "NOT public AS public", "public"],
        ["a microsecond", "updated_at + toIntervalMicrosecond(1) AS updated_at", "updated_at"],
      ],
      2,
    ),
  )("finds a changed value: %s", async (_name, replace, column) => {
    await replaceOne(replace);
    for (const mode of ALL_MODES) {
      const { differingRows, differences } = await compareTables(server, pair(), mode);
      expect(differingRows).toBe(2);
      const [difference] = differences;
      expect(difference?.kind).toBe("changed");
      expect(difference?.columns.map(({ name }) => name)).toEqual([column]);
    }
  });

  test("finds a missing row", async () => {
    await server.command("TRUNCATE TABLE events", { database });
    await copyExpected(`NOT (${SOME_ROW})`);
    for (const mode of ALL_MODES) {
      const comparison = await compareTables(server, pair(), mode);
      expect(comparison.differingRows).toBe(1);
      expect(comparison.differences.map(({ kind }) => kind)).toEqual(["missing"]);
      await expect(expectSameRows(server, pair(), mode)).rejects.toThrow(/missing: project_id .*span_id/);
    }
  });

  test("finds an extra row", async () => {
    await copyExpected(SOME_ROW, "REPLACE ('another' AS span_id)");
    for (const mode of ALL_MODES) {
      const { differences, differingRows } = await compareTables(server, pair(), mode);
      expect(differingRows).toBe(1);
      expect(differences.map(({ kind }) => kind)).toEqual(["extra"]);
    }
  });

  test("finds a doubled row where rows are counted, and only there", async () => {
    await copyExpected(SOME_ROW);
    const comparison = await compareTables(server, pair(), "multiset");
    expect(comparison.differences).toMatchObject([{ kind: "repeated", copies: { actual: 2, expected: 1 } }]);
    expect(describeComparison(pair(), comparison)).toContain("(2 times, not 1)");
    await expectSameRows(server, pair(), "set");
    await expectSameRows(server, pair(), "final");
  });

  test("finds a table with no rows at all", async () => {
    await server.command("TRUNCATE TABLE events", { database });
    const { actualRows, expectedRows, differingRows } = await compareTables(server, pair(), "final");
    expect(actualRows).toBe(0);
    expect(differingRows).toBe(expectedRows);
  });
});
