import { describe, expect, test } from "bun:test";
import { readStderr, reportedCount } from "../support/cli.ts";
import { ONE_BY_ONE, Scenario, SMALL } from "../support/cli-scenario.ts";
import { exceptionText, type Fault, gatewayError, serverError } from "../support/fault-proxy-faults.ts";
import type { Match } from "../support/fault-proxy-rules.ts";
import { setHeader } from "../support/fault-proxy-wire.ts";
import { sampled } from "../support/sampled.ts";

const MEMORY_LIMIT = exceptionText(241, "Memory limit (total) exceeded", "MEMORY_LIMIT_EXCEEDED");
const ALL = Number.MAX_SAFE_INTEGER;

/** Temporary server errors. */
const TOO_MANY_QUERIES = serverError(
  500,
  202,
  "Too many simultaneous queries",
  "TOO_MANY_SIMULTANEOUS_QUERIES",
);
const OUT_OF_MEMORY = serverError(500, 241, "Memory limit (total) exceeded", "MEMORY_LIMIT_EXCEEDED");
const READ_ONLY = serverError(500, 242, "Table is in readonly mode", "TABLE_IS_READ_ONLY");
const UNKNOWN_STATUS = serverError(500, 319, "Unknown status, client must retry", "UNKNOWN_STATUS_OF_INSERT");

function summary(json: string | null): Fault {
  return { kind: "edit", head: (head) => setHeader(head, "X-ClickHouse-Summary", json) };
}

/** A request and what goes wrong with it. */
type Case = readonly [name: string, match: Match, fault: Fault];

const PAGE: Match = { on: "page", nth: 2 };
const INSERT: Match = { on: "insert", nth: 3 };
const TRACES: Match = { on: "traces" };

const PAGE_FAULTS: readonly Case[] = [
  ["nobody listens for a moment", PAGE, { kind: "refuse", forMs: 150 }],
  ["the connection is reset before the request's body", PAGE, { kind: "reset", at: "head" }],
  ["the connection is reset instead of a response", PAGE, { kind: "reset", at: "response" }],
  ["241", PAGE, OUT_OF_MEMORY],
  ["241 with status 200", PAGE, { ...OUT_OF_MEMORY, status: 200 } as Fault],
  ["a load balancer's 503", PAGE, gatewayError(503)],
  ["an empty response of another server", PAGE, { kind: "response", status: 200, headers: {}, body: "" }],
  [
    "a chunked response cut before its first byte",
    PAGE,
    { kind: "cutResponse", afterBytes: 0, framing: "chunked" },
  ],
  [
    "a chunked response cut between chunks",
    PAGE,
    { kind: "cutResponse", afterBytes: 5000, framing: "chunked" },
  ],
  [
    "a chunked response cut within a chunk",
    PAGE,
    { kind: "cutResponse", afterBytes: 5000, framing: "chunked", isMidChunk: true },
  ],
  [
    "a chunked response cut before its last chunk",
    PAGE,
    { kind: "cutResponse", afterBytes: ALL, framing: "chunked" },
  ],
  ["a response with a length, cut", PAGE, { kind: "cutResponse", afterBytes: 5000, framing: "length" }],
  [
    "a response with a length, one byte short",
    PAGE,
    { kind: "cutResponse", afterBytes: ALL, framing: "length" },
  ],
  [
    "a response with neither length nor chunks, cut",
    PAGE,
    { kind: "cutResponse", afterBytes: 0, framing: "close" },
  ],
  [
    "a response with neither length nor chunks",
    PAGE,
    { kind: "cutResponse", afterBytes: ALL, framing: "close" },
  ],
  ...[0, 5000, ALL].flatMap((afterBytes): Case[] => {
    const place = afterBytes === ALL ? "all blocks" : `${afterBytes} bytes`;
    return (["tagged", "plain"] as const).map((style) => [
      `a ${style} exception after ${place}`,
      PAGE,
      { kind: "exception", afterBytes, style, text: MEMORY_LIMIT },
    ]);
  }),
];

const INSERT_FAULTS: readonly Case[] = [
  ["nobody listens for a moment", INSERT, { kind: "refuse", forMs: 150 }],
  [
    "an idle connection is closed when it is used again",
    { on: "insert", isReused: true },
    { kind: "reset", at: "head" },
  ],
  ["the connection is reset within the data", INSERT, { kind: "reset", at: { bodyBytes: 4000 } }],
  ["stored, and the acknowledgement is lost", INSERT, { kind: "reset", at: "response" }],
  [
    "stored, and the acknowledgement is cut",
    INSERT,
    { kind: "cutResponse", afterBytes: 0, framing: "chunked" },
  ],
  ["a load balancer's 503", INSERT, gatewayError(503)],
  ["acknowledged without data", INSERT, { kind: "shortenBody", toBytes: 0 }],
  ["the data ends early", INSERT, { kind: "shortenBody", toBytes: 100 }],
  ["acknowledged with fewer rows", INSERT, summary('{"written_rows":"1"}')],
];

