/**
 * Every scenario on an engine, for `bun run test:engines`: the engine is the one that ENGINE names, and what the scenarios
 * show goes to the file that ENGINE_REPORT names, as JSON by scenario.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chooseSeed } from "../support/generate.ts";
import { type PreparedEngine, prepareEngine } from "./run-engine.ts";
import { type Result, SCENARIOS } from "./scenarios.ts";
import { ENGINES } from "./versions.ts";

const TIMEOUT_MS = 240_000;
const name = process.env["ENGINE"] ?? "";
const results: Record<string, Result> = {};
let engine: PreparedEngine;

beforeAll(async () => {
  const version = ENGINES.find((one) => one.name === name);
  if (version === undefined) throw new Error(`ENGINE ${JSON.stringify(name)} does not exist`);
  engine = await prepareEngine(version, chooseSeed());
}, TIMEOUT_MS);

afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  await Bun.write(process.env["ENGINE_REPORT"] ?? "/dev/null", JSON.stringify({ results }));
});

describe(`engine ${name}`, () => {
  for (const scenario of Object.keys(SCENARIOS)) {
    test(
      scenario,
      async () => {
        const result = await engine.run(scenario);
        results[scenario] = result;
        expect("word" in result || result.rows > 0).toBe(true);
      },
      TIMEOUT_MS,
    );
  }
});
