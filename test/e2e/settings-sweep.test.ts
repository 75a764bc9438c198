import { expect, test } from "bun:test";
import { describeVerdict, isGood } from "../settings/report.ts";
import { sweep } from "../settings/runner.ts";
import { chooseTrials } from "../settings/sample.ts";
import { chooseSeed } from "../support/generate.ts";

/** Of `bun run test:settings`, in addition to the settings that once went wrong. */
const SAMPLE = 40;

test("a sample of all settings, as a user's profile, leaves what a run stores as it is", async () => {
  const seed = chooseSeed();
  const { trials } = await chooseTrials({ seed, sample: SAMPLE });
  const verdicts = await sweep({ trials, seed, jobs: 2, groupSize: 12 });
  expect(verdicts.filter((verdict) => !isGood(verdict)).map(describeVerdict)).toEqual([]);
  expect(verdicts.length).toBeGreaterThanOrEqual(trials.length);
});
