import { expect, test } from "bun:test";
import { formatRate, parseRate, pipelinesAt, type Rate } from "../../../src/throttle/rate.ts";
import { withSeed } from "../../support/property.ts";

test.each<[string, Rate | null]>([
  ["20MB", { unit: "bytes", perSecond: 20_000_000 }],
  ["1.5gb", { unit: "bytes", perSecond: 1_500_000_000 }],
  ["1000000B", { unit: "bytes", perSecond: 1_000_000 }],
  ["5000rows", { unit: "rows", perSecond: 5_000 }],
  ["5000 rows/s", { unit: "rows", perSecond: 5_000 }],
  ["999rows", null],
  ["999kB", null],
  ["20", null],
  ["20MiB", null],
  ["-20MB", null],
  ["1e3rows", null],
  ["", null],
])("%j", (text, rate) => {
  expect(parseRate(text)).toEqual(rate);
});

test("a rate is written as it is read", () => {
  withSeed(200, (random) => {
    const rate: Rate = random.pick([
      { unit: "rows", perSecond: 1_000 + random.below(10 ** 9) },
      { unit: "bytes", perSecond: (1_000 + random.below(10 ** 6)) * 1_000 },
      { unit: "bytes", perSecond: (1 + random.below(999)) * 10 ** 6 },
    ]);
    const read = parseRate(formatRate(rate));
    expect(read?.unit).toBe(rate.unit);
    expect(Math.abs((read?.perSecond ?? 0) / rate.perSecond - 1)).toBeLessThan(0.001);
  });
});

test("a low rate leaves few pipelines, so that each of them reads on often enough", () => {
  expect(pipelinesAt({ unit: "rows", perSecond: 1_000 })).toBe(1);
  expect(pipelinesAt({ unit: "rows", perSecond: 5_000 })).toBe(5);
  expect(pipelinesAt({ unit: "bytes", perSecond: 1_000_000 })).toBe(1);
  expect(pipelinesAt({ unit: "bytes", perSecond: 20_000_000 })).toBe(13);
});
