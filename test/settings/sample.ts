import { connectTo, startDevServer } from "../../scripts/testbed/server.ts";
import { randomFrom } from "../support/data/random.ts";
import { COMPARISON_TROUBLE, KNOWN_TROUBLE } from "./adverse-values.ts";
import { planTrials } from "./plan.ts";
import { planTableTrials, possibleTableTrials } from "./table-plan.ts";
import type { Trial } from "./trial.ts";

export interface Choice {
  readonly seed: number;
  /** `name` or `name=value`. */
  readonly only?: string;
  /** How many trials, in addition to those of `known`. */
  readonly sample?: number;
  /** The names of trials that are always tried; all that were once wrong unless given. */
  readonly known?: readonly string[];
  /** Settings of the tables, and not of the user. */
  readonly ofTables?: boolean;
}

const ALL_TROUBLE: readonly string[] = [...KNOWN_TROUBLE, ...COMPARISON_TROUBLE];

/** The trials to run, and a sentence about what they were chosen from. */
export async function chooseTrials(choice: Choice): Promise<{ trials: Trial[]; summary: string }> {
  const { url, process: child } = await startDevServer("--temporary");
  try {
    const server = connectTo(url);
    if (choice.ofTables === true) {
      const all = await planTableTrials(server);
      const trials = await possibleTableTrials(server, pick(all, choice));
      return { trials, summary: `${trials.length} of ${all.length} runs, for settings of tables` };
    }
    const { trials: all, settings, refusedValues } = await planTrials(server);
    const trials = pick(all, choice);
    const summary = `${trials.length} of ${all.length} runs, for ${settings} settings; the engine refuses ${refusedValues} values`;
    return { trials, summary };
  } finally {
    child.kill("SIGTERM");
    await child.exited;
  }
}

function pick(all: readonly Trial[], { seed, only, sample, known: names = ALL_TROUBLE }: Choice): Trial[] {
  if (only !== undefined) {
    return all.filter(
      ({ name, settings, tableSettings }) =>
        name === only ||
        (Object.keys(settings).length < 5 && only in settings) ||
        only in (tableSettings ?? {}),
    );
  }
  if (sample === undefined) return [...all];
  const known = all.filter(({ name }) => names.includes(name));
  const rest = all.filter(({ name }) => !names.includes(name));
  const random = randomFrom(seed);
  const drawn = new Set<Trial>();
  while (drawn.size < Math.min(sample, rest.length)) drawn.add(random.pick(rest));
  return [...known, ...drawn];
}
