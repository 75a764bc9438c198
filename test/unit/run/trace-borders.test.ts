import { expect, test } from "bun:test";
import { type DateWindow, windowDates } from "../../../src/plan/trace-window.ts";
import { TraceBorders, type WindowParts } from "../../../src/run/trace-borders.ts";
import type { WrittenTraces } from "../../../src/traces/store.ts";
import { withSeed } from "../../support/property.ts";

/** Stands for what was loaded of a window. */
interface Loaded extends WrittenTraces {
  readonly window: DateWindow;
}

function loadedOf(window: DateWindow): Loaded {
  return { segments: [], keys: { bytes: new SharedArrayBuffer(0), count: 0 }, window };
}

/** Plays months one after another; returns the windows that each had in the end, and those that were loaded for it. */
function play(order: readonly string[], windowDays: number, subjects = order.map(() => "same")) {
  const borders = new TraceBorders(order, windowDays);
  return order.map((partition, i) => {
    const subject = subjects[i] ?? "";
    const { kept, own, shared }: WindowParts = borders.partsOf(partition, subject);
    borders.keep(shared, subject, shared === null ? [] : [loadedOf(shared)]);
    const loaded = [own, ...(shared === null ? [] : [shared])];
    return { partition, loaded, all: [...kept.map((written) => (written as Loaded).window), ...loaded] };
  });
}

function days({ from, until }: DateWindow): string[] {
  const list: string[] = [];
  for (let day = Date.parse(from); day < Date.parse(until); day += 86_400_000) {
    list.push(new Date(day).toISOString().slice(0, 10));
  }
  return list;
}

test("neighbours share the days around their border, in either order", () => {
  expect(play(["202503", "202502", "202501"], 2).map(({ loaded }) => loaded)).toEqual([
    [
      { from: "2025-03-03", until: "2025-04-03" },
      { from: "2025-02-27", until: "2025-03-03" },
    ],
    [
      { from: "2025-02-03", until: "2025-02-27" },
      { from: "2025-01-30", until: "2025-02-03" },
    ],
    [{ from: "2024-12-30", until: "2025-01-30" }],
  ]);
  expect(play(["202501", "202502"], 2).map(({ loaded }) => loaded)).toEqual([
    [
      { from: "2024-12-30", until: "2025-01-30" },
      { from: "2025-01-30", until: "2025-02-03" },
    ],
    [{ from: "2025-02-03", until: "2025-03-03" }],
  ]);
});

test("every month has each day of its window exactly once, whatever the order, the gaps and the window", () => {
  withSeed(500, (random) => {
    const months = ["202411", "202412", "202501", "202502", "202503", "202505"];
    const order = random.shuffle(months).slice(0, 1 + random.below(months.length));
    const windowDays = random.below(32);
    const subjects = order.map(() => random.pick(["same", "same", "other"]));
    for (const { partition, all } of play(order, windowDays, subjects)) {
      expect(all.flatMap(days).sort()).toEqual(days(windowDates(partition, windowDays)));
    }
  });
});

test("no day of several months is loaded twice", () => {
  const loaded = play(["202503", "202502", "202501"], 2).flatMap(({ loaded }) => loaded.flatMap(days));
  expect(new Set(loaded).size).toBe(loaded.length);
});

test("what was loaded with other columns is not used", () => {
  const [, second] = play(["202503", "202502"], 2, ["these", "those"]);
  expect(second?.loaded).toEqual([windowDates("202502", 2)]);
});
