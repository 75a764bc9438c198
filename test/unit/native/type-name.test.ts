import { describe, expect, test } from "bun:test";
import { layoutOf } from "../../../src/clickhouse/native/layout.ts";
import {
  isTypeName,
  parseTypeName,
  type TypeName,
  unwrap,
} from "../../../src/clickhouse/native/type-name.ts";

/** The parsed type written out again. */
function show(type: TypeName): string {
  const args = type.args.map((arg) => (isTypeName(arg) ? show(arg) : arg.literal));
  return args.length === 0 ? type.name : `${type.name}(${args.join(" | ")})`;
}

describe("parseTypeName", () => {
  for (const [text, shown] of [
    ["String", "String"],
    ["Nullable(DateTime64(3, 'UTC'))", "Nullable(DateTime64(3 | 'UTC'))"],
    ["Map(LowCardinality(String), Decimal(18, 12))", "Map(LowCardinality(String) | Decimal(18 | 12))"],
    ["Array(Array(Nullable(String)))", "Array(Array(Nullable(String)))"],
    ["Enum8('a' = 1, 'b' = -2)", "Enum8('a' = 1 | 'b' = -2)"],
    ["Enum8('it\\'s' = 1, 'a, (b)' = 2, 'c''d' = 3)", "Enum8('it\\'s' = 1 | 'a, (b)' = 2 | 'c''d' = 3)"],
    ["JSON", "JSON"],
    ["JSON(max_dynamic_paths=0)", "JSON(max_dynamic_paths=0)"],
    ["JSON(max_dynamic_paths=8, max_dynamic_types=2)", "JSON(max_dynamic_paths=8 | max_dynamic_types=2)"],
    ["JSON(total UInt64)", "JSON(total UInt64)"],
    ["JSON(a.b UInt64, SKIP c.d)", "JSON(a.b UInt64 | SKIP c.d)"],
    ["JSON(`a.b` String)", "JSON(`a.b` String)"],
    ["JSON(`a, (b)` String, SKIP `c.d`)", "JSON(`a, (b)` String | SKIP `c.d`)"],
    ["JSON(a Array(Nullable(String)), b Int8)", "JSON(a Array(Nullable(String)) | b Int8)"],
    ["JSON(SKIP REGEXP 'x, (y\\'')", "JSON(SKIP REGEXP 'x, (y\\'')"],
    ["Tuple(a String, b Map(String, UInt8))", "Tuple(a String | b Map(String, UInt8))"],
  ] as const) {
    test(text, () => expect(show(parseTypeName(text))).toBe(shown));
  }

  for (const text of [
    "",
    " ",
    "Array(",
    "Array(String",
    "Array(String))",
    "Array(String) x",
    "Array(,String)",
    "Array(String,)",
    "'quoted'",
    "Enum8('open)",
    "(String)",
    "3",
    "JSON(`open String)",
  ]) {
    test(`${JSON.stringify(text)} is not a type name`, () => {
      expect(() => parseTypeName(text)).toThrow(SyntaxError);
    });
  }

  test("names the text and the position in its error", () => {
    expect(() => parseTypeName("Map(String, )")).toThrow(/"Map\(String, \)".*position 12/);
  });

  test("unwrap removes only the requested wrapper", () => {
    const type = parseTypeName("LowCardinality(Nullable(String))");
    expect(show(unwrap(type, "Nullable"))).toBe("LowCardinality(Nullable(String))");
    expect(show(unwrap(type, "LowCardinality"))).toBe("Nullable(String)");
    expect(show(unwrap(unwrap(type, "LowCardinality"), "Nullable"))).toBe("String");
  });
});

describe("layoutOf", () => {
  for (const [type, kinds] of [
    ["String", ["strings 0"]],
    ["Nullable(UInt16)", ["fixed 0", "fixed 0"]],
    ["LowCardinality(Nullable(String))", ["version", "lowCardinality 0"]],
    [
      "Map(LowCardinality(String), Array(String))",
      ["version", "offsets 0", "lowCardinality 1", "offsets 1", "strings 2"],
    ],
    ["Array(Array(UInt8))", ["offsets 0", "offsets 1", "fixed 2"]],
  ] as const) {
    test(`of ${type}`, () => {
      const streams = layoutOf(type).streams.map((stream) =>
        stream.kind === "version" ? stream.kind : `${stream.kind} ${stream.level}`,
      );
      expect(streams).toEqual([...kinds]);
    });
  }

  for (const [type, width] of [
    ["Decimal(9, 2)", 4],
    ["Decimal(18, 12)", 8],
    ["Decimal(38, 2)", 16],
    ["Decimal(76, 2)", 32],
    ["FixedString(7)", 7],
    ["DateTime('UTC')", 4],
    ["Enum16('a' = 1)", 2],
  ] as const) {
    test(`${type} has ${width} bytes a value`, () => {
      expect(layoutOf(type).streams).toEqual([{ kind: "fixed", level: 0, width }]);
    });
  }

  for (const type of [
    "JSON",
    "Tuple(String, UInt8)",
    "Variant(String, UInt8)",
    "Dynamic",
    "Nullable",
    "Array(3)",
    "Map(String)",
    "FixedString",
    "FixedString(0)",
    "Decimal(77, 2)",
    "LowCardinality(UInt8)",
    "AggregateFunction(sum, UInt64)",
    "constructor",
  ]) {
    test(`of ${type} is unknown`, () => expect(() => layoutOf(type)).toThrow(TypeError));
  }
});
