import { describe, expect, test } from "bun:test";
import { readdirSync, watch, writeFileSync } from "node:fs";
import { type CliOutcome, readStderr, reportedCount } from "../support/cli.ts";
import { ONE_BY_ONE, OTHER_SIZES, Scenario } from "../support/cli-scenario.ts";
import type { Match } from "../support/fault-proxy-rules.ts";
import { sampled } from "../support/sampled.ts";

/** Where a run is held when it is stopped: a request that has not reached the server, or whose response is on its way. */
type Place = readonly [name: string, match: Match, at: "request" | "response"];

const PLACES: readonly Place[] = [
  ["while the traces are loaded", { on: "traces" }, "response"],
  ["while the first page is fetched", { on: "page" }, "response"],
  ["before the first insert", { on: "insert" }, "request"],
  ["between the inserts of a page", { on: "insert", nth: 5 }, "request"],
  ["when an insert is stored and not acknowledged", { on: "insert", nth: 5 }, "response"],
  [
    "when all is copied and the partition is not marked finished",
    { on: /ORDER BY o\.project_id DESC/ },
    "request",
  ],
];

describe("after kill -9", () => {
  test.concurrent.each(sampled(PLACES, 3))("%s, running again completes the copy", async (_, match, at) => {
    await using scenario = await Scenario.open();
    const hold = scenario.proxy.on(match, { kind: "hold", at });
    const killed = await scenario.startUntil(hold, ONE_BY_ONE);
    killed.kill("SIGKILL");
    expect((await killed.outcome).code).toBeNull();
    hold.release("drop");
    const done = scenario.checkpoint()?.rows_processed ?? 0;
    expect(scenario.checkpoint()?.finished ?? false).toBe(false);

    const next = await finish(scenario, done);
    expect(readStderr(next).log.join("\n")).toMatch(/Took over the lock .* of process \d+, which is gone/);
  });

  test.concurrent.each(sampled([1, 2, 3], 2))(
    "while the checkpoint is written, running again completes the copy (%i)",
    async (nth) => {
      await using scenario = await Scenario.open();
      const running = await scenario.start(ONE_BY_ONE);
      const seen = new Set<string>();
      // The temporary file appears when the writing begins; the kill comes in its midst or shortly after it.
      const watcher = watch(scenario.directory, (_, file) => {
        if (file !== null && /\.json\..*\.tmp$/.test(file) && seen.add(file).size === nth)
          running.kill("SIGKILL");
      });
      await running.outcome;
      watcher.close();
      await finish(scenario, scenario.checkpoint()?.rows_processed ?? 0);
      expect(readdirSync(scenario.directory)).toEqual([`cursor_state_${scenario.fixture.partition}.json`]);
    },
  );
});

describe("after one signal", () => {
  test.concurrent.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s, open INSERTs end and no page is begun", async (signal, code) => {
    await using scenario = await Scenario.open();
    const hold = scenario.proxy.on({ on: "insert", nth: 5 }, { kind: "hold", at: "response" });
    const running = await scenario.startUntil(hold, ONE_BY_ONE);
    const pages = scenario.proxy.count("page");
    running.kill(signal);
    // What the program does about the signal it does while the insert waits for its response.
    await Bun.sleep(100);
    hold.release();
    const outcome = await running.outcome;
    expect(outcome).toMatchObject({ code, stdout: "" });
    expect(outcome.stderr).toContain(`${signal}: no new pages are begun`);
    expect(outcome.stderr).toEndWith("Run the same command again to continue.\n");
    expect(scenario.proxy.count("page")).toBe(pages);
    await finish(scenario, scenario.checkpoint()?.rows_processed ?? 0);
  });

  test.concurrent("no server is waited for", async () => {
    await using scenario = await Scenario.open();
    const hold = scenario.proxy.on({ on: /version\(\)/ }, { kind: "hold", at: "request" });
    const running = await scenario.startUntil(hold);
    running.kill("SIGINT");
    expect(await running.outcome).toMatchObject({ code: 130, stdout: "" });
    expect(readdirSync(scenario.directory)).toEqual([]);
  });
});

test.concurrent("a second signal stops at once, and nothing is lost by it", async () => {
  await using scenario = await Scenario.open();
  const hold = scenario.proxy.on({ on: "insert", nth: 5 }, { kind: "hold", at: "response" });
  const running = await scenario.startUntil(hold, ONE_BY_ONE);
  running.kill("SIGINT");
  await Bun.sleep(100);
  running.kill("SIGINT");
  // The insert is held to the end; the run does not wait for it.
  expect(await running.outcome).toMatchObject({ code: 130, stdout: "" });
  hold.release("drop");
  expect(readdirSync(scenario.directory).filter((name) => name.endsWith(".lock"))).toEqual([]);
  await finish(scenario, scenario.checkpoint()?.rows_processed ?? 0);
});

test.concurrent("a run that is stopped again and again completes in the end", async () => {
  await using scenario = await Scenario.open();
  let done = 0;
  for (let round = 1; round <= 2; round++) {
    scenario.proxy.reset();
    const hold = scenario.proxy.on({ on: "insert", nth: 4 }, { kind: "hold", at: "response" });
    const running = await scenario.startUntil(hold, ONE_BY_ONE);
    running.kill("SIGKILL");
    await running.outcome;
    const now = scenario.checkpoint()?.rows_processed ?? 0;
    expect(now).toBeGreaterThanOrEqual(done);
    done = now;
  }
  scenario.proxy.reset();
  await finish(scenario, done);
});

test.concurrent("a half-written temporary file of a dead process does no harm", async () => {
  await using scenario = await Scenario.open();
  writeFileSync(`${scenario.checkpointPath}.999999.abc.1.tmp`, '{"partition": "20');
  await finish(scenario, 0);
  expect(readdirSync(scenario.directory)).toEqual([`cursor_state_${scenario.fixture.partition}.json`]);
});

/** Runs again with other sizes: the rest is copied, and a run after that copies nothing. */
async function finish(scenario: Scenario, done: number): Promise<CliOutcome> {
  scenario.proxy.reset();
  const next = await scenario.run(OTHER_SIZES);
  expect(next).toMatchObject({ code: 0 });
  expect(reportedCount(next, "Events inserted")).toBe(scenario.fixture.events - done);
  expect(scenario.checkpoint()).toMatchObject({ finished: true, rows_processed: scenario.fixture.events });
  await scenario.expectEvents("set");

  scenario.proxy.reset();
  const again = await scenario.run(ONE_BY_ONE);
  expect(again).toMatchObject({ code: 0 });
  expect(again.stdout).toStartWith(
    `Partition ${scenario.fixture.partition} was finished by an earlier run; nothing`,
  );
  expect(scenario.proxy.count("insert")).toBe(0);
  return next;
}
