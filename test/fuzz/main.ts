/**
 * Feeds the program's readers and writers unusual input: at least a million cases.
 *
 * Usage:   bun run test:fuzz [--target NAME] [--seed N] [--cases N]
 *          --target  one of the targets alone (default: all, one after the other)
 *          --seed    of the first case (default: random); case i has the seed N + i
 *          --cases   of each target (default: the target's share of a million)
 * Output:  a line for each target with its seed, cases, time and memory; for a case that fails, the command that repeats
 *          it, and exit code 1. A case that takes longer than half a minute counts as failed.
 */
import { parseArgs } from "node:util";
import { TARGETS } from "./targets.ts";
import type { FuzzOrder, FuzzResult } from "./worker.ts";

const CASE_TIMEOUT_MS = 30_000;
const WATCH_INTERVAL_MS = 1_000;
/** Of the whole process: blocks and objects are small, whatever their lengths and counts claim. */
const MAX_RSS_BYTES = 2 ** 30;

const { values } = parseArgs({
  options: { target: { type: "string" }, seed: { type: "string" }, cases: { type: "string" } },
});
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : wholeNumber(values.seed);
const targets = TARGETS.filter(({ name }) => values.target === undefined || values.target === name);
if (targets.length === 0) fail(`--target: expected one of ${TARGETS.map(({ name }) => name).join(", ")}`);

let total = 0;
for (const { name, share } of targets) {
  const cases = values.cases === undefined ? share : wholeNumber(values.cases);
  const startMs = performance.now();
  const failure = await runInWorker({ target: name, seed, cases });
  if (failure !== null) fail(failure);
  const seconds = (performance.now() - startMs) / 1000;
  const rssMb = Math.round(process.memoryUsage.rss() / 1e6);
  console.log(`${name.padEnd(14)}${cases} cases from seed ${seed} in ${seconds.toFixed(1)} s, ${rssMb} MB`);
  total += cases;
}
console.log(`${total} cases passed; --seed ${seed} repeats them`);

/** Runs a target's cases in a thread that can be watched; resolves to what failed, or null. */
async function runInWorker(order: FuzzOrder): Promise<string | null> {
  const current = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL("./worker.ts", import.meta.url));
  const { promise, resolve } = Promise.withResolvers<string | null>();
  worker.onmessage = ({ data }: MessageEvent<FuzzResult>) => resolve(data.failure);
  worker.onerror = ({ message }) => resolve(`${order.target}: ${message}`);
  let watched = -1;
  let sinceMs = performance.now();
  const watch = setInterval(() => {
    const at = Atomics.load(current, 0);
    const repeat = `bun run test:fuzz --target ${order.target} --seed ${order.seed + at} --cases 1`;
    if (at !== watched) {
      watched = at;
      sinceMs = performance.now();
    } else if (performance.now() - sinceMs > CASE_TIMEOUT_MS) resolve(`${repeat}\nIt does not end`);
    const rss = process.memoryUsage.rss();
    if (rss > MAX_RSS_BYTES) resolve(`${repeat}\nAt that case or before, ${rss} bytes of memory are in use`);
  }, WATCH_INTERVAL_MS);
  try {
    worker.postMessage({ ...order, current });
    return await promise;
  } finally {
    clearInterval(watch);
    worker.terminate();
  }
}

function wholeNumber(text: string): number {
  if (!/^\d{1,10}$/.test(text)) fail(`${text}: expected a whole number`);
  return Number(text);
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
