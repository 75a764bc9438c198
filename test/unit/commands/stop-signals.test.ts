import { afterEach, expect, jest, test } from "bun:test";
import { EventEmitter } from "node:events";
import { unlessAborted } from "../../../src/abortable.ts";
import { GRACE_PERIOD_MS, listenForStop } from "../../../src/commands/stop-signals.ts";
import { exitCodeOf, type StopSignal } from "../../../src/errors.ts";

afterEach(() => {
  jest.useRealTimers();
});

function listen() {
  const source = new EventEmitter();
  const received: StopSignal[] = [];
  const stop = listenForStop(source, (signal) => received.push(signal));
  return { source, received, stop };
}

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("the first %s stops gracefully, the second at once", (signal, code) => {
  const { source, received, stop } = listen();
  source.emit(signal);
  expect(received).toEqual([signal]);
  expect(exitCodeOf(stop.graceful.reason)).toBe(code);
  expect(stop.atOnce.aborted).toBe(false);
  source.emit(signal);
  source.emit(signal);
  expect(received).toEqual([signal]);
  expect(exitCodeOf(stop.atOnce.reason)).toBe(code);
  stop.dispose();
});

test("a run also stops at once when the grace period is over", () => {
  jest.useFakeTimers();
  const { source, stop } = listen();
  source.emit("SIGTERM");
  jest.advanceTimersByTime(GRACE_PERIOD_MS - 1);
  expect(stop.atOnce.aborted).toBe(false);
  jest.advanceTimersByTime(1);
  expect(exitCodeOf(stop.atOnce.reason)).toBe(143);
  stop.dispose();
});

test("no listener and no timer are left after disposal", () => {
  jest.useFakeTimers();
  const { source, stop } = listen();
  source.emit("SIGINT");
  stop.dispose();
  expect(source.eventNames()).toEqual([]);
  jest.advanceTimersByTime(GRACE_PERIOD_MS);
  expect(stop.atOnce.aborted).toBe(false);
});

test("unlessAborted resolves or rejects with the work, or rejects with the reason", async () => {
  const never = new Promise<never>(() => {});
  const controller = new AbortController();
  expect(await unlessAborted(Promise.resolve(7), controller.signal)).toBe(7);
  await expect(unlessAborted(Promise.reject(new Error("work")), controller.signal)).rejects.toThrow("work");
  const waiting = unlessAborted(never, controller.signal);
  controller.abort(new Error("reason"));
  await expect(waiting).rejects.toThrow("reason");
  await expect(unlessAborted(never, controller.signal)).rejects.toThrow("reason");
});
