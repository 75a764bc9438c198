import { describe, expect, test } from "bun:test";
import { windowDates } from "../../../src/plan/trace-window.ts";

describe("the window of traces", () => {
  for (const [partition, days, from, until] of [
    ["202503", 0, "2025-03-01", "2025-04-01"],
    ["202503", 2, "2025-02-27", "2025-04-03"],
    ["202403", 2, "2024-02-28", "2024-04-03"],
    ["202402", 1, "2024-01-31", "2024-03-02"],
    ["202502", 1, "2025-01-31", "2025-03-02"],
    ["202412", 2, "2024-11-29", "2025-01-03"],
    ["202501", 2, "2024-12-30", "2025-02-03"],
    ["202511", 45, "2025-09-17", "2026-01-15"],
    ["200002", 0, "2000-02-01", "2000-03-01"],
    // The first and the last month and the widest window that the settings allow: within a Date's range.
    ["197002", 31, "1970-01-01", "1970-04-01"],
    ["214904", 31, "2149-03-01", "2149-06-01"],
  ] as const) {
    test(`of ${partition} with ${days} days around`, () => {
      expect(windowDates(partition, days)).toEqual({ from, until });
    });
  }
});
