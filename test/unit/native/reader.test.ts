import { describe, expect, test } from "bun:test";
import { BufferPool } from "../../../src/bytes/buffer-pool.ts";
import { BlockAssembler } from "../../../src/clickhouse/native/block-assembler.ts";
import { NativeFormatError } from "../../../src/clickhouse/native/format-error.ts";
import { chooseSeed, randomFrom } from "../../support/data/random.ts";
import { assemble, columnData } from "./assemble.ts";
import { sampleColumns } from "./samples.ts";
import { decodeBlocks, encodeBlock } from "./slow-codec.ts";

const random = randomFrom(chooseSeed());
/** Blocks without rows come from older servers. */
const RESPONSE = Buffer.concat([1, 0, 2].map((rows) => encodeBlock(sampleColumns(random, rows))));
const EXPECTED = decodeBlocks(RESPONSE);
const buffers = new BufferPool(2 ** 26);

/** What an assembler finds in chunks: the data of each column of each block, and how the response ends. */
function parse(chunks: readonly Uint8Array[]): { data: Buffer[][]; rows: number[]; isWhole: boolean } {
  const assembler = new BlockAssembler(buffers);
  const data: Buffer[][] = [];
  const rows: number[] = [];
  for (const chunk of chunks) {
    assembler.add(chunk);
    for (let block = assembler.next(); block !== null; block = assembler.next()) {
      const parsed = block;
      data.push(block.schema.columns.map((_, i) => Buffer.from(columnData(parsed, i))));
      rows.push(block.rows);
      buffers.release(block.bytes);
    }
  }
  try {
    assembler.end();
    return { data, rows, isWhole: true };
  } catch (error) {
    expect(error).toBeInstanceOf(NativeFormatError);
    return { data, rows, isWhole: false };
  } finally {
    assembler.close();
  }
}

const EXPECTED_DATA = EXPECTED.map(({ columns }) => columns.map(({ data }) => Buffer.from(data)));

/** Deep comparison through `expect` costs milliseconds each; thousands are made here. */
function sameData(actual: readonly Buffer[][], expected: readonly Buffer[][]): boolean {
  return (
    actual.length === expected.length &&
    actual.every((columns, i) =>
      columns.every((data, k) => expected[i]?.[k] !== undefined && data.equals(expected[i][k])),
    )
  );
}

describe("blocks", () => {
  test("are found with every column where an independent decoder finds it", () => {
    const { data, rows, isWhole } = parse([RESPONSE]);
    expect(data).toEqual(EXPECTED_DATA);
    expect(rows).toEqual([1, 0, 2]);
    expect(isWhole).toBe(true);
  });

  test("carry names and types of their columns", () => {
    const [block] = assemble([RESPONSE]);
    const headers = block?.schema.columns.map(({ name, type }) => ({ name, type }));
    expect(headers).toEqual(EXPECTED[0]?.columns.map(({ name, type }) => ({ name, type })) ?? []);
  });

  test("are the same however the response is split in two", () => {
    for (let at = 0; at <= RESPONSE.length; at++) {
      const { data, isWhole } = parse([RESPONSE.subarray(0, at), RESPONSE.subarray(at)]);
      if (!isWhole || !sameData(data, EXPECTED_DATA)) throw new Error(`Split at byte ${at}`);
    }
  });

  test("are the same when every byte arrives alone", () => {
    const { data, isWhole } = parse(Array.from(RESPONSE, (byte) => Buffer.from([byte])));
    expect(isWhole && sameData(data, EXPECTED_DATA)).toBe(true);
  });

  test("are never too many, wrong or complete when the response is cut", () => {
    const ends = EXPECTED.map(({ end }) => end);
    for (let at = 0; at < RESPONSE.length; at++) {
      const { data, isWhole } = parse([RESPONSE.subarray(0, at)]);
      const whole = ends.filter((end) => end <= at).length;
      const isAsExpected =
        isWhole === (at === 0 || ends.includes(at)) && sameData(data, EXPECTED_DATA.slice(0, whole));
      if (!isAsExpected) throw new Error(`Cut at byte ${at}: ${data.length} blocks, whole: ${isWhole}`);
    }
  });

  test("are absent from a response without rows", () => {
    expect(parse([])).toEqual({ data: [], rows: [], isWhole: true });
  });

  test("no longer need a chunk once it holds no further block", () => {
    for (const size of [1, 100, RESPONSE.length]) {
      const assembler = new BlockAssembler(buffers);
      let rows = 0;
      for (let at = 0; at < RESPONSE.length; at += size) {
        const chunk = new Uint8Array(RESPONSE.subarray(at, at + size));
        assembler.add(chunk);
        for (let block = assembler.next(); block !== null; block = assembler.next()) rows += block.rows;
        chunk.buffer.transfer(0);
      }
      assembler.end();
      assembler.close();
      expect(rows).toBe(3);
    }
  });

  test("stay unchanged when the buffers of other blocks are reused", () => {
    const pool = new BufferPool(2 ** 26);
    const [first, second] = assemble([RESPONSE], pool);
    const before = Buffer.from(first?.bytes ?? "");
    if (second !== undefined) pool.release(second.bytes);
    assemble([RESPONSE], pool);
    expect(first?.bytes.equals(before)).toBe(true);
  });

  test("that are larger than the current buffer are assembled too", () => {
    const big = encodeBlock([
      { name: "s", type: "String", values: ["x".repeat(3_000_000), "", "y".repeat(200)] },
      { name: "a", type: "Array(String)", values: [[], ["z".repeat(1_500_000), "a"], []] },
    ]);
    const chunks = Array.from({ length: Math.ceil(big.length / 65_536) }, (_, i) =>
      big.subarray(i * 65_536, (i + 1) * 65_536),
    );
    const expected = decodeBlocks(big).map(({ columns }) => columns.map(({ data }) => Buffer.from(data)));
    expect(sameData(parse(chunks).data, expected)).toBe(true);
  });
});
