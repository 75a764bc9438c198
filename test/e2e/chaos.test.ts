import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testServer } from "../../scripts/testbed/server.ts";
import { describeFailure, playStories } from "../chaos/runner.ts";
import { reportedCount } from "../support/cli.ts";
import { Scenario } from "../support/cli-scenario.ts";
import { exceptionText, type Fault, gatewayError, serverError } from "../support/fault-proxy-faults.ts";
import { randomFaults } from "../support/fault-proxy-rules.ts";
import { chooseSeed } from "../support/generate.ts";

const MEMORY_LIMIT = exceptionText(241, "Memory limit (total) exceeded", "MEMORY_LIMIT_EXCEEDED");

const FAULTS: readonly Fault[] = [
  { kind: "delay", ms: 50 },
  { kind: "reset", at: "head" },
  { kind: "reset", at: { bodyBytes: 700 } },
  { kind: "reset", at: "response" },
  { kind: "cutResponse", afterBytes: 0, framing: "chunked" },
  { kind: "cutResponse", afterBytes: 3000, framing: "length" },
  { kind: "cutResponse", afterBytes: 3000, framing: "close" },
  { kind: "exception", afterBytes: 3000, style: "tagged", text: MEMORY_LIMIT },
  gatewayError(503),
  serverError(500, 202, "Too many simultaneous queries", "TOO_MANY_SIMULTANEOUS_QUERIES"),
];

test("a sixth of all requests fail at random, and nothing is lost", async () => {
  const seed = chooseSeed();
  await using scenario = await Scenario.open();
  scenario.proxy.setChaos(randomFaults({ seed, probability: 1 / 6, faults: FAULTS }));
  const outcome = await scenario.run([
    "--stream-block-size=20",
    "--batch-size=10",
    "--parallel-workers=4",
    "--max-retries=30",
  ]);
  expect(outcome).toMatchObject({ code: 0 });
  expect(reportedCount(outcome, "Retries")).toBeGreaterThan(0);
  expect(reportedCount(outcome, "Events inserted")).toBe(scenario.fixture.events);
  await scenario.expectEvents("set");
});

/** Of the stories of `bun run test:chaos`, which plays hundreds. */
const STORIES = 2;

test("runs that fail and are killed at random copy everything in the end", async () => {
  const directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-chaos-"));
  const { tally, failures } = await playStories({
    server: await testServer(),
    seed: chooseSeed(),
    stories: STORIES,
    jobs: STORIES,
    directory,
  });
  expect(failures.map(describeFailure)).toEqual([]);
  rmSync(directory, { recursive: true });
  expect(tally.sum("starts")).toBeGreaterThan(2 * STORIES - 1);
  expect(tally.get("rows", "compared")).toBeGreaterThan(0);
});
