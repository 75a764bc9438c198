import { describe, expect, test } from "bun:test";
import { expectSameRows } from "../../../../scripts/testbed/compare.ts";
import { runOptions } from "../../../../scripts/testbed/run-options.ts";
import { eventsTable } from "../../../../scripts/testbed/schema.ts";
import { testServer } from "../../../../scripts/testbed/server.ts";
import type { RetryPolicy } from "../../../../src/clickhouse/retry.ts";
import { Server } from "../../../../src/clickhouse/server.ts";
import { readServerSettings } from "../../../../src/clickhouse/settings/read-server-settings.ts";
import { statementSettings } from "../../../../src/clickhouse/settings/statement-settings.ts";
import { JSON_COLUMN_KEEPS, LEAST_KEPT } from "../../../../src/json/kept-json.ts";
import { type JsonSupport, probeJson } from "../../../../src/run/preflight/json-support.ts";
import { backfill } from "../../../support/backfill.ts";
import { FaultProxy } from "../../../support/fault-proxy.ts";
import { type Fault, gatewayError, serverError } from "../../../support/fault-proxy-faults.ts";
import { chooseSeed, generateDataset } from "../../../support/generate.ts";
import { writeReference } from "../../../support/reference.ts";
import { sampled } from "../../../support/sampled.ts";

const RETRY: RetryPolicy = { maxRetries: 0, onRetry: () => {}, signal: new AbortController().signal };

async function probe(fault?: Fault, type = "JSON"): Promise<JsonSupport | string> {
  const { url, user, password } = await testServer();
  const proxy = await FaultProxy.start(url);
  if (fault !== undefined) proxy.on({ on: /format\(Native/, nth: "every" }, fault);
  const server = new Server({ url: proxy.url, user, password, database: "default" });
  try {
    server.settings = statementSettings(await readServerSettings(server, RETRY.signal));
    return await probeJson(server, type, RETRY);
  } finally {
    server.close();
    await proxy.close();
  }
}

describe("what a server's JSON columns take", () => {
  test("is found by trying: this engine takes paths and keeps what newer ones keep", async () => {
    expect(await probe()).toEqual({ takesPaths: true, keeps: JSON_COLUMN_KEEPS });
    expect(await probe(undefined, "JSON(max_dynamic_paths=2)")).toMatchObject({ keeps: JSON_COLUMN_KEEPS });
  });

  test("is less where the column limits the types of a path: an integer may become a float", async () => {
    const support = await probe(undefined, "JSON(max_dynamic_types=8)");
    expect(support).toMatchObject({ keeps: { ...JSON_COLUMN_KEEPS, largeIntegers: false } });
  });

  test("is little where the user may not try", async () => {
    const denied = serverError(403, 497, "Not enough privileges", "ACCESS_DENIED");
    expect(await probe(denied)).toEqual({ takesPaths: false, keeps: LEAST_KEPT });
  });

  test("is not known where the server does not respond: less than it takes would be stored", async () => {
    const passing = serverError(500, 242, "Table is in readonly mode", "TABLE_IS_READ_ONLY");
    for (const fault of [passing, gatewayError(403), gatewayError(503)]) {
      await expect(probe(fault)).rejects.toThrow("Trying what the server's JSON columns keep");
    }
  });

  test("is nothing where the server does not read text from Native blocks, which a run is refused for", async () => {
    const words = "Invalid version for Object structure serialization";
    const problem = await probe(serverError(400, 117, words, "INCORRECT_DATA"));
    expect(problem).toContain(words);
    expect(problem).toContain("column of type JSON cannot be filled");
  });
});

describe("a JSON column with limits holds texts that look like dates as texts", () => {
  const seed = chooseSeed();
  for (const type of sampled(["JSON", "JSON(max_dynamic_paths=2)", "JSON(max_dynamic_types=8)"], 1)) {
    test(`${type}, seed ${seed}`, async () => {
      const server = await testServer();
      const database = await server.createDatabase("limits");
      const sizes = { observations: 400, traces: 100, largeInputs: 0 };
      const { partition } = await generateDataset(server, { database, seed, ...sizes });
      const table = eventsTable("events", { mergesOff: true });
      await server.command(table.replace("metadata JSON,", `metadata ${type},`), { database });
      await writeReference(server, { database, partition, target: "events" }, "expected");
      await backfill(runOptions(server, database, partition));
      await expectSameRows(server, { database, actual: "events", expected: "expected" }, "multiset");
      // Which of several types of numbers or arrays a path gets is decided by the rows before it; a date never is one.
      const types = await server.query(
        `SELECT arraySort(groupUniqArrayArray(arrayMap(type -> extract(type, 'Date\\\\w*'),
           mapValues(JSONAllPathsWithTypes(metadata))))) FROM events WHERE toJSONString(metadata) LIKE '%2024-1-1%'`,
        { database },
      );
      expect(types).toBe("['']\n");
    }, 60_000);
  }
});
