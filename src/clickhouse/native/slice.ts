import type { Scratch } from "../../bytes/scratch.ts";
import { readVarint } from "../../bytes/varint.ts";
import { type Block, type BlockColumn, type IndexedStream, STRINGS_PER_MARK } from "./block.ts";
import { NativeFormatError } from "./format-error.ts";
import { LOW_CARDINALITY_FLAGS } from "./parser.ts";

/** The rows `from` to `to` (exclusive) of a block. */
export interface BlockSlice {
  readonly block: Block;
  readonly from: number;
  readonly to: number;
}

/** Values `from` to `to` (exclusive) of one level of a column. */
interface ValueRange {
  readonly from: number;
  readonly to: number;
}

/**
 * Appends to `parts` the data of one column, without its header, for the rows of all the slices as one block has them.
 * Bytes are referred to, not copied; only array offsets that no longer begin at 0 and LowCardinality columns whose keys
 * come from several blocks are written again, into `scratch`. The slices' blocks have one schema; slices of a block ascend.
 * Throws a NativeFormatError for an index that is none of its dictionary's keys, and for dictionaries to be joined whose
 * first key is not the default.
 */
export function appendColumn(
  parts: Buffer[],
  slices: readonly BlockSlice[],
  columnIndex: number,
  scratch: Scratch,
): void {
  const ranges: ValueRange[][] = slices.map((slice) => [{ from: slice.from, to: slice.to }]);
  const column = columnOf(slices[0] as BlockSlice, columnIndex);
  column.streams.forEach((_, streamIndex) => {
    appendStream(parts, slices, ranges, columnIndex, streamIndex, scratch);
  });
}

const LOW_CARDINALITY_VERSION = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);

function appendStream(
  parts: Buffer[],
  slices: readonly BlockSlice[],
  ranges: readonly ValueRange[][],
  columnIndex: number,
  streamIndex: number,
  scratch: Scratch,
): void {
  // The blocks' schemas are equal, but each response has its own, so every slice looks up its own column stream.
  const streamOf = (i: number): IndexedStream =>
    columnOf(slices[i] as BlockSlice, columnIndex).streams[streamIndex] as IndexedStream;
  const { stream } = streamOf(0);
  switch (stream.kind) {
    case "version":
      parts.push(LOW_CARDINALITY_VERSION);
      return;
    case "fixed":
      slices.forEach(({ block }, i) => {
        const { from, to } = rangeOf(ranges, i, stream.level);
        const start = block.at.start[streamOf(i).index] as number;
        push(parts, block.bytes, start + from * stream.width, start + to * stream.width);
      });
      return;
    case "strings":
      slices.forEach(({ block }, i) => {
        const { from, to } = rangeOf(ranges, i, stream.level);
        const { index } = streamOf(i);
        const start = seekString(block, index, from);
        push(parts, block.bytes, start, seekString(block, index, to));
      });
      return;
    case "offsets": {
      let elements = 0;
      slices.forEach(({ block }, i) => {
        const range = rangeOf(ranges, i, stream.level);
        const start = block.at.start[streamOf(i).index] as number;
        const first = range.from === 0 ? 0 : readOffset(block.bytes, start, range.from - 1);
        const end = range.to === 0 ? 0 : readOffset(block.bytes, start, range.to - 1);
        (ranges[i] as ValueRange[])[stream.child] = { from: first, to: end };
        if (elements === first) push(parts, block.bytes, start + range.from * 8, start + range.to * 8);
        else parts.push(shiftedOffsets(block.bytes, start, range, elements - first, scratch));
        elements += end - first;
      });
      return;
    }
    case "lowCardinality": {
      const dictionaries = slices.flatMap((slice, i) => {
        const range = rangeOf(ranges, i, stream.level);
        return range.from === range.to ? [] : [{ block: slice.block, index: streamOf(i).index, range }];
      });
      appendLowCardinality(parts, dictionaries, scratch);
      return;
    }
  }
}

interface DictionarySlice {
  readonly block: Block;
  readonly index: number;
  readonly range: ValueRange;
}

function appendLowCardinality(parts: Buffer[], slices: readonly DictionarySlice[], scratch: Scratch): void {
  const [first, ...others] = slices;
  // Without values not even the flags are written.
  if (first === undefined) return;
  const at = first.block.at;
  const values = slices.reduce((sum, { range }) => sum + range.to - range.from, 0);
  if (others.length === 0 && values === at.count[first.index]) {
    checkIndexes(first);
    push(parts, first.block.bytes, at.start[first.index] as number, at.end[first.index] as number);
    return;
  }
  // Key 0 stands for the default (or NULL) in every dictionary and is kept once.
  slices.forEach(checkFirstKey);
  const keys = slices.reduce((sum, { block, index }) => sum + (block.at.keyCount[index] as number) - 1, 1);
  const widthCode = keys <= 2 ** 8 ? 0 : keys <= 2 ** 16 ? 1 : 2;
  parts.push(uint64s(LOW_CARDINALITY_FLAGS | widthCode, keys));
  slices.forEach(({ block, index }, i) => {
    const start = i === 0 ? (block.at.keysStart[index] as number) : secondKey(block, index);
    push(parts, block.bytes, start, block.at.keysEnd[index] as number);
  });
  parts.push(uint64s(values));
  let base = 0;
  for (const slice of slices) {
    parts.push(shiftedIndexes(slice, 1 << widthCode, base, scratch));
    base += (slice.block.at.keyCount[slice.index] as number) - 1;
  }
}

