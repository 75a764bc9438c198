import { expect, test } from "bun:test";
import { describeFailure, runCases } from "../fuzz/run-cases.ts";
import { TARGETS } from "../fuzz/targets.ts";
import { chooseSeed } from "../support/data/random.ts";

/** Of each target; `bun run test:fuzz` runs a million in all. */
const CASES = 3_000;

test("the shares of the long form are a million cases and more", () => {
  expect(TARGETS.reduce((sum, { share }) => sum + share, 0)).toBeGreaterThan(1_000_000);
});

const seed = chooseSeed();

test.each(TARGETS.map((target) => [target.name, target] as const))(
  "%s stands some thousand cases",
  (_, target) => {
    const failure = runCases(target, seed, CASES);
    expect(failure === null ? "" : describeFailure(failure)).toBe("");
  },
);
