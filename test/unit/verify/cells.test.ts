import { expect, test } from "bun:test";
import { Cells, groupCells, spanOver, spansOf } from "../../../src/verify/cells.ts";
import { DAY_MICROS } from "../../../src/verify/compared-rows.ts";
import { withSeed } from "../../support/property.ts";

const FIRST_DAY = 1_761_955_200_000_000;
const dayMicros = (day: number): string => String(FIRST_DAY + day * DAY_MICROS);

test("cells add up whatever the order, and those differ whose rows or sums do", () => {
  withSeed(200, (random) => {
    const cells = new Cells();
    const sums = new Map<string, { expected: bigint; actual: bigint }>();
    for (let i = 0; i < 40; i++) {
      const key = { projectHex: `${41 + random.below(3)}`, dayMicros: dayMicros(random.below(4)) };
      const side = random.pick(["expected", "actual"] as const);
      const sum = BigInt(random.below(5)) * 2n ** 126n;
      cells.add(side, key, { rows: 1, sum });
      const text = `${key.projectHex} ${key.dayMicros}`;
      const known = sums.get(text) ?? { expected: 0n, actual: 0n };
      known[side] = (known[side] + sum) % 2n ** 128n;
      sums.set(text, known);
    }
    const differing = new Set(cells.differing().map((cell) => `${cell.projectHex} ${cell.dayMicros}`));
    for (const [text, { expected, actual }] of sums) {
      if (expected !== actual) expect(differing.has(text)).toBe(true);
    }
  });
});

test("groups hold every cell that differs, within their rows unless a cell alone has more", () => {
  withSeed(200, (random) => {
    const cells = new Cells();
    for (let project = 0; project < 5; project++) {
      for (let day = 0; day < 6; day++) {
        const key = { projectHex: `4${project}`, dayMicros: dayMicros(day) };
        const rows = random.below(50);
        cells.add("expected", key, { rows, sum: 1n });
        cells.add("actual", key, { rows, sum: random.below(3) === 0 ? 2n : 1n });
      }
    }
    const maxRows = 1 + random.below(200);
    const differing = cells.differing();
    const groups = groupCells(cells, differing, maxRows);
    for (const cell of differing) {
      const [{ fromMicros, untilMicros } = { fromMicros: "0", untilMicros: "0" }] = spansOf([cell]);
      const holding = groups.filter(
        (group) =>
          group.projectsHex.includes(cell.projectHex) &&
          BigInt(group.fromMicros) <= BigInt(fromMicros) &&
          BigInt(group.untilMicros) >= BigInt(untilMicros),
      );
      expect(holding).toHaveLength(1);
    }
    for (const group of groups) {
      const days = (BigInt(group.untilMicros) - BigInt(group.fromMicros)) / BigInt(DAY_MICROS);
      const isSingle = group.projectsHex.length === 1 && days === 1n;
      if (!isSingle) expect(group.rows).toBeLessThanOrEqual(maxRows);
    }
  });
});

test("spans hold the days of cells and no other", () => {
  withSeed(200, (random) => {
    const cells = Array.from({ length: random.below(20) }, () => ({
      projectHex: `4${random.below(3)}`,
      dayMicros: dayMicros(random.below(8)),
    }));
    const held = spansOf(cells).flatMap(({ projectsHex, fromMicros, untilMicros }) => {
      const days = Number((BigInt(untilMicros) - BigInt(fromMicros)) / BigInt(DAY_MICROS));
      return Array.from(
        { length: days },
        (_, day) => `${projectsHex.join()} ${BigInt(fromMicros) + BigInt(day) * BigInt(DAY_MICROS)}`,
      );
    });
    const wanted = new Set(cells.map((cell) => `${cell.projectHex} ${cell.dayMicros}`));
    expect(held.sort()).toEqual([...wanted].sort());
  });
});

test("a span over cells holds all of them, and no day before the first or after the last", () => {
  const day = (number: number): string => String(number * DAY_MICROS);
  const cells = [
    { projectHex: "70", dayMicros: day(12) },
    { projectHex: "71", dayMicros: day(9) },
    { projectHex: "70", dayMicros: day(10) },
  ];
  expect(spanOver(cells)).toEqual({ projectsHex: ["70", "71"], fromMicros: day(9), untilMicros: day(13) });
  expect(() => spanOver([])).toThrow("no cell");
});
