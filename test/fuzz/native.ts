import type { Block } from "../../src/clickhouse/native/block.ts";
import { NativeFormatError } from "../../src/clickhouse/native/format-error.ts";
import type { BlockSlice } from "../../src/clickhouse/native/slice.ts";
import type { Random } from "../support/data/random.ts";
import { blockOf } from "../unit/native/assemble.ts";
import { type DecodedBlock, decodeBlocks } from "../unit/native/slow-codec.ts";
import { assemble, release } from "./bounded-assembler.ts";
import { mutated, pieces, randomBytes } from "./mutate.ts";
import { type Response, sampleResponse } from "./native-blocks.ts";
import { demand, type FuzzTarget } from "./target.ts";

/** Stands for the value of a key that a dictionary lacks: decoded bytes have no such character. */
const UNKNOWN_KEY = "\u{f0000}";

/** Gives the responses of `responseAt`, changed or not, to the reader of blocks. */
export function nativeTarget(responseAt: (number: number) => Response): FuzzTarget {
  const types = new Set<string>();
  const noted = new Set<Response>();
  const pick = (random: Random): Response => {
    const response = responseAt(random.below(2 ** 16));
    if (!noted.has(response))
      for (const { columns } of response.blocks) for (const { type } of columns) types.add(type);
    noted.add(response);
    return response;
  };
  return {
    name: "native",
    share: 350_000,
    run: (random) => {
      const response = pick(random);
      if (random.chance(0.15)) return checkWhole(random, response);
      if (random.chance(0.1)) return checkCut(random, response);
      const bytes = random.chance(0.02)
        ? randomBytes(random, random.below(200))
        : mutated(
            random,
            random.chance(0.1) ? Buffer.concat([response.bytes, pick(random).bytes]) : response.bytes,
          );
      checkChanged(random, bytes, types);
    },
  };
}

function checkWhole(random: Random, { bytes, blocks: expected }: Response): void {
  const { blocks, isWhole } = assemble(pieces(random, bytes, 8));
  demand(isWhole && blocks.length === expected.length, () => "A whole response was refused");
  checkSlices(random, blocks, expected, false);
  release(blocks);
}

function checkCut(random: Random, { bytes, blocks: expected }: Response): void {
  const end = random.below(bytes.length);
  const { blocks, isWhole } = assemble(pieces(random, bytes.subarray(0, end), 4));
  const whole = expected.filter((block) => block.end <= end);
  demand(blocks.length === whole.length, () => `${blocks.length} blocks of a response cut at byte ${end}`);
  const isAtEnd = end === 0 || whole.at(-1)?.end === end;
  demand(
    isWhole === isAtEnd,
    () => `A response cut at byte ${end} is taken for ${isWhole ? "" : "not "}whole`,
  );
  checkSlices(random, blocks, whole, false);
  release(blocks);
}

/** Bytes that are not a response, or a changed one: our reader must find what an independent reader finds. */
function checkChanged(random: Random, bytes: Buffer, types: ReadonlySet<string>): void {
  const { blocks } = assemble(pieces(random, bytes, 4));
  const first = blocks[0];
  if (first !== undefined) {
    const isDecodable = first.schema.columns.every(({ type }) => types.has(type));
    if (isDecodable) checkSlices(random, blocks, decodeBlocks(bytes, blocks.length), true);
    else for (const block of blocks) checkRepeatable(block);
  }
  release(blocks);
}

/**
 * Rows of the blocks, cut at random, make up one block with their values. Keys that a dictionary lacks are refused; so may
 * be, in bytes that were changed, dictionaries that do not begin as all do.
 */
function checkSlices(
  random: Random,
  blocks: readonly Block[],
  expected: readonly DecodedBlock[],
  isChanged: boolean,
): void {
  const slices = blocks.flatMap((block) => randomSlices(random, block));
  if (slices.length === 0) return;
  const columns = (expected[0]?.columns ?? []).map(({ type }, c) => {
    const values = slices.flatMap(
      ({ block, from, to }) => expected[blocks.indexOf(block)]?.columns[c]?.values.slice(from, to) ?? [],
    );
    return { type, text: JSON.stringify(values, (_, value) => (value === undefined ? UNKNOWN_KEY : value)) };
  });
  const isWellFormed = columns.every(({ text }) => !text.includes(UNKNOWN_KEY));
  const emitted = emit(slices);
  if (emitted === null) {
    const isRefusable = isChanged && columns.some(({ type }) => type.includes("LowCardinality"));
    demand(isRefusable, () => "Well-formed blocks were refused when they were cut");
    return;
  }
  demand(isWellFormed, () => "Unknown keys were passed on");
  const [merged, ...others] = decodeBlocks(emitted);
  demand(merged !== undefined && others.length === 0, () => "Slices do not make up one block");
  columns.forEach(({ type, text }, c) => {
    const sent = JSON.stringify(merged.columns[c]?.values);
    demand(sent === text, () => `${type}: ${sent} instead of ${text}`);
  });
}

function randomSlices(random: Random, block: Block): BlockSlice[] {
  const slices: BlockSlice[] = [];
  for (let from = 0; from < block.rows; ) {
    const to = random.chance(0.3) ? block.rows : from + 1 + random.below(block.rows - from);
    if (random.chance(0.8)) slices.push({ block, from, to });
    from = to;
  }
  return slices;
}

function emit(slices: readonly BlockSlice[]): Buffer | null {
  try {
    return blockOf(slices);
  } catch (error) {
    if (error instanceof NativeFormatError) return null;
    throw error;
  }
}

/** A block of types that only our reader knows: what is written from it reads back unchanged. */
function checkRepeatable(block: Block): void {
  if (block.rows === 0) return;
  const once = emit([{ block, from: 0, to: block.rows }]);
  if (once === null) return;
  const { blocks, isWhole } = assemble([once]);
  const [again] = blocks;
  demand(isWhole && blocks.length === 1 && again?.rows === block.rows, () => "What was emitted is no block");
  const twice = emit([{ block: again, from: 0, to: again.rows }]);
  demand(twice?.equals(once) === true, () => "What was emitted changes when it is read");
  release(blocks);
}

/** The reader of blocks, on generated responses. */
export const NATIVE = nativeTarget(sampleResponse);
