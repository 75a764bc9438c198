import { expect, test } from "bun:test";
import { reportedCount } from "../support/cli.ts";
import { ONE_BY_ONE, OTHER_SIZES, reached, Scenario } from "../support/cli-scenario.ts";

/** Each page is one batch. */
const ONE_BATCH_A_PAGE: readonly string[] = [
  "--stream-block-size=60",
  "--batch-size=1000",
  "--insert-rows=1",
  "--parallel-workers=1",
];

test("a page is read while the last batch of the one before is stored, and no page counts as done before", async () => {
  await using scenario = await Scenario.open();
  const insert = scenario.proxy.on({ on: "insert" }, { kind: "hold", at: "response" });
  const nextPage = scenario.proxy.on({ on: "page", nth: 2 }, { kind: "hold", at: "response" });
  const thirdPage = scenario.proxy.on({ on: "page", nth: 3 }, { kind: "hold", at: "request" });
  const running = await scenario.startUntil(insert, ONE_BATCH_A_PAGE);
  await reached(nextPage, running);
  expect(scenario.checkpoint()?.rows_processed ?? 0).toBe(0);
  // Its batch has to wait for the one before, and the page after for it.
  nextPage.release();
  await Bun.sleep(300);
  expect(thirdPage.applied).toBe(0);
  expect(scenario.checkpoint()?.rows_processed ?? 0).toBe(0);
  running.kill("SIGKILL");
  await running.outcome;
  scenario.proxy.reset();
  expect(await scenario.run(OTHER_SIZES)).toMatchObject({ code: 0 });
  await scenario.expectEvents("set");
});

test("a batch that fails for good ends the run, and its page is copied by the next one", async () => {
  await using scenario = await Scenario.open();
  const insert = scenario.proxy.on({ on: "insert" }, { kind: "hold", at: "response" });
  const nextPage = scenario.proxy.on({ on: "page", nth: 2 }, { kind: "hold", at: "response" });
  const running = await scenario.startUntil(insert, [...ONE_BATCH_A_PAGE, "--max-retries=0"]);
  await reached(nextPage, running);
  insert.release("drop");
  nextPage.release();
  expect(await running.outcome).toMatchObject({ code: 1 });
  // The page that was read in the meantime is not done either: no batch is sent after one that failed for good.
  expect(scenario.checkpoint()?.rows_processed ?? 0).toBe(0);
  scenario.proxy.reset();
  const outcome = await scenario.run(ONE_BY_ONE);
  expect(reportedCount(outcome, "Events inserted")).toBe(scenario.fixture.events);
  await scenario.expectEvents("set");
});
