import { afterEach, expect, jest, test } from "bun:test";
import { createSharedRateLimit } from "../../../src/throttle/rate-limit.ts";
import { LongPauseError, Throttle } from "../../../src/throttle/throttle.ts";
import { Throttler } from "../../../src/throttle/throttler.ts";

afterEach(() => {
  jest.useRealTimers();
});

const NEVER = new AbortController().signal;

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
}

test("a pause holds work back until it is over", async () => {
  const throttle = new Throttle(createSharedRateLimit());
  throttle.pause();
  const held = throttle.admit(1, 1, NEVER).then(() => "through");
  await Bun.sleep(1);
  expect(await isSettled(held)).toBe(false);
  throttle.resume();
  expect(await held).toBe("through");
  throttle.pause();
  throttle.resume();
  await throttle.admit(1, 1, NEVER);
});

test("a stop ends the wait, with its reason", async () => {
  const throttle = new Throttle(createSharedRateLimit());
  throttle.pause();
  const stop = new AbortController();
  const held = throttle.admit(1, 1, stop.signal);
  stop.abort(new Error("enough"));
  await expect(held).rejects.toThrow("enough");
});

test("what is held open is let go of when a pause lasts, and not after a short one", () => {
  jest.useFakeTimers();
  const throttle = new Throttle(createSharedRateLimit());
  throttle.pause();
  jest.advanceTimersByTime(19_000);
  throttle.resume();
  jest.advanceTimersByTime(60_000);
  expect(throttle.letGo.aborted).toBe(false);
  throttle.pause();
  const { letGo } = throttle;
  jest.advanceTimersByTime(21_000);
  expect(letGo.reason).toBeInstanceOf(LongPauseError);
  throttle.resume();
  expect(throttle.letGo.aborted).toBe(false);
});

test("the clock of work stands still during a pause", async () => {
  const throttle = new Throttle(createSharedRateLimit());
  const beganMs = throttle.workMs;
  throttle.pause();
  const pausedMs = throttle.workMs;
  await Bun.sleep(30);
  expect(throttle.workMs).toBe(pausedMs);
  throttle.resume();
  // Whatever the machine does besides, the pause is left out.
  expect(performance.now() - throttle.workMs).toBeGreaterThanOrEqual(29);
  expect(throttle.workMs).toBeGreaterThanOrEqual(beganMs);
});

test("a run is paused as long as one cause pauses it", () => {
  const throttler = new Throttler();
  const seen: (readonly string[])[] = [];
  const unsubscribe = throttler.onChange(({ pausedFor }) => seen.push(pausedFor));
  throttler.pause("operator", "a");
  throttler.pause("parts", "b");
  throttler.pause("parts", "b");
  throttler.resume("operator");
  throttler.resume("operator");
  expect(throttler.throttle.isPaused).toBe(true);
  throttler.resume("parts");
  expect(throttler.throttle.isPaused).toBe(false);
  expect(seen).toEqual([["a"], ["a", "b"], ["b"], []]);
  unsubscribe();
  throttler.pause("query", "c");
  expect(seen).toHaveLength(4);
});
