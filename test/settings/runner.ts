import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomFrom } from "../support/data/random.ts";
import { connectTo, startDevServer } from "../support/server.ts";
import { judge, type Verdict, withTypesOfRun } from "./judge.ts";
import type { Trial } from "./trial.ts";
import { openWorld } from "./world.ts";

export interface SweepOptions {
  readonly trials: readonly Trial[];
  /** Of the data. */
  readonly seed: number;
  /** Trials at a time, each in a database of its own. */
  readonly jobs: number;
  readonly onVerdict?: (verdict: Verdict, done: number) => void;
}

/** Runs the tool once for each trial, on a server of its own that has a user for each. */
export async function sweep({ trials, seed, jobs, onVerdict }: SweepOptions): Promise<Verdict[]> {
  const directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-settings-"));
  const users = join(directory, "users.json");
  const userOf = (trial: Trial): string => `user_${trials.indexOf(trial)}`;
  const profiles = trials.map((trial) => [userOf(trial), { settings: trial.settings }] as const);
  writeFileSync(users, JSON.stringify(Object.fromEntries(profiles)));
  const { url, process: child } = await startDevServer("--temporary", "--users", users);
  const verdicts: Verdict[] = [];
  try {
    // Mixed: the first hundred show of what kind the troubles are.
    const queue = randomFrom(seed).shuffle(trials).values();
    const work = async (): Promise<void> => {
      const world = await withTypesOfRun(await openWorld(connectTo(url), seed));
      for (const trial of queue) {
        const verdict = await judge(world, trial, userOf(trial));
        onVerdict?.(verdict, verdicts.push(verdict));
      }
    };
    await Promise.all(Array.from({ length: jobs }, work));
  } finally {
    child.kill("SIGTERM");
    await child.exited;
    rmSync(directory, { recursive: true });
  }
  return verdicts.sort((a, b) => trials.indexOf(a.trial) - trials.indexOf(b.trial));
}
