import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectTo, startDevServerIn } from "../../scripts/testbed/server.ts";
import { type Group, groupTrials, withHalves } from "./group.ts";
import { judge, type Verdict, withFirstRun } from "./judge.ts";
import type { Trial } from "./trial.ts";
import { openWorld, type RunKind, type World } from "./world.ts";

export interface SweepOptions extends RunKind {
  readonly trials: readonly Trial[];
  /** Of the data, and of the order. */
  readonly seed: number;
  /** Groups at a time, each in a database of its own. */
  readonly jobs: number;
  /** How many trials may share a run while all is well; 1: none. */
  readonly groupSize: number;
  readonly onVerdict?: (verdict: Verdict, done: number) => void;
}

/**
 * Runs the tool for each trial, or for groups of them, on a server of its own that has a user for each. A group that is not
 * exact is tried in halves down to single trials.
 */
export async function sweep(options: SweepOptions): Promise<Verdict[]> {
  const { trials, seed, jobs, groupSize, onVerdict } = options;
  const groups = groupTrials(trials, groupSize, seed);
  const all = groups.flatMap((group) => [...withHalves(group)]);
  const users = new Map(all.map((group, i) => [group, `user_${i}`]));
  const directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-settings-"));
  const file = join(directory, "users.json");
  const profiles = all.map((group) => [users.get(group), { settings: group.whole.settings }] as const);
  writeFileSync(file, JSON.stringify(Object.fromEntries(profiles)));
  // Some settings name files, which the engine creates in its working directory.
  const workingDirectory = join(directory, "work");
  mkdirSync(workingDirectory);
  const { url, process: child } = await startDevServerIn(workingDirectory, "--temporary", "--users", file);
  const verdicts: Verdict[] = [];
  const tryGroup = async (world: World, group: Group): Promise<boolean> => {
    const { trials: members, whole, halves } = group;
    const verdict = await judge(world, whole, users.get(group) ?? "");
    const isExact = verdict.outcome === "exact";
    let isExplained = isExact;
    if (!isExact) for (const half of halves) if (!(await tryGroup(world, half))) isExplained = true;
    // A group whose halves are exact stands for itself: its settings do it together.
    const ended = isExact ? members.map((trial) => ({ ...verdict, trial })) : isExplained ? [] : [verdict];
    for (const one of ended) {
      verdicts.push(one);
      onVerdict?.(one, verdicts.length);
    }
    return isExact;
  };
  try {
    const queue = groups.values();
    const work = async (): Promise<void> => {
      const world = await withFirstRun(await openWorld(connectTo(url), seed, options));
      for (const group of queue) await tryGroup(world, group);
    };
    await Promise.all(Array.from({ length: jobs }, work));
  } finally {
    child.kill("SIGTERM");
    await child.exited;
    rmSync(directory, { recursive: true });
  }
  return verdicts.sort((a, b) => trials.indexOf(a.trial) - trials.indexOf(b.trial));
}