const TRACE_FAULTS: readonly Case[] = [
  ["the connection is reset", TRACES, { kind: "reset", at: "head" }],
  ["cut", TRACES, { kind: "cutResponse", afterBytes: 3000, framing: "chunked" }],
  ["complete but for the last chunk", TRACES, { kind: "cutResponse", afterBytes: ALL, framing: "chunked" }],
  [
    "a tagged exception after all blocks",
    TRACES,
    { kind: "exception", afterBytes: ALL, style: "tagged", text: MEMORY_LIMIT },
  ],
  [
    "a plain exception after all blocks",
    TRACES,
    { kind: "exception", afterBytes: ALL, style: "plain", text: MEMORY_LIMIT },
  ],
  ["the deletions fail", { on: /is_deleted = 1\s+FORMAT Native/ }, gatewayError(503)],
];

/** Each of the small queries that a run begins and ends with. */
const SMALL_QUERIES: readonly Case[] = (
  [
    ["the version", /SELECT version\(\)/],
    ["the known settings", /FROM system\.settings/],
    ["the columns", /DESCRIBE TABLE/],
    ["the keys", /FROM system\.tables/],
    ["the replicas", /FROM system\.replicas/],
    ["the mutations", /FROM system\.mutations/],
    ["the row policies", /FROM system\.row_policies/],
    ["the number of observations", /^SELECT count\(\) FROM/],
    ["the days of the traces", /toDate\(t\.timestamp\) AS d, count\(\)/],
    ["the groups", /GROUP BY key_project/],
    ["the greatest key", /ORDER BY o\.project_id DESC/],
    ["the clock", /SELECT toUnixTimestamp64Milli/],
    ["the count at the end", /countIf\(/],
  ] as const
).map(([name, on]): Case => [name, { on }, gatewayError(503)]);

/** Small JSON queries with broken responses. */
const PLAN: Match = { on: /GROUP BY key_project/ };
const PLAN_FAULTS: readonly Case[] = [
  ["cut between rows", PLAN, { kind: "cutResponse", afterBytes: ALL, framing: "chunked" }],
  ["cut within a row", PLAN, { kind: "cutResponse", afterBytes: 30, framing: "length" }],
  ["a tagged exception", PLAN, { kind: "exception", afterBytes: ALL, style: "tagged", text: MEMORY_LIMIT }],
  ["a plain exception", PLAN, { kind: "exception", afterBytes: ALL, style: "plain", text: MEMORY_LIMIT }],
];

describe.each([
  ["a page", PAGE_FAULTS],
  ["an insert", INSERT_FAULTS],
  ["the traces", TRACE_FAULTS],
  ["a small query", SMALL_QUERIES],
  ["the plan", PLAN_FAULTS],
])("%s is requested again:", (_, faults) => {
  test.concurrent.each(sampled(faults, 2))("%s", async (_, match, fault) => {
    // Before the scenario is opened, since only a few may be open at a time.
    const traces = await tracesOfAnUndisturbedRun();
    await using scenario = await Scenario.open();
    const rule = scenario.proxy.on(match, fault);
    const outcome = await scenario.run();
    expect(outcome).toMatchObject({ code: 0 });
    expect(rule.applied).toBe(1);
    expect(reportedCount(outcome, "Events inserted")).toBe(scenario.fixture.events);
    expect(reportedCount(outcome, "Traces loaded")).toBe(traces);
    expect(readStderr(outcome).log.join("\n")).toContain("retry 1 of 3");
    expect(scenario.checkpoint()).toMatchObject({ finished: true, rows_processed: scenario.fixture.events });
    await scenario.expectEvents("set");
  });
});

/** Temporary errors, one after the other, until the last attempt succeeds. */
test.concurrent.each([
  ["page", [TOO_MANY_QUERIES, gatewayError(502), gatewayError(504), gatewayError(429)]],
  ["insert", [TOO_MANY_QUERIES, READ_ONLY, UNKNOWN_STATUS, gatewayError(429)]],
] as const)("the same %s fails four times, and then does not", async (on, faults) => {
  await using scenario = await Scenario.open();
  const rules = faults.map((fault) => scenario.proxy.on({ on }, fault));
  const outcome = await scenario.run([...ONE_BY_ONE, `--max-retries=${faults.length}`]);
  expect(outcome).toMatchObject({ code: 0 });
  expect(rules.map(({ applied }) => applied)).toEqual(faults.map(() => 1));
  expect(reportedCount(outcome, "Retries")).toBe(faults.length);
  await scenario.expectEvents("multiset");
});

let undisturbed: Promise<number> | undefined;
function tracesOfAnUndisturbedRun(): Promise<number> {
  undisturbed ??= (async () => {
    await using scenario = await Scenario.open();
    const outcome = await scenario.run(SMALL);
    await scenario.expectEvents("multiset");
    return reportedCount(outcome, "Traces loaded");
  })();
  return undisturbed;
}
