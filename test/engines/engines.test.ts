/** A short form of `bun run test:engines`: the oldest engine that comes as a wheel, and the newest. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { EngineUnavailable } from "../../scripts/engines/install.ts";
import { ENGINES } from "../../scripts/engines/versions.ts";
import { chooseSeed } from "../support/generate.ts";
import { type PreparedEngine, prepareEngine } from "./run-engine.ts";

const TIMEOUT_MS = 180_000;

/** What each of the two shows here, and how: the rest is for the long form. */
const SHORT: readonly (readonly [
  engine: string,
  scenarios: Readonly<Record<string, "same rows" | "refused">>,
])[] = [
  [
    "24.5",
    { "`events`, JSON": "refused", "`events`, String": "same rows", "exception in a response": "same rows" },
  ],
  [
    "26.9",
    {
      "`events`, JSON": "same rows",
      "`events_full`": "same rows",
      "after `kill -9`": "same rows",
      "failed insert": "same rows",
      "exception in a response": "same rows",
    },
  ],
];

for (const [name, scenarios] of SHORT) {
  describe(`ClickHouse ${name}`, () => {
    let engine: PreparedEngine | null = null;
    let missing = "";

    beforeAll(async () => {
      const version = ENGINES.find((one) => one.name === name);
      if (version === undefined) throw new Error(`There is no engine ${name}`);
      try {
        engine = await prepareEngine(version, chooseSeed());
      } catch (error) {
        // Without Python or the registry there is no engine; everything else is a failure.
        if (!(error instanceof EngineUnavailable)) throw error;
        missing = error.message;
        process.stderr.write(`Not tried against ClickHouse ${name}. ${missing}\n`);
      }
    }, TIMEOUT_MS);

    afterAll(async () => await engine?.[Symbol.asyncDispose]());

    for (const [scenario, expected] of Object.entries(scenarios)) {
      test(
        `${scenario}: ${expected}, where the engine can be had`,
        async () => {
          if (engine === null) {
            expect(missing).toStartWith(`Engine ${name}`);
            return;
          }
          const result = await engine.run(scenario);
          expect("word" in result ? result.word : "same rows").toBe(expected);
        },
        TIMEOUT_MS,
      );
    }
  });
}
