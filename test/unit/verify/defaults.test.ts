import { describe, expect, test } from "bun:test";
import { isFixedValue } from "../../../src/verify/defaults.ts";

describe("a DEFAULT expression", () => {
  test.each([
    "'default'",
    "false",
    "-1",
    "0.5",
    "NULL",
    "[]",
    "map()",
    "CAST('now()', 'LowCardinality(String)')",
    "toDateTime64('1970-01-01 00:00:00', 3)",
  ])("of literals has one value: %s", (expression) => {
    expect(isFixedValue(expression)).toBe(true);
  });

  test.each([
    "now()",
    "NOW()",
    "today()",
    "generateUUIDv4()",
    "toDate(now())",
    "name",
    "`name`",
    "concat('of ', trace_id)",
    "toString(start_time)",
  ])("of columns and of other functions has none: %s", (expression) => {
    expect(isFixedValue(expression)).toBe(false);
  });
});
