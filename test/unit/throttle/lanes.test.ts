import { expect, test } from "bun:test";
import { inLanes } from "../../../src/throttle/lanes.ts";
import { Throttler } from "../../../src/throttle/throttler.ts";

/** Lanes whose work is ended one by one from outside. */
function worksite(pieces: number, { usual = 3, most = 100 } = {}) {
  const throttler = new Throttler();
  const stop = new AbortController();
  const working: { readonly lane: number; readonly finish: () => void }[] = [];
  const ended: number[] = [];
  let left = pieces;
  const done = inLanes(throttler, { usual, most }, stop.signal, {
    next: async (lane) => {
      if (left === 0 || stop.signal.aborted) return false;
      left -= 1;
      const { promise, resolve } = Promise.withResolvers<void>();
      working.push({ lane, finish: resolve });
      await promise;
      return true;
    },
    end: async (lane) => void ended.push(lane),
  });
  const settle = (): Promise<void> => Bun.sleep(1);
  const finishOne = async (): Promise<void> => {
    working.shift()?.finish();
    await settle();
  };
  return { throttler, stop, working, ended, done, settle, finishOne };
}

const lanesOf = (working: readonly { readonly lane: number }[]): number[] =>
  working.map(({ lane }) => lane).sort();

test("all work is done in as many lanes as usual, and each of them ends", async () => {
  const { working, ended, done, settle, finishOne } = worksite(7);
  await settle();
  expect(lanesOf(working)).toEqual([0, 1, 2]);
  while (working.length > 0) await finishOne();
  await done;
  expect(ended.sort()).toEqual([0, 1, 2]);
});

test("lanes are added and wait as the throttler has it, at most as many as there may be", async () => {
  const { throttler, working, ended, done, settle, finishOne } = worksite(30, { most: 5 });
  await settle();
  throttler.setWorkers(8);
  await settle();
  expect(lanesOf(working)).toEqual([0, 1, 2, 3, 4]);
  throttler.setWorkers(1);
  for (let i = 0; i < 5; i++) await finishOne();
  expect(lanesOf(working)).toEqual([0]);
  throttler.setWorkers(2);
  await settle();
  expect(lanesOf(working)).toEqual([0, 1]);
  while (working.length > 0) await finishOne();
  await done;
  expect(ended.sort()).toEqual([0, 1, 2, 3, 4]);
});

test("no work begins during a pause, and a stop ends the wait", async () => {
  const { throttler, stop, working, done, settle, finishOne } = worksite(9);
  await settle();
  throttler.pause("operator", "by the operator");
  for (let i = 0; i < 3; i++) await finishOne();
  expect(working).toEqual([]);
  throttler.resume("operator");
  await settle();
  expect(working).toHaveLength(3);
  throttler.pause("operator", "by the operator");
  while (working.length > 0) await finishOne();
  stop.abort(new Error("stop"));
  await done;
});
