import { expect, test } from "bun:test";
import {
  formatByteRate,
  formatCompactCount,
  formatCount,
  formatDuration,
  formatMoment,
  formatPercent,
  formatRowRate,
  formatSeconds,
} from "../../../src/report/format.ts";

test.each([
  [0, "0"],
  [999, "999"],
  [1000, "1,000"],
  [12_345_678, "12,345,678"],
  [2_500_000_000, "2,500,000,000"],
  [1234.6, "1,235"],
])("formatCount(%p)", (count, text) => expect(formatCount(count)).toBe(text));

test.each([
  [0, "0"],
  [999, "999"],
  [999.4, "999"],
  [999.6, "1.00k"],
  [1234, "1.23k"],
  [9_994, "9.99k"],
  [9_996, "10.0k"],
  [85_123, "85.1k"],
  [99_960, "100k"],
  [999_400, "999k"],
  [999_600, "1.00M"],
  [2_500_000_000, "2.50B"],
  [5e15, "5000T"],
])("formatCompactCount(%p)", (count, text) => expect(formatCompactCount(count)).toBe(text));

test.each([
  [0, "0 ms"],
  [999, "999 ms"],
  [1000, "1.0s"],
  [9999, "9.9s"],
  [10_000, "10s"],
  [59_999, "59s"],
  [60_000, "1m 00s"],
  [3_599_999, "59m 59s"],
  [3_723_000, "1h 02m 03s"],
  [100 * 3_600_000, "100h 00m 00s"],
])("formatDuration(%p)", (durationMs, text) => expect(formatDuration(durationMs)).toBe(text));

test("formatSeconds keeps to whole seconds", () => {
  expect(formatSeconds(4200)).toBe("4s");
  expect(formatSeconds(0)).toBe("0s");
});

test("formatPercent says 100.0% only for all", () => {
  expect(formatPercent(0.999_999)).toBe("99.9%");
  expect(formatPercent(1)).toBe("100.0%");
  expect(formatPercent(0)).toBe("0.0%");
});

test("rates have units", () => {
  expect(formatRowRate(85_123.4)).toBe("85,123 rows/s");
  expect(formatByteRate(123_456_789)).toBe("123.5 MB/s");
  expect(formatByteRate(0)).toBe("0.0 MB/s");
});

test("formatMoment leaves out fractions of seconds", () => {
  expect(formatMoment("2026-01-31T12:34:56.789Z")).toBe("2026-01-31 12:34:56");
});
