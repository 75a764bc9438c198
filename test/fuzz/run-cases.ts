import { randomFrom } from "../support/data/random.ts";
import type { FuzzTarget } from "./target.ts";

/** A case that failed, by the seed that repeats it as the first one of a run. */
export interface Failure {
  readonly target: string;
  readonly seed: number;
  readonly error: unknown;
}

/** Runs cases of consecutive seeds until one fails; `onCase` is called with each before it begins. */
export function runCases(
  target: FuzzTarget,
  seed: number,
  cases: number,
  onCase: (seed: number) => void = () => {},
): Failure | null {
  for (let at = seed; at < seed + cases; at++) {
    onCase(at);
    try {
      target.run(randomFrom(at));
    } catch (error) {
      return { target: target.name, seed: at, error };
    }
  }
  return null;
}

/** How to see a failure again, and what it is. */
export function describeFailure({ target, seed, error }: Failure): string {
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `bun run test:fuzz --target ${target} --seed ${seed} --cases 1\n${what}`;
}
