import { expect, test } from "bun:test";
import { describeFailure, runCases } from "../fuzz/run-cases.ts";
import { TARGETS } from "../fuzz/targets.ts";
import { chooseSeed } from "../support/data/random.ts";

/** Of each target; `bun run test:fuzz` runs a million in all. */
const CASES = 3_000;

test("the targets of the long run have at least a million cases together", () => {
  expect(TARGETS.reduce((sum, { share }) => sum + share, 0)).toBeGreaterThan(1_000_000);
});

const seed = chooseSeed();

test.each(TARGETS.map((target) => [target.name, target] as const))(
  "%s passes some thousand cases",
  (_, target) => {
    const failure = runCases(target, seed, CASES);
    expect(failure === null ? "" : describeFailure(failure)).toBe("");
  },
);
