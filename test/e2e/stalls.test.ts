import { describe, expect, test } from "bun:test";
import { runOptions } from "../../scripts/testbed/run-options.ts";
import type { BackfillOptions } from "../../src/run/backfill-options.ts";
import { backfill } from "../support/backfill.ts";
import { Scenario } from "../support/cli-scenario.ts";
import type { Match } from "../support/fault-proxy-rules.ts";
import { sampled } from "../support/sampled.ts";

/** No flag sets it, so these runs are in this process. Long enough for a busy machine to respond. */
const STALL_TIMEOUT_MS = 1_000;

function options(scenario: Scenario, overrides: Partial<BackfillOptions> = {}): BackfillOptions {
  const { server, database, partition } = scenario.fixture;
  const defaults = runOptions(server, database, partition);
  return {
    ...defaults,
    connection: { ...defaults.connection, url: scenario.proxy.url, stallTimeoutMs: STALL_TIMEOUT_MS },
    tables: { ...defaults.tables, target: scenario.target },
    streamBlockSizeRows: 60,
    batchSizeRows: 25,
    insertRows: 25,
    // A slow machine may look like a stalled server now and then.
    maxRetries: 20,
    ...overrides,
  };
}

const PLACES: readonly (readonly [name: string, match: Match, afterBytes: number])[] = [
  ["the response to the first query never comes", { on: /FROM system\.settings/ }, -1],
  ["the plan stops after a few rows", { on: /GROUP BY key_project/ }, 40],
  ["the traces never come", { on: "traces" }, -1],
  ["a page never comes", { on: "page", nth: 2 }, -1],
  ["a page stops within a block", { on: "page", nth: 2 }, 5000],
  ["a page stops after its last block and never ends", { on: "page", nth: 2 }, Number.MAX_SAFE_INTEGER],
  ["an insert is stored and never acknowledged", { on: "insert", nth: 3 }, -1],
  ["an insert's acknowledgement never ends", { on: "insert", nth: 3 }, 0],
];

describe("a request to a server that falls silent is repeated:", () => {
  test.concurrent.each(sampled(PLACES, 4))("%s", async (_, match, afterBytes) => {
    await using scenario = await Scenario.open();
    const stall = scenario.proxy.on(match, { kind: "stall", afterBytes });
    const { report, events } = await backfill(options(scenario));
    expect(stall.applied).toBe(1);
    expect(report).toMatchObject({ outcome: "done", eventsInserted: scenario.fixture.events });
    const retries = events.flatMap((event) => (event.kind === "retry" ? [event.message] : []));
    expect(retries).toContain("The server sent nothing for 1 s");
    await scenario.expectEvents("set");
  });
});

test("a server that always stalls is reported as not responding", async () => {
  await using scenario = await Scenario.open();
  scenario.proxy.on({ on: "any", nth: "every" }, { kind: "stall", afterBytes: -1 });
  const failure = await backfill(options(scenario, { maxRetries: 0 })).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(Error);
  expect((failure as Error).message).toStartWith(
    `No ClickHouse server responds at ${scenario.proxy.url}\nThe server sent nothing for 1 s\n`,
  );
});
