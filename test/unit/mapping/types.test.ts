import { describe, expect, test } from "bun:test";
import type { ValueKind } from "../../../src/mapping/mapped-column.ts";
import { sourceProblem, targetProblem } from "../../../src/mapping/types.ts";

const FITTING: readonly [ValueKind, ...string[]][] = [
  ["string", "String", "LowCardinality(String)", "Nullable(String)", "LowCardinality(Nullable(String))"],
  ["time", "DateTime64(3)", "DateTime64(6, 'UTC')", "DateTime64(9)"],
  ["nullableTime", "Nullable(DateTime64(3))", "Nullable(DateTime64(6, 'Europe/Berlin'))"],
  ["flag", "Bool", "UInt8"],
  ["nullableUInt16", "Nullable(UInt16)"],
  ["uint64", "UInt64"],
  ["strings", "Array(String)", "Array(LowCardinality(String))"],
  ["stringMap", "Map(String, String)", "Map(LowCardinality(String), String)"],
  ["countMap", "Map(String, UInt64)", "Map(LowCardinality(String), UInt64)"],
  ["costMap", "Map(LowCardinality(String), Decimal(18, 12))", "Map(String, Decimal64(12))"],
  ["json", "JSON", "JSON(max_dynamic_paths=0)", "JSON(max_dynamic_types=8, SKIP REGEXP 'x(,')", "String"],
];

const UNFIT: readonly [ValueKind, ...string[]][] = [
  ["string", "UInt64", "FixedString(16)", "Enum8('a' = 1)", "UUID", "Array(String)", "", "String)"],
  ["time", "Date", "String", "UInt64"],
  ["flag", "UInt16", "String"],
  ["nullableUInt16", "Nullable(UInt8)", "Nullable(Int16)", "Nullable(UInt32)"],
  ["uint64", "UInt32", "Int64", "String"],
  ["strings", "String", "Array(UInt8)", "Array(Array(String))"],
  ["stringMap", "String", "JSON", "Map(UInt8, String)", "Map(String, UInt64)"],
  ["countMap", "Map(String, UInt32)", "Map(String, Int64)", "Map(String, String)"],
  ["costMap", "Map(String, Decimal(18, 6))", "Map(String, Decimal(38, 12))", "Map(String, Float64)"],
  ["json", "Map(String, String)", "UInt8", "Object('json')"],
];

for (const [kind, ...types] of FITTING) {
  for (const type of types) {
    test(`${type} takes and holds ${kind}`, () => {
      expect(sourceProblem(kind, type)).toBeNull();
      expect(targetProblem(kind, type, null)).toBeNull();
    });
  }
}

for (const [kind, ...types] of UNFIT) {
  for (const type of types) {
    test(`${type || "an empty type"} is not for ${kind}`, () => {
      expect(sourceProblem(kind, type)).toBeString();
      expect(targetProblem(kind, type, null)).toBeString();
    });
  }
}

describe("a target column", () => {
  test("must be able to hold NULL where it matters", () => {
    expect(targetProblem("nullableTime", "DateTime64(6)", "Nullable(DateTime64(3))")).toBeString();
    expect(targetProblem("nullableUInt16", "UInt16", "Nullable(UInt16)")).toBeString();
    expect(targetProblem("time", "DateTime64(6)", "Nullable(DateTime64(3))")).toBe("Nullable(DateTime64)");
    expect(targetProblem("time", "Nullable(DateTime64(6))", "Nullable(DateTime64(3))")).toBeNull();
    // The query makes empty strings of them.
    expect(targetProblem("string", "String", "Nullable(String)")).toBeNull();
  });

  test("of metadata must not ask single paths for a type, which odd values would not have", () => {
    for (const type of ["JSON(a UInt64)", "JSON(max_dynamic_paths=8, `a.b` UInt64)"]) {
      expect(targetProblem("json", type, null), type).toBe("JSON without types for single paths");
    }
  });

  test("must not drop fractions of a second", () => {
    for (const [target, source, fits] of [
      ["DateTime64(3)", "DateTime64(3)", true],
      ["DateTime64(6)", "DateTime64(3)", true],
      ["DateTime64(3)", "DateTime64(6)", false],
      ["DateTime", "DateTime64(3)", false],
      ["DateTime", "DateTime", true],
      ["DateTime64(3, 'UTC')", "DateTime64(6, 'UTC')", false],
    ] as const) {
      expect(targetProblem("time", target, source) === null, `${source} into ${target}`).toBe(fits);
    }
  });

  test("of metadata must be one that is written as it is sent", () => {
    // A column of another type would convert the JSON value, which puts its paths in another order.
    for (const type of ["Nullable(String)", "LowCardinality(String)", "Nullable(JSON)"]) {
      expect(targetProblem("json", type, null), type).toBe("JSON or String");
    }
  });
});
