import { describe, expect, test } from "bun:test";
import { NativeFormatError } from "../../../src/clickhouse/native/format-error.ts";
import { assemble } from "./assemble.ts";
import { encodeBlock, fixed } from "./slow-codec.ts";

const LARGE_BYTES = 64 * 2 ** 20;

/** One column of one type in a block that claims `rows` rows. */
function block(rows: Buffer, type: string, ...data: (string | Buffer)[]): Buffer {
  const header = Buffer.concat([Buffer.from([1, type.length]), Buffer.from(type)]);
  const parts = data.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part));
  return Buffer.concat([
    Buffer.from([1]),
    rows,
    Buffer.from([1]),
    Buffer.from("c"),
    header.subarray(1),
    ...parts,
  ]);
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) + 128);
  return Buffer.from([...bytes, Number(rest)]);
}

const ONE = varint(1n);
const VERSION = fixed(1, 8);

const ABSURD: readonly [what: string, bytes: Buffer][] = [
  ["a string of 2^34 bytes", block(ONE, "String", varint(2n ** 34n))],
  ["a string of 2^40 bytes", block(ONE, "String", varint(2n ** 40n))],
  ["a string length that never ends", block(ONE, "String", "\x80".repeat(20))],
  ["2^28 + 1 rows", block(varint(2n ** 28n + 1n), "UInt8")],
  ["2^60 rows", block(varint(2n ** 60n), "UInt8")],
  ["2^28 rows of 8 bytes", block(varint(2n ** 28n), "UInt64")],
  ["a column of 2^17 columns", Buffer.concat([varint(2n ** 17n), ONE])],
  ["no columns", Buffer.from([0, 1])],
  ["a name of 2^20 bytes", Buffer.concat([ONE, ONE, varint(2n ** 20n)])],
  [
    "2^40 dictionary keys",
    block(ONE, "LowCardinality(String)", VERSION, fixed(0x600, 8), fixed(2n ** 40n, 8)),
  ],
  ["no dictionary version", block(ONE, "LowCardinality(String)", fixed(2, 8))],
  ["unknown dictionary flags", block(ONE, "LowCardinality(String)", VERSION, fixed(0x700, 8))],
  ["8-byte indexes", block(ONE, "LowCardinality(String)", VERSION, fixed(0x603, 8))],
  [
    "another number of indexes than rows",
    block(ONE, "LowCardinality(String)", VERSION, fixed(0x600, 8), fixed(1, 8), "\0", fixed(2, 8), "\0\0"),
  ],
  ["offsets that descend", block(varint(2n), "Array(UInt8)", fixed(2, 8), fixed(1, 8), "x")],
  ["an offset beyond 2^32", block(ONE, "Array(UInt8)", fixed(2n ** 32n + 1n, 8), "x")],
  ["an offset beyond 2^28", block(ONE, "Array(UInt8)", fixed(2n ** 28n + 1n, 8), "x")],
  ["a negative offset", block(ONE, "Array(UInt8)", fixed(-1, 8), "x")],
  ["2^28 arrays of arrays", block(ONE, "Array(Array(UInt8))", fixed(2n ** 28n, 8))],
  ["a type that is not supported", block(ONE, "Tuple(UInt8, String)", "x\0")],
  ["a type that does not exist", block(ONE, "Array(", "x\0")],
  ["a dictionary of numbers", block(ONE, "LowCardinality(UInt64)", VERSION)],
];

describe("bytes that are not a block", () => {
  for (const [what, bytes] of ABSURD) {
    test(`are refused at once: ${what}`, () => {
      const before = process.memoryUsage().arrayBuffers;
      expect(() => assemble([bytes])).toThrow(NativeFormatError);
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(LARGE_BYTES);
    });
  }

  test("are refused with the reason, not as an early end", () => {
    for (const [what, bytes] of ABSURD) {
      let message = "";
      try {
        assemble([bytes]);
      } catch (error) {
        message = (error as Error).message;
      }
      expect(message, what).not.toBe("");
      expect(message, what).not.toContain("ends in the middle");
    }
  });

  test("are refused after a whole block too", () => {
    const whole = encodeBlock([{ name: "c", type: "UInt8", values: ["x"] }]);
    expect(() => assemble([Buffer.concat([whole, Buffer.from("\r\n__exception__\r\n")])])).toThrow(
      NativeFormatError,
    );
  });
});

describe("a block whose columns are not those of the block before", () => {
  const first = encodeBlock([
    { name: "a", type: "UInt8", values: ["x"] },
    { name: "b", type: "String", values: ["text"] },
  ]);
  const others = {
    "one less": encodeBlock([{ name: "a", type: "UInt8", values: ["x"] }]),
    "one more": encodeBlock([
      { name: "a", type: "UInt8", values: ["x"] },
      { name: "b", type: "String", values: ["text"] },
      { name: "c", type: "String", values: ["text"] },
    ]),
    "another name": encodeBlock([
      { name: "a", type: "UInt8", values: ["x"] },
      { name: "B", type: "String", values: ["text"] },
    ]),
    "another type": encodeBlock([
      { name: "a", type: "Int8", values: ["x"] },
      { name: "b", type: "String", values: ["text"] },
    ]),
  };
  for (const [what, second] of Object.entries(others)) {
    test(`is refused: ${what}`, () => {
      expect(() => assemble([Buffer.concat([first, second])])).toThrow(NativeFormatError);
      expect(assemble([Buffer.concat([first, first])])).toHaveLength(2);
    });
  }
});
