import { describe, expect, test } from "bun:test";
import { NativeFormatError } from "../../../src/clickhouse/native/format-error.ts";
import type { BlockSlice } from "../../../src/clickhouse/native/slice.ts";
import { chooseSeed, type Random, randomFrom } from "../../support/data/random.ts";
import { assemble, assembleOne, blockOf } from "./assemble.ts";
import { sampleColumns } from "./samples.ts";
import { decodeBlocks, encodeBlock, type Value } from "./slow-codec.ts";

/** Slices of the blocks that cover all of their rows in order, cut at random; some are left out. */
function randomSlices(random: Random, blocks: readonly BlockSlice["block"][]): BlockSlice[] {
  return blocks.flatMap((block) => {
    const slices: BlockSlice[] = [];
    for (let from = 0; from < block.rows; ) {
      const to = random.chance(0.2) ? block.rows : from + 1 + random.below(block.rows - from);
      if (random.chance(0.8)) slices.push({ block, from, to });
      from = to;
    }
    return slices;
  });
}

describe("slices of blocks as one block", () => {
  test("hold the values of their rows, for every type", () => {
    const random = randomFrom(chooseSeed());
    for (let round = 0; round < 60; round++) {
      const response = Buffer.concat(
        Array.from({ length: 1 + random.below(4) }, () =>
          encodeBlock(sampleColumns(random, 1 + random.below(20))),
        ),
      );
      const blocks = assemble([response]);
      const decoded = decodeBlocks(response);
      const slices = randomSlices(random, blocks);
      if (slices.length === 0) continue;
      const [merged] = decodeBlocks(blockOf(slices));
      merged?.columns.forEach((column, c) => {
        const expected = slices.flatMap(({ block, from, to }) =>
          decoded[blocks.indexOf(block)]?.columns[c]?.values.slice(from, to),
        );
        expect(column.values, `round ${round}, ${column.type}`).toEqual(expected as Value[]);
      });
    }
  });

  test("hold the values of their rows where blocks have many rows", () => {
    const random = randomFrom(chooseSeed());
    for (const rows of [511, 512, 513, 1024, 1025, 1500]) {
      const strings = (count: number): string[] =>
        Array.from({ length: count }, () =>
          "x".repeat(random.chance(0.05) ? random.below(300) : random.below(5)),
        );
      const columns = [
        { name: "s", type: "String", values: strings(rows) },
        { name: "a", type: "Array(String)", values: strings(rows).map(() => strings(random.below(4))) },
      ];
      const block = assembleOne(encodeBlock(columns));
      for (const at of [0, 1, 510, 511, 512, 513, rows - 1, random.below(rows)]) {
        const from = Math.min(at, rows - 1);
        for (const to of [from + 1, Math.min(rows, from + 512), rows]) {
          const [cut] = decodeBlocks(blockOf([{ block, from, to }]));
          columns.forEach(({ values }, c) => {
            expect(cut?.columns[c]?.values).toEqual(values.slice(from, to));
          });
        }
      }
    }
  });

  test("are the same bytes when they are a whole block", () => {
    const response = encodeBlock(sampleColumns(randomFrom(1), 50));
    const block = assembleOne(response);
    expect(blockOf([{ block, from: 0, to: block.rows }]).equals(response)).toBe(true);
  });

  for (const [keysPerBlock, blocks, width] of [
    [200, 1, 1],
    [200, 2, 2],
    [30_000, 2, 2],
    [30_000, 3, 4],
    [70_000, 2, 4],
  ] as const) {
    test(`have ${width}-byte indexes for ${blocks} x ${keysPerBlock} dictionary keys`, () => {
      for (const type of ["LowCardinality(String)", "LowCardinality(Nullable(String))"]) {
        const values = Array.from({ length: blocks }, (_, b) =>
          Array.from({ length: keysPerBlock }, (_, i) => (i % 50 === 0 ? null : `block ${b} key ${i}`)),
        ).map((all) => (type.includes("Nullable") ? all : all.map((value) => value ?? "")));
        const parsed = assemble(values.map((all) => encodeBlock([{ name: "c", type, values: all }])));
        const slices = parsed.map((block) => ({ block, from: 1, to: block.rows }));
        const bytes = blockOf(slices);
        expect(decodeBlocks(bytes)[0]?.columns[0]?.values).toEqual(values.flatMap((all) => all.slice(1)));
        const merged = assembleOne(bytes);
        expect(merged.at.indexWidth.at(-1)).toBe(width);
      }
    });
  }

  test("may go back to earlier rows", () => {
    const values = Array.from({ length: 30 }, (_, i) => "x".repeat(i * 10));
    const block = assembleOne(encodeBlock([{ name: "c", type: "String", values }]));
    for (const [from, to] of [
      [20, 25],
      [3, 7],
      [0, 1],
      [29, 30],
    ] as const) {
      expect(decodeBlocks(blockOf([{ block, from, to }]))[0]?.columns[0]?.values).toEqual(
        values.slice(from, to),
      );
    }
  });

  test("refuse an index beyond the dictionary's keys, also where they are a whole block", () => {
    for (const keys of [1, 300]) {
      const values = Array.from({ length: keys }, (_, i) => `key ${i}`);
      const column = { name: "c", type: "LowCardinality(String)", values };
      const broken = encodeBlock([column]);
      broken[broken.length - 1] = 0xee;
      const block = assembleOne(broken);
      expect(() => blockOf([{ block, from: 0, to: block.rows }])).toThrow(NativeFormatError);
    }
  });

  test("refuse to join dictionaries whose first key is not the default", () => {
    const column = { name: "c", type: "LowCardinality(String)", values: ["x"] };
    const sound = encodeBlock([column]);
    // The key "x" comes first: as key 0 it would be lost.
    const dictionary = Buffer.concat([Buffer.from([0, 1]), Buffer.from("x")]);
    const swapped = Buffer.concat([Buffer.from([1]), Buffer.from("x"), Buffer.from([0])]);
    const at = sound.indexOf(dictionary);
    const broken = Buffer.concat([sound.subarray(0, at), swapped, sound.subarray(at + dictionary.length)]);
    const blocks = assemble([Buffer.concat([sound, broken])]);
    expect(() => blockOf(blocks.map((block) => ({ block, from: 0, to: 1 })))).toThrow(NativeFormatError);
  });

  test("refuse an index beyond the dictionary's keys, even where another block has a key for it", () => {
    const column = { name: "c", type: "LowCardinality(String)", values: ["a", "b"] };
    const broken = encodeBlock([column]);
    broken[broken.length - 1] = 9;
    const [first, second] = assemble([Buffer.concat([broken, encodeBlock([column])])]);
    if (first === undefined || second === undefined) throw new Error("Two blocks were expected");
    expect(() =>
      blockOf([
        { block: first, from: 0, to: 2 },
        { block: second, from: 0, to: 2 },
      ]),
    ).toThrow(NativeFormatError);
  });
});
