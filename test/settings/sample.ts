import { randomFrom } from "../support/data/random.ts";
import { connectTo, startDevServer } from "../support/server.ts";
import { KNOWN_TROUBLE } from "./adverse-values.ts";
import { planTrials } from "./plan.ts";
import type { Trial } from "./trial.ts";

export interface Choice {
  readonly seed: number;
  /** `name` or `name=value`. */
  readonly only?: string;
  /** How many trials, besides {@link KNOWN_TROUBLE}. */
  readonly sample?: number;
}

/** The trials to run, and a sentence about what they were chosen from. */
export async function chooseTrials({
  seed,
  only,
  sample,
}: Choice): Promise<{ trials: Trial[]; summary: string }> {
  const { url, process: child } = await startDevServer("--temporary");
  const plan = await planTrials(connectTo(url)).finally(async () => {
    child.kill("SIGTERM");
    await child.exited;
  });
  const trials = pick(plan.trials, {
    seed,
    ...(only === undefined ? {} : { only }),
    ...(sample === undefined ? {} : { sample }),
  });
  const summary = `${trials.length} of ${plan.trials.length} runs, for ${plan.settings} settings; the engine refuses ${plan.refusedValues} values`;
  return { trials, summary };
}

function pick(all: readonly Trial[], { seed, only, sample }: Choice): Trial[] {
  if (only !== undefined) {
    return all.filter(
      ({ name, settings }) => name === only || (Object.keys(settings).length < 5 && only in settings),
    );
  }
  if (sample === undefined) return [...all];
  const known = all.filter(({ name }) => KNOWN_TROUBLE.includes(name));
  const rest = all.filter(({ name }) => !KNOWN_TROUBLE.includes(name));
  const random = randomFrom(seed);
  const drawn = new Set<Trial>();
  while (drawn.size < Math.min(sample, rest.length)) drawn.add(random.pick(rest));
  return [...known, ...drawn];
}
