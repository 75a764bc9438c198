import { randomFrom } from "../support/data/random.ts";
import { isExpectedRefusal } from "./accepted.ts";
import type { Trial } from "./trial.ts";

/** A trial, or several at once that are tried apart where together they are not exact. */
export interface Group {
  readonly trials: readonly Trial[];
  /** The profile of all of them. */
  readonly whole: Trial;
  readonly halves: readonly Group[];
}

/**
 * Mixes trials, and puts up to `size` that speak of different settings together. Those that are refused in any case, and
 * those of several settings or with a scene, stay alone.
 */
export function groupTrials(trials: readonly Trial[], size: number, seed: number): Group[] {
  const alone: Trial[][] = [];
  const open: Trial[][] = [];
  for (const trial of randomFrom(seed).shuffle(trials)) {
    const names = Object.keys(trial.settings);
    const mayJoin = names.length === 1 && trial.scene === "plain" && trial.tableSettings === undefined;
    if (size === 1 || !mayJoin || isExpectedRefusal(trial)) {
      alone.push([trial]);
      continue;
    }
    const fitting = open.find(
      (group) => group.length < size && group.every(({ settings }) => !((names[0] as string) in settings)),
    );
    if (fitting === undefined) open.push([trial]);
    else fitting.push(trial);
  }
  return randomFrom(seed)
    .shuffle([...alone, ...open])
    .map(groupOf);
}

/** A group and all groups within it. */
export function* withHalves(group: Group): Generator<Group> {
  yield group;
  for (const half of group.halves) yield* withHalves(half);
}

function groupOf(trials: readonly Trial[]): Group {
  const [first] = trials;
  if (first === undefined) throw new Error("A group needs a trial");
  if (trials.length === 1) return { trials, whole: first, halves: [] };
  const middle = Math.ceil(trials.length / 2);
  const settings = Object.assign({}, ...trials.map((trial) => trial.settings)) as Trial["settings"];
  const whole: Trial = { name: trials.map(({ name }) => name).join(" "), settings, scene: "plain" };
  return { trials, whole, halves: [groupOf(trials.slice(0, middle)), groupOf(trials.slice(middle))] };
}
