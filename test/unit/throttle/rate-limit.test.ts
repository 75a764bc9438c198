import { expect, test } from "bun:test";
import { createSharedRateLimit, RateLimit, type ThreadClock } from "../../../src/throttle/rate-limit.ts";
import { withSeed } from "../../support/property.ts";

const SECOND_NS = 1_000_000_000n;

function limitAt(start = 0n) {
  const clock = { nowNs: start };
  const thread = threadAt(clock);
  const shared = createSharedRateLimit(thread);
  const limit = new RateLimit(shared, thread);
  return { clock, shared, limit };
}

/** The clocks of a thread that began at `originNs`. */
function threadAt(clock: { readonly nowNs: bigint }, originNs = 0n): ThreadClock {
  return { nowNs: () => clock.nowNs - originNs, wallMs: () => Number(clock.nowNs / 1_000_000n) };
}

test("a thread that begins later keeps to the same times", () => {
  const { clock, limit } = limitAt(5n * SECOND_NS);
  limit.set({ unit: "rows", perSecond: 1_000 });
  limit.reserve(1_000, 0);
  for (const begunNs of [50n * SECOND_NS, 5_000n * SECOND_NS]) {
    clock.nowNs = begunNs;
    const later = new RateLimit(limit.shared, threadAt(clock, begunNs));
    // A second has gone unused.
    expect(later.reserve(3_000, 0).waitMs).toBe(0);
    expect(limit.reserve(1_000, 0).waitMs).toBe(2_000);
    expect(later.reserve(1_000, 0).waitMs).toBe(3_000);
  }
});

test("without a rate nothing waits", () => {
  const { limit } = limitAt();
  expect(limit.rate).toBeNull();
  expect(limit.reserve(10_000, 10 ** 9).waitMs).toBe(0);
});

test("amounts follow each other at the rate, whoever sends them", () => {
  withSeed(100, (random) => {
    const { clock, shared, limit } = limitAt(123n * SECOND_NS);
    const threads = [limit, new RateLimit(shared, threadAt(clock)), new RateLimit(shared, threadAt(clock))];
    const perSecond = 1_000 + random.below(10 ** 6);
    limit.set({ unit: random.pick(["rows", "bytes"] as const), perSecond });
    let sent = 0;
    let lastAmount = 0;
    let lastMs = 0;
    for (let block = 0; block < 50; block++) {
      const amount = 1 + random.below(perSecond * 3);
      // What is counted is the unit of the rate.
      const { waitMs } = random.pick(threads).reserve(amount, amount);
      lastMs = waitMs;
      lastAmount = amount;
      sent += amount;
    }
    // The last one begins when all before it have had their time.
    const seconds = lastMs / 1000 + 1;
    expect(Math.abs((sent - lastAmount) / perSecond / seconds - 1)).toBeLessThan(0.25);
    expect(lastMs / 1000).toBeLessThanOrEqual((sent - lastAmount) / perSecond + 1e-3);
    expect(lastMs / 1000).toBeGreaterThanOrEqual((sent - lastAmount) / perSecond - 1 - 1e-3);
  });
});

test("what was not used for a while is used later, for a second and no longer", () => {
  const { clock, limit } = limitAt(5n * SECOND_NS);
  limit.set({ unit: "rows", perSecond: 1_000 });
  clock.nowNs += 100n * SECOND_NS;
  const waits = [0, 1, 2, 3].map(() => limit.reserve(500, 0).waitMs);
  expect(waits).toEqual([0, 0, 0, 500]);
});

test("another rate begins anew, and voids the times that were given", () => {
  const { limit } = limitAt();
  limit.set({ unit: "rows", perSecond: 1_000 });
  limit.reserve(60_000, 0);
  const slot = limit.reserve(1, 0);
  expect(slot.waitMs).toBeGreaterThan(50_000);
  limit.set({ unit: "bytes", perSecond: 1_000_000 });
  expect(limit.version).not.toBe(slot.version);
  expect(limit.reserve(60_000, 1).waitMs).toBe(0);
  limit.set(null);
  expect(limit.rate).toBeNull();
});
