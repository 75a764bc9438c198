import { afterEach, expect, jest, test } from "bun:test";
import { EventEmitter } from "node:events";
import { GRACE_PERIOD_MS, listenForStop, unlessAborted } from "../../../src/commands/stop-signals.ts";
import { exitCodeOf, type StopSignal } from "../../../src/errors.ts";

afterEach(() => {
  jest.useRealTimers();
});

function listen() {
  const source = new EventEmitter();
  const told: StopSignal[] = [];
  const stop = listenForStop(source, (signal) => told.push(signal));
  return { source, told, stop };
}

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("the first %s stops gracefully, the second at once", (signal, code) => {
  const { source, told, stop } = listen();
  source.emit(signal);
  expect(told).toEqual([signal]);
  expect(exitCodeOf(stop.graceful.reason)).toBe(code);
  expect(stop.atOnce.aborted).toBe(false);
  source.emit(signal);
  source.emit(signal);
  expect(told).toEqual([signal]);
  expect(exitCodeOf(stop.atOnce.reason)).toBe(code);
  stop.dispose();
});

test("when the grace period is over it stops at once as well", () => {
  jest.useFakeTimers();
  const { source, stop } = listen();
  source.emit("SIGTERM");
  jest.advanceTimersByTime(GRACE_PERIOD_MS - 1);
  expect(stop.atOnce.aborted).toBe(false);
  jest.advanceTimersByTime(1);
  expect(exitCodeOf(stop.atOnce.reason)).toBe(143);
  stop.dispose();
});

test("disposed of, it leaves no listener and no timer", () => {
  jest.useFakeTimers();
  const { source, stop } = listen();
  source.emit("SIGINT");
  stop.dispose();
  expect(source.eventNames()).toEqual([]);
  jest.advanceTimersByTime(GRACE_PERIOD_MS);
  expect(stop.atOnce.aborted).toBe(false);
});

test("unlessAborted settles as the work does, or rejects with the reason", async () => {
  const never = new Promise<never>(() => {});
  const controller = new AbortController();
  expect(await unlessAborted(Promise.resolve(7), controller.signal)).toBe(7);
  await expect(unlessAborted(Promise.reject(new Error("work")), controller.signal)).rejects.toThrow("work");
  const waiting = unlessAborted(never, controller.signal);
  controller.abort(new Error("reason"));
  await expect(waiting).rejects.toThrow("reason");
  await expect(unlessAborted(never, controller.signal)).rejects.toThrow("reason");
});
