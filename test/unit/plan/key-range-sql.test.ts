import { describe, expect, test } from "bun:test";
import { keyRangeCondition } from "../../../src/clickhouse/key-range-sql.ts";
import { compareKeys, compareUtf8, END_OF_GROUP_ID } from "../../../src/plan/key-range.ts";
import { endOfGroup, OBSERVATIONS_KEY, rangeCondition } from "../../../src/plan/source-key.ts";

const COLUMNS = [
  { sql: "a", type: "String" },
  { sql: "b", type: "Date" },
] as const;

describe("keyRangeCondition", () => {
  test("writes the comparison out by column, with values as parameters", () => {
    expect(keyRangeCondition(COLUMNS, ["x'", "2025-01-01"], ["y", "2025-01-02"])).toEqual({
      sql: "(a > {after0:String} OR a = {after0:String} AND b > {after1:Date}) AND (a < {upto0:String} OR a = {upto0:String} AND b <= {upto1:Date})",
      params: { after0: "x'", after1: "2025-01-01", upto0: "y", upto1: "2025-01-02" },
    });
  });

  test("takes a shorter bound for all keys that begin with it", () => {
    expect(keyRangeCondition(COLUMNS, ["x"], ["y"]).sql).toBe(
      "(a > {after0:String}) AND (a <= {upto0:String})",
    );
  });

  test("is true where both sides are open", () => {
    expect(keyRangeCondition(COLUMNS, null, null)).toEqual({ sql: "1", params: {} });
  });

  test("refuses a bound with more values than columns", () => {
    expect(() => keyRangeCondition(COLUMNS, ["x", "2025-01-01", "z"], null)).toThrow(RangeError);
  });

  test("compares no id at the end of a group", () => {
    const { sql, params } = rangeCondition(OBSERVATIONS_KEY, {
      after: endOfGroup("p", "t", "2025-03-01"),
      upTo: null,
    });
    expect(sql).not.toContain("o.id");
    expect(Object.values(params)).not.toContain(END_OF_GROUP_ID);
  });
});

describe("keys are compared as ClickHouse orders them", () => {
  const key = { projectId: "p", type: "t", date: "2025-03-01", id: "i" };

  test("by one field after another", () => {
    expect(compareKeys(key, { ...key })).toBe(0);
    expect(compareKeys(key, { ...key, projectId: "q", type: "a" })).toBeLessThan(0);
    expect(compareKeys(key, { ...key, type: "s", date: "2026-01-01" })).toBeGreaterThan(0);
    expect(compareKeys(key, { ...key, date: "2025-03-02", id: "" })).toBeLessThan(0);
    expect(compareKeys(key, { ...key, id: "i\0" })).toBeLessThan(0);
  });

  test("by bytes, which puts U+10000 after U+FFFF", () => {
    expect(compareUtf8("\u{10000}", "\uffff")).toBeGreaterThan(0);
    expect(compareUtf8("", "a")).toBeLessThan(0);
    expect(compareUtf8("é", "z")).toBeGreaterThan(0);
  });
});