/** Throws unless key 0 is the empty string: it would be taken for another dictionary's. */
function checkFirstKey({ block, index }: DictionarySlice): void {
  const { at, bytes } = block;
  if ((at.keyCount[index] as number) > 0 && bytes[at.keysStart[index] as number] === 0) return;
  throw new NativeFormatError("A dictionary whose first key is not the default");
}

/** Throws unless all indexes of a slice are numbers of keys. */
function checkIndexes({ block, index, range }: DictionarySlice): void {
  const { bytes, at } = block;
  const width = at.indexWidth[index] as number;
  const keyCount = at.keyCount[index] as number;
  if (keyCount >= 2 ** (8 * width)) return;
  let source = (at.indexStart[index] as number) + range.from * width;
  for (let i = range.from; i < range.to; i++, source += width) {
    const key = width === 1 ? (bytes[source] as number) : bytes.readUIntLE(source, width);
    if (key >= keyCount) throw noSuchKey(key, keyCount);
  }
}

/** Among the keys of other blocks it would stand for one of those. */
function noSuchKey(key: number, keyCount: number): NativeFormatError {
  return new NativeFormatError(`Key ${key} of ${keyCount} in a dictionary`);
}

/** The indexes of a slice in a dictionary where its keys, but for key 0, begin at `base + 1`. */
function shiftedIndexes(
  { block, index, range }: DictionarySlice,
  width: number,
  base: number,
  scratch: Scratch,
): Buffer {
  const shifted = scratch.take((range.to - range.from) * width);
  const sourceWidth = block.at.indexWidth[index] as number;
  const keyCount = block.at.keyCount[index] as number;
  let source = (block.at.indexStart[index] as number) + range.from * sourceWidth;
  if (sourceWidth === 1 && width === 1) {
    for (let target = 0; target < shifted.length; target++, source++) {
      const key = block.bytes[source] as number;
      if (key >= keyCount) throw noSuchKey(key, keyCount);
      shifted[target] = key === 0 ? 0 : key + base;
    }
    return shifted;
  }
  for (let target = 0; target < shifted.length; target += width, source += sourceWidth) {
    const key = block.bytes.readUIntLE(source, sourceWidth);
    if (key >= keyCount) throw noSuchKey(key, keyCount);
    shifted.writeUIntLE(key === 0 ? 0 : key + base, target, width);
  }
  return shifted;
}

function secondKey(block: Block, index: number): number {
  const cursor = { position: block.at.keysStart[index] as number };
  const length = readVarint(block.bytes, cursor);
  return cursor.position + length;
}

/** Where value `value` of a stream of strings begins; the end of the stream for the value after the last. */
function seekString({ at, bytes }: Block, index: number, value: number): number {
  if (value === at.count[index]) return at.end[index] as number;
  const mark = Math.floor(value / STRINGS_PER_MARK);
  const cursor = { position: (at.marks[index] as Int32Array)[mark] as number };
  for (let passed = mark * STRINGS_PER_MARK; passed < value; passed++) {
    const length = readVarint(bytes, cursor);
    cursor.position += length;
  }
  return cursor.position;
}

function shiftedOffsets(
  bytes: Buffer,
  start: number,
  { from, to }: ValueRange,
  shift: number,
  scratch: Scratch,
): Buffer {
  const shifted = scratch.take((to - from) * 8);
  for (let i = from, target = 0; i < to; i++, target += 8) {
    shifted.writeUInt32LE(readOffset(bytes, start, i) + shift, target);
    shifted.writeUInt32LE(0, target + 4);
  }
  return shifted;
}

/** Offsets fit 32 bits: the parser has checked it. */
function readOffset(bytes: Buffer, start: number, i: number): number {
  return bytes.readUInt32LE(start + i * 8);
}

function uint64s(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => {
    bytes.writeUInt32LE(value, i * 8);
  });
  return bytes;
}

function columnOf({ block }: BlockSlice, columnIndex: number): BlockColumn {
  return block.schema.columns[columnIndex] as BlockColumn;
}

function rangeOf(ranges: readonly ValueRange[][], slice: number, level: number): ValueRange {
  return (ranges[slice] as ValueRange[])[level] as ValueRange;
}

function push(parts: Buffer[], bytes: Buffer, start: number, end: number): void {
  if (end > start) parts.push(bytes.subarray(start, end));
}
