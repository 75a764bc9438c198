import { expect, test } from "bun:test";
import { COMPARISON_TROUBLE, KNOWN_TROUBLE } from "../settings/adverse-values.ts";
import { describeVerdict, isGood } from "../settings/report.ts";
import { type SweepOptions, sweep } from "../settings/runner.ts";
import { type Choice, chooseTrials } from "../settings/sample.ts";
import { chooseSeed } from "../support/generate.ts";
import { sampled } from "../support/sampled.ts";

/** Of `bun run test:settings`, in addition to some of the settings that once went wrong there: it tries all of those. */
const SAMPLE = 6;
const KNOWN = 12;

/** Settings that share a run: more of them make fewer runs. */
const GROUP = 40;

/** Of the layout v4, whose runs have more phases, and where months are verified as well. */
const SMALL_SAMPLE = 2;
const FEW_KNOWN = 6;

test.each([
  ["events", { sample: SAMPLE, known: sampled(KNOWN_TROUBLE, KNOWN) }],
  ["v4", { sample: SMALL_SAMPLE, known: sampled(KNOWN_TROUBLE, FEW_KNOWN) }],
] as const)(
  "a sample of all settings, as a user's profile, leaves what a run of the layout %s stores as it is",
  async (layout, choice) => {
    await expectGood(choice, { layout, engine: "client", isVerified: false });
  },
);

test("a sample of all settings, as a user's profile, changes neither what the server copies by itself nor a comparison", async () => {
  await expectGood(
    { sample: SMALL_SAMPLE, known: sampled(COMPARISON_TROUBLE, FEW_KNOWN) },
    { layout: "events", engine: "server", isVerified: true },
  );
});

async function expectGood(
  choice: Omit<Choice, "seed">,
  kind: Pick<SweepOptions, "layout" | "engine" | "isVerified">,
): Promise<void> {
  const seed = chooseSeed();
  const { trials } = await chooseTrials({ seed, ...choice });
  const verdicts = await sweep({ trials, seed, jobs: kind.isVerified ? 1 : 2, groupSize: GROUP, ...kind });
  expect(verdicts.filter((verdict) => !isGood(verdict)).map(describeVerdict)).toEqual([]);
  expect(verdicts.length).toBeGreaterThanOrEqual(trials.length);
}
