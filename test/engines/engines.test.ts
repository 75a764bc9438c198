/** A short form of `bun run test:engines`: the oldest engine that comes as a wheel. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chooseSeed } from "../support/generate.ts";
import { EngineUnavailable, installEngine } from "./install.ts";
import { type PreparedEngine, prepareEngine } from "./run-engine.ts";
import { ENGINES, type EngineVersion } from "./versions.ts";

const TIMEOUT_MS = 180_000;

type Expected = "same rows" | "refused";

/** What it shows here, and how: the rest is for the long form. */
const SHORT: readonly (readonly [engine: string, scenarios: Readonly<Record<string, Expected>>])[] = [
  [
    "24.5",
    { "`events`, JSON": "refused", "`events`, String": "same rows", "exception in a response": "same rows" },
  ],
];

/** Why the engine is not available here: Python or the wheel is missing. Null when it can. */
async function reasonToLeaveOut(version: EngineVersion): Promise<string | null> {
  try {
    await installEngine(version);
    return null;
  } catch (error) {
    if (error instanceof EngineUnavailable) return error.message;
    throw error;
  }
}

for (const [name, scenarios] of SHORT) {
  const version = ENGINES.find((one) => one.name === name);
  if (version === undefined) throw new Error(`There is no engine ${name}`);
  const reason = await reasonToLeaveOut(version);
  if (reason === null) tryEngine(version, scenarios);
  else {
    test(`ClickHouse ${name} is not tried on this machine, which cannot install it: ${reason}`, async () => {
      await expect(installEngine(version)).rejects.toThrow(EngineUnavailable);
    });
  }
}

function tryEngine(version: EngineVersion, scenarios: Readonly<Record<string, Expected>>): void {
  describe(`ClickHouse ${version.name}`, () => {
    let engine: PreparedEngine | null = null;

    beforeAll(async () => {
      engine = await prepareEngine(version, chooseSeed());
    }, TIMEOUT_MS);

    afterAll(async () => await engine?.[Symbol.asyncDispose]());

    for (const [scenario, expected] of Object.entries(scenarios)) {
      test(
        `shows what it must: ${scenario}, ${expected}`,
        async () => {
          const result = await engine?.run(scenario);
          if (result === undefined) throw new Error("The engine was not prepared");
          expect("word" in result ? result.word : "same rows").toBe(expected);
        },
        TIMEOUT_MS,
      );
    }
  });
}
