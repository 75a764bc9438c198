import { expect, test } from "bun:test";
import { describeVerdict, isGood } from "../settings/report.ts";
import { sweep } from "../settings/runner.ts";
import { chooseTrials } from "../settings/sample.ts";
import { chooseSeed } from "../support/generate.ts";

/** Of `bun run test:settings`, in addition to the settings that once went wrong. */
const SAMPLE = 14;

/** Of the layout v4: a run of it has more phases. */
const V4_SAMPLE = 4;

test.each([
  ["events", SAMPLE],
  ["v4", V4_SAMPLE],
] as const)(
  "a sample of all settings, as a user's profile, leaves what a run of the layout %s stores as it is",
  async (layout, sample) => {
    const seed = chooseSeed();
    const { trials } = await chooseTrials({ seed, sample });
    const verdicts = await sweep({ trials, seed, jobs: 2, groupSize: 12, layout });
    expect(verdicts.filter((verdict) => !isGood(verdict)).map(describeVerdict)).toEqual([]);
    expect(verdicts.length).toBeGreaterThanOrEqual(trials.length);
  },
);
