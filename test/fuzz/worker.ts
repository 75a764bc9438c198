// Runs the cases of one target in a thread of its own, since one that does not end can't be interrupted from within.
import { describeFailure, runCases } from "./run-cases.ts";
import { TARGETS } from "./targets.ts";

declare const self: Worker;

/** What is to be run. */
export interface FuzzOrder {
  readonly target: string;
  readonly seed: number;
  readonly cases: number;
}

/** How it ended. */
export interface FuzzResult {
  readonly failure: string | null;
}

/** Buffers of past cases are collected that often: the collector does not see how large they are. */
const CASES_PER_COLLECTION = 2_000;

self.onmessage = ({ data }: MessageEvent<FuzzOrder & { readonly current: Int32Array }>): void => {
  const target = TARGETS.find(({ name }) => name === data.target);
  if (target === undefined) throw new Error(`No target ${data.target}`);
  const failure = runCases(target, data.seed, data.cases, (seed) => {
    const at = seed - data.seed;
    // Where the watching thread looks for progress.
    Atomics.store(data.current, 0, at);
    if (at % CASES_PER_COLLECTION === 0) Bun.gc(true);
  });
  self.postMessage({ failure: failure === null ? null : describeFailure(failure) } satisfies FuzzResult);
};
