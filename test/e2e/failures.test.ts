import { describe, expect, test } from "bun:test";
import { readStderr, reportedCount } from "../support/cli.ts";
import { ONE_BY_ONE, OTHER_SIZES, Scenario } from "../support/cli-scenario.ts";
import { exceptionText, type Fault, gatewayError, serverError } from "../support/fault-proxy-faults.ts";
import type { Match } from "../support/fault-proxy-rules.ts";
import { setHeader } from "../support/fault-proxy-wire.ts";
import { sampled } from "../support/sampled.ts";

const ALL = Number.MAX_SAFE_INTEGER;
const NO_TABLE = serverError(404, 60, "Table does not exist", "UNKNOWN_TABLE");
const SYNTAX = serverError(400, 62, "Syntax error", "SYNTAX_ERROR");
const MISMATCH = serverError(400, 53, "Types differ", "TYPE_MISMATCH");
const DENIED = serverError(403, 497, "Not enough privileges", "ACCESS_DENIED");
const DIVISION = exceptionText(153, "Division by zero", "ILLEGAL_DIVISION");

/** Every page but the first, so that something is in the checkpoint. */
const PAGES: Match = { on: "page", nth: 2, times: 100 };
const INSERTS: Match = { on: "insert", nth: 4, times: 100 };
const PAGE_STEP = /^Copying `e2e_\w+`\.`observations`, keys after \(".*\) up to .*: /;
const INSERT_STEP =
  /^Inserting \d+ rows? into `e2e_\w+`\.`events_\d+`, (all keys|keys (after|up to) ?\(?.*\)?): /;

type Case = readonly [name: string, match: Match, fault: Fault, step: RegExp, error: RegExp];

/** A retry cannot help, so nothing is retried. */
const FINAL: readonly Case[] = [
  ["a page: 60", PAGES, NO_TABLE, PAGE_STEP, /Code: 60\. .*\(UNKNOWN_TABLE\)/],
  ["a page: a load balancer's 403", PAGES, gatewayError(403), PAGE_STEP, /403 from the load balancer/],
  [
    "a page: an exception in the middle of the response",
    PAGES,
    { kind: "exception", afterBytes: 5000, style: "tagged", text: DIVISION },
    PAGE_STEP,
    /Code: 153\. .*\(ILLEGAL_DIVISION\)/,
  ],
  [
    "a page: an exception at the response's end, as old servers write it",
    PAGES,
    { kind: "exception", afterBytes: ALL, style: "plain", text: DIVISION },
    PAGE_STEP,
    /Code: 153\. .*\(ILLEGAL_DIVISION\)/,
  ],
  ["an insert: 53", INSERTS, MISMATCH, INSERT_STEP, /Code: 53\. .*\(TYPE_MISMATCH\)/],
  [
    "an insert that is not known to be stored",
    INSERTS,
    { kind: "edit", head: (head) => setHeader(head, "X-ClickHouse-Summary", null) },
    INSERT_STEP,
    /no X-ClickHouse-Summary header/,
  ],
  [
    "the traces: 497",
    { on: "traces" },
    DENIED,
    /^Loading traces from `\w+`\.`traces`, keys (from|after) .* (to|up to) .*: /,
    /Code: 497\. /,
  ],
  ["the plan: 62", { on: /GROUP BY key_project/ }, SYNTAX, /^Planning pages/, /Code: 62\. /],
  [
    "the columns: 62",
    { on: /DESCRIBE TABLE .*observations/ },
    SYNTAX,
    /^Reading the columns of observations: /,
    /Code: 62\. /,
  ],
];

/** A retry could help, but the attempts are used up. */
const EXHAUSTED: readonly Case[] = [
  ["a page: 503", PAGES, gatewayError(503), PAGE_STEP, /503 from the load balancer/],
  [
    "a page: cut responses",
    PAGES,
    { kind: "cutResponse", afterBytes: 5000, framing: "length" },
    PAGE_STEP,
    /The response broke off: /,
  ],
  [
    "a page: responses whose end cannot be recognised",
    PAGES,
    { kind: "cutResponse", afterBytes: 5000, framing: "close" },
    PAGE_STEP,
    /neither Content-Length nor chunked encoding/,
  ],
  ["an insert: reset connections", INSERTS, { kind: "reset", at: { bodyBytes: 10 } }, INSERT_STEP, /./],
  ["an insert: lost acknowledgements", INSERTS, { kind: "reset", at: "response" }, INSERT_STEP, /./],
  [
    "an insert: data that never arrives",
    INSERTS,
    { kind: "shortenBody", toBytes: 0 },
    INSERT_STEP,
    /The server stored 0 of \d+ rows/,
  ],
];

describe("an error that a retry cannot fix ends the run:", () => {
  test.concurrent.each(sampled(FINAL, 4))("%s", async (_, match, fault, step, error) => {
    await using scenario = await Scenario.open();
    const rule = scenario.proxy.on(match, fault);
    await failThenFinish(scenario, [], step, error);
    expect(rule.applied).toBe(1);
  });
});

describe.each([
  [0, sampled(EXHAUSTED, 3)],
  [1, sampled(EXHAUSTED.slice(0, 2), 1)],
])("after --max-retries %i the run ends:", (maxRetries, cases) => {
  test.concurrent.each(cases)("%s", async (_, match, fault, step, error) => {
    await using scenario = await Scenario.open();
    const rule = scenario.proxy.on(match, fault);
    await failThenFinish(scenario, [`--max-retries=${maxRetries}`], step, error);
    expect(rule.applied).toBe(1 + maxRetries);
  });
});

test.concurrent("the last key is looked up before anything is copied, and only by runs that keep it", async () => {
  await using scenario = await Scenario.open();
  scenario.proxy.on({ on: /ORDER BY o\.project_id DESC/, nth: "every" }, SYNTAX);
  await failThenFinish(scenario, [], /^Looking up the last key of `\w+`\.`observations`: /, /Code: 62\. /, 0);
  scenario.proxy.on({ on: /ORDER BY o\.project_id DESC/, nth: "every" }, SYNTAX);
  expect(await scenario.run(["--cursor-state-dir=elsewhere", "--dry-run"])).toMatchObject({ code: 0 });
});

/** The run fails as expected, and the next one, without faults, copies the rest. */
async function failThenFinish(
  scenario: Scenario,
  flags: readonly string[],
  step: RegExp,
  error: RegExp,
  expectedDone?: number,
): Promise<void> {
  const failed = await scenario.run([...ONE_BY_ONE, ...flags]);
  expect(failed).toMatchObject({ code: 1, stdout: "" });
  const [first = ""] = readStderr(failed).failure;
  expect(first).toMatch(step);
  expect(first).toMatch(error);
  const done = scenario.checkpoint()?.rows_processed ?? 0;
  if (expectedDone !== undefined) expect(done).toBe(expectedDone);
  expect(scenario.checkpoint()?.finished ?? false).toBe(false);

  scenario.proxy.reset();
  const next = await scenario.run(OTHER_SIZES);
  expect(next).toMatchObject({ code: 0 });
  expect(reportedCount(next, "Events inserted")).toBe(scenario.fixture.events - done);
  expect(scenario.checkpoint()).toMatchObject({ finished: true, rows_processed: scenario.fixture.events });
  await scenario.expectEvents("set");
}
