import { describe, expect, test } from "bun:test";
import { JsonColumn } from "../../../src/json/json-column.ts";
import { embedOf } from "../../../src/json/json-string.ts";

type Row = Readonly<Record<string, string>>;

function add(column: JsonColumn, key: Buffer, value: Buffer): void {
  const path = column.pathOf(key, 0, key.length);
  // The bytes around a value must not matter.
  const around = Buffer.concat([Buffer.from('"1'), value, Buffer.from('0"}]e5')]);
  column.add(path, around, 2, 2 + value.length, embedOf(around, 2, 2 + value.length));
}

function fill(column: JsonColumn, rows: readonly Row[]): JsonColumn {
  column.reset();
  for (const row of rows) {
    for (const [key, value] of Object.entries(row)) add(column, Buffer.from(key), Buffer.from(value));
    column.endRow();
  }
  return column;
}

function bytesOf(column: JsonColumn, rows: number): string {
  const parts: Buffer[] = [];
  column.appendTo(parts, rows);
  return Buffer.concat(parts).toString("latin1");
}

const u64 = (value: number): string => `${String.fromCharCode(value)}\0\0\0\0\0\0\0`;
const text = (value: string): string => String.fromCharCode(value.length) + value;

function isExact(rows: readonly Row[]): boolean {
  return fill(new JsonColumn(), rows).isExact;
}

describe("the bytes of a JSON column", () => {
  test("are the paths, their types, and for each path the types of the rows and the values", () => {
    const rows = [{ b: "x" }, {}, { a: '{"c": 7, "d": null}', b: "true" }, { b: "[1, null]" }, { b: "yz" }];
    const paths = `\x02${text("b")}${text("a.c")}`;
    const types = `\x03${text("String")}${text("Bool")}${text("Array(Nullable(Int64))")}`;
    const prefixes = `${u64(3)}${types}${u64(3)}\x01${text("Int64")}`;
    const b = `\x00\x03\x01\x02\x00${text("x")}${text("yz")}\x01${u64(2)}\x00\x01${u64(1)}${u64(0)}`;
    const c = `\x01\x01\x00\x01\x01${u64(7)}`;
    expect(bytesOf(fill(new JsonColumn(), rows), 5)).toBe(u64(3) + paths + prefixes + b + c);
  });

  test("have no paths where no row has a value", () => {
    expect(bytesOf(fill(new JsonColumn(), [{}, { a: "null", b: "{}" }]), 2)).toBe(`${u64(3)}\0`);
  });

  test("do not depend on the batches before", () => {
    const batches: Row[][] = [
      [{ a: "1", b: '{"c":"x"}' }, { a: "x" }],
      [{ a: "[true]" }, {}, { b: '{"d":1.5,"c":2}' }],
      Array.from({ length: 3000 }, (_, i) => ({ [`key ${i % 600}`]: `{"a":{"b":${i}}}` })),
      [{ "b.c": "1" }, { a: "[]" }],
    ];
    const reused = new JsonColumn();
    for (const rows of [...batches, ...batches]) {
      const fresh = fill(new JsonColumn(), rows);
      fill(reused, rows);
      expect(reused.isExact).toBe(fresh.isExact);
      if (fresh.isExact) expect(bytesOf(reused, rows.length)).toBe(bytesOf(fresh, rows.length));
    }
  });

  test("are refused for a column that is not exact and for another number of rows", () => {
    expect(() => bytesOf(fill(new JsonColumn(), [{ a: "[[1]]" }]), 1)).toThrow("not exact");
    expect(() => bytesOf(fill(new JsonColumn(), [{ a: "1" }]), 2)).toThrow("1 rows, not 2");
  });
});

describe("a JSON column is exact", () => {
  const exact: readonly (readonly [what: string, ...rows: Row[]])[] = [
    ["without rows"],
    ["with scalars of several types under a path", { a: "x" }, { a: "1" }, { a: "1.5" }, { a: "true" }],
    ["with integers of 64 bits", { a: "9223372036854775807", b: "-9223372036854775808" }],
    ["with arrays of one type and empty ones", { a: "[1]" }, { a: "[]" }, { a: "[null]" }],
    ["with integers among fractions", { a: "[0.5, 1]" }, { a: "[1, 2]" }],
    ["with an array of large integers, which is embedded as a string", { a: "[9223372036854775808]" }],
    ["with keys below a value that is no object", { a: "1", "a.b": "2" }],
    ["with an object and a key that goes on with its name", { a: '{"b":1}', ab: "2" }],
    ["with dots in the keys of an object", { a: '{"b.c":1,"b":{"d":2}}' }],
  ];
  for (const [what, ...rows] of exact) test(what, () => expect(isExact(rows)).toBe(true));
});

describe("a JSON column is not exact", () => {
  const inexact: readonly (readonly [what: string, ...rows: Row[]])[] = [
    ["with an integer beyond Int64", { a: "9223372036854775808" }],
    ["with arrays of arrays", { a: "[[1]]" }],
    ["with arrays of objects", { a: "[{}]" }],
    ["with arrays of several types", { a: '[1, "x"]' }],
    ["with arrays of other types under a path", { a: "[1]" }, { a: '["x"]' }],
    ["with an array of fractions after one of integers", { a: "[1]" }, { a: "[1.5]" }],
    ["with an array of integers after an empty one", { a: "[]" }, { a: "[1]" }],
    ["with an empty key", { "": "1" }],
    ["with an empty key within", { a: '{"":1}' }],
    ["with a repeated key within", { a: '{"b":1,"b":2}' }],
    ["with a null for a path that follows", { a: '{"b":null,"b":2}' }],
    ["with a path that comes twice within", { a: '{"b":{"c":1},"b.c":2}' }],
    ["with a path that comes twice", { a: '{"b":1}', "a.b": "2" }],
    ["with a key that goes on from an object", { a: '{"b.c":1}', "a.b": "2" }],
    ["with a key that goes on from an object after it", { "a.b": "2", a: '{"b.c":1}' }],
    ["with objects nested too deeply", { a: `${'{"a":'.repeat(70)}1${"}".repeat(70)}` }],
    ["with too many paths", Object.fromEntries(Array.from({ length: 513 }, (_, i) => [`k${i}`, "1"]))],
    ["with far too many", Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, "{}"]))],
  ];
  for (const [what, ...rows] of inexact) test(what, () => expect(isExact(rows)).toBe(false));

  test("with a key that is not UTF-8, once it has a value", () => {
    const column = fill(new JsonColumn(), [{}]);
    const key = Buffer.from("a\xff", "latin1");
    column.pathOf(key, 0, key.length);
    expect(column.isExact).toBe(true);
    add(column, key, Buffer.from("x"));
    expect(column.isExact).toBe(false);
    expect(fill(column, [{ a: "x" }]).isExact).toBe(true);
  });

  test("with a key that comes twice in a row", () => {
    const column = fill(new JsonColumn(), []);
    add(column, Buffer.from("a"), Buffer.from("x"));
    add(column, Buffer.from("a"), Buffer.from("y"));
    expect(column.isExact).toBe(false);
  });
});
