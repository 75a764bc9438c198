import { varintBytes, writeVarint } from "../../bytes/varint.ts";
import {
  type Block,
  type BlockColumn,
  type BlockSchema,
  type IndexedStream,
  STRINGS_PER_MARK,
  StreamPositions,
} from "./block.ts";
import { NativeFormatError } from "./format-error.ts";
import { type ColumnStream, layoutOf } from "./layout.ts";

/** No block may be larger: positions are 32-bit integers, and servers send none near it when small blocks are requested. */
export const MAX_BLOCK_BYTES = 2 ** 30;
/** No block may have more columns, rows or elements than that. */
const MAX_COLUMNS = 10_000;
const MAX_VALUES = 2 ** 28;

/** The bytes that have arrived of the block under parsing, and how far it is parsed. */
export interface ParseCursor {
  bytes: Buffer;
  /** Where the bytes that have arrived end. */
  end: number;
  position: number;
}

/**
 * Parses one block from `cursor.position` on, without decoding values.
 * Yields, whenever bytes are missing, the position up to which bytes must have arrived before it goes on; the caller may
 * put another, larger buffer with the same beginning in the cursor. Returns the block; throws NativeFormatError for bytes
 * that are no block, or whose columns are not those of `schema` (null: any columns).
 */
export function* parseBlock(cursor: ParseCursor, schema: BlockSchema | null): Generator<number, Block, void> {
  const columnCount = yield* readCount(cursor, MAX_COLUMNS, "columns");
  if (columnCount === 0) throw new NativeFormatError("A block without columns");
  if (schema !== null && columnCount !== schema.columns.length) {
    throw new NativeFormatError(
      `A block with ${columnCount} columns after blocks with ${schema.columns.length}`,
    );
  }
  const rows = yield* readCount(cursor, MAX_VALUES, "rows");
  if (schema !== null) {
    const at = new StreamPositions(schema.streamCount);
    for (const column of schema.columns) {
      yield* expectHeader(cursor, column);
      yield* findColumn(cursor, column, rows, at);
    }
    return { schema, bytes: cursor.bytes, rows, at };
  }
  return yield* parseFirstBlock(cursor, columnCount, rows);
}

/** The first block carries the schema, column by column, so its table of positions grows as it is parsed. */
function* parseFirstBlock(
  cursor: ParseCursor,
  columnCount: number,
  rows: number,
): Generator<number, Block, void> {
  const columns: BlockColumn[] = [];
  let at = new StreamPositions(0);
  for (let i = 0; i < columnCount; i++) {
    const column = yield* readHeader(cursor, at.streams);
    columns.push(column);
    at = at.extended(column.streams.length);
    yield* findColumn(cursor, column, rows, at);
  }
  return { schema: { columns, streamCount: at.streams }, bytes: cursor.bytes, rows, at };
}

function* readHeader(cursor: ParseCursor, firstStream: number): Generator<number, BlockColumn, void> {
  const start = cursor.position;
  const name = yield* readText(cursor);
  const type = yield* readText(cursor);
  const headerBytes = Buffer.from(cursor.bytes.subarray(start, cursor.position));
  let layout: ReturnType<typeof layoutOf>;
  try {
    layout = layoutOf(type);
  } catch (error) {
    throw new NativeFormatError(`Column ${JSON.stringify(name)}: ${(error as Error).message}`);
  }
  const streams: IndexedStream[] = layout.streams.map((stream, i) => ({ stream, index: firstStream + i }));
  return { name, type, layout, streams, headerBytes };
}

function* expectHeader(cursor: ParseCursor, column: BlockColumn): Generator<number, void, void> {
  const expected = column.headerBytes;
  const end = cursor.position + expected.length;
  yield* need(cursor, end);
  if (expected.compare(cursor.bytes, cursor.position, end) !== 0) {
    throw new NativeFormatError(
      `Expected the header of column ${JSON.stringify(column.name)} at byte ${cursor.position}`,
    );
  }
  cursor.position = end;
}

function* findColumn(
  cursor: ParseCursor,
  column: BlockColumn,
  rows: number,
  at: StreamPositions,
): Generator<number, void, void> {
  const counts = new Array<number>(column.layout.levels).fill(0);
  counts[0] = rows;
  for (const { stream, index } of column.streams) {
    at.start[index] = cursor.position;
    yield* findStream(cursor, stream, index, counts, at);
    at.end[index] = cursor.position;
  }
}

function* findStream(
  cursor: ParseCursor,
  stream: ColumnStream,
  index: number,
  counts: number[],
  at: StreamPositions,
): Generator<number, void, void> {
  if (stream.kind === "version") {
    const version = yield* readUInt64(cursor);
    if (version !== 1) throw new NativeFormatError(`LowCardinality version ${version}, expected 1`);
    return;
  }
  const count = counts[stream.level] as number;
  at.count[index] = count;
  switch (stream.kind) {
    case "fixed":
      yield* skip(cursor, count * stream.width);
      return;
    case "strings":
      at.marks[index] = yield* markStrings(cursor, count);
      return;
    case "offsets": {
      const start = cursor.position;
      yield* skip(cursor, count * 8);
      counts[stream.child] = lastOffset(cursor.bytes, start, count);
      return;
    }
    case "lowCardinality":
      // Without values not even the flags are written.
      if (count > 0) yield* findLowCardinality(cursor, index, count, at);
      return;
  }
}

/** The flag bits say that the keys come with the block and how wide an index is (`SerializationLowCardinality.cpp`). */
export const LOW_CARDINALITY_FLAGS = 0x600;

function* findLowCardinality(
  cursor: ParseCursor,
  index: number,
  count: number,
  at: StreamPositions,
): Generator<number, void, void> {
  const flags = yield* readUInt64(cursor);
  const widthCode = flags - LOW_CARDINALITY_FLAGS;
  if (widthCode < 0 || widthCode > 2) {
    throw new NativeFormatError(`LowCardinality flags 0x${flags.toString(16)} are not understood`);
  }
  const keyCount = yield* readUInt64(cursor);
  if (keyCount > MAX_VALUES) throw new NativeFormatError(`LowCardinality with ${keyCount} keys`);
  at.keyCount[index] = keyCount;
  at.keysStart[index] = cursor.position;
  yield* skipStrings(cursor, keyCount);
  at.keysEnd[index] = cursor.position;
  const indexes = yield* readUInt64(cursor);
  if (indexes !== count)
    throw new NativeFormatError(`LowCardinality with ${indexes} values, expected ${count}`);
  const width = 1 << widthCode;
  at.indexWidth[index] = width;
  at.indexStart[index] = cursor.position;
  yield* skip(cursor, count * width);
}

function* need(cursor: ParseCursor, end: number): Generator<number, void, void> {
  if (end > MAX_BLOCK_BYTES) {
    throw new NativeFormatError(`A block of more than ${MAX_BLOCK_BYTES / 2 ** 20} MiB`);
  }
  while (cursor.end < end) yield end;
}

function* skip(cursor: ParseCursor, bytes: number): Generator<number, void, void> {
  const end = cursor.position + bytes;
  yield* need(cursor, end);
  cursor.position = end;
}

/** Passes strings and returns where those stand whose number is a multiple of `STRINGS_PER_MARK`. */
function* markStrings(cursor: ParseCursor, count: number): Generator<number, Int32Array, void> {
  const marks = new Int32Array(Math.ceil(count / STRINGS_PER_MARK));
  for (let i = 0, left = count; left > 0; i++, left -= STRINGS_PER_MARK) {
    marks[i] = cursor.position;
    yield* skipStrings(cursor, Math.min(left, STRINGS_PER_MARK));
  }
  return marks;
}

function* skipStrings(cursor: ParseCursor, count: number): Generator<number, void, void> {
  let left = count - passStrings(cursor, count);
  while (left > 0) {
    yield* need(cursor, missingUpTo(cursor));
    left -= passStrings(cursor, left);
  }
}

/** Moves the cursor past as many of `count` strings as have arrived whole, and returns how many that are. */
function passStrings(cursor: ParseCursor, count: number): number {
  const bytes = cursor.bytes;
  const end = cursor.end;
  let position = cursor.position;
  for (let passed = 0; passed < count; passed++) {
    let next = position;
    if (next >= end) return stopAt(cursor, position, passed);
    let length = bytes[next++] as number;
    if (length >= 128) {
      length &= 127;
      let byte: number;
      let scale = 128;
      do {
        if (next >= end) return stopAt(cursor, position, passed);
        if (scale > 2 ** 28)
          throw new NativeFormatError(`A string length of more than 5 bytes at byte ${position}`);
        byte = bytes[next++] as number;
        length += (byte & 127) * scale;
        scale *= 128;
      } while (byte >= 128);
    }
    next += length;
    if (next > end) return stopAt(cursor, position, passed);
    position = next;
  }
  return stopAt(cursor, position, count);
}

function stopAt(cursor: ParseCursor, position: number, passed: number): number {
  cursor.position = position;
  return passed;
}

/** The position up to which bytes must arrive for the string at the cursor, as far as its length can be read already. */
function missingUpTo(cursor: ParseCursor): number {
  let length = 0;
  let scale = 1;
  for (let at = cursor.position; at < cursor.end; at++, scale *= 128) {
    const byte = cursor.bytes[at] as number;
    length += (byte & 127) * scale;
    if (byte < 128) return at + 1 + length;
  }
  return cursor.end + 1;
}

/** The number of elements that `count` cumulative offsets make up; throws when they do not ascend. */
function lastOffset(bytes: Buffer, start: number, count: number): number {
  let previous = 0;
  for (let i = 0, at = start; i < count; i++, at += 8) {
    const offset = bytes.readUInt32LE(at);
    if (offset < previous || bytes.readUInt32LE(at + 4) !== 0 || offset > MAX_VALUES) {
      throw new NativeFormatError(`Array offset ${bytes.readBigUInt64LE(at)} after ${previous}`);
    }
    previous = offset;
  }
  return previous;
}

function* readUInt64(cursor: ParseCursor): Generator<number, number, void> {
  const at = cursor.position;
  yield* skip(cursor, 8);
  return cursor.bytes.readUInt32LE(at) + cursor.bytes.readUInt32LE(at + 4) * 2 ** 32;
}

function* readCount(cursor: ParseCursor, max: number, what: string): Generator<number, number, void> {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const at = cursor.position;
    yield* skip(cursor, 1);
    const byte = cursor.bytes[at] as number;
    value += (byte & 127) * scale;
    if (value > max || scale > 2 ** 28) throw new NativeFormatError(`A block of more than ${max} ${what}`);
    if (byte < 128) return value;
  }
}

function* readText(cursor: ParseCursor): Generator<number, string, void> {
  const length = yield* readCount(cursor, 65_536, "bytes of column name or type");
  const start = cursor.position;
  yield* skip(cursor, length);
  return cursor.bytes.toString("utf8", start, cursor.position);
}

/** Name and type of a column as a block has them: two strings with their lengths. */
export function encodeColumnHeader(name: string, type: string): Buffer {
  const parts = [name, type].map((text) => {
    const bytes = Buffer.from(text);
    const encoded = Buffer.allocUnsafe(varintBytes(bytes.length) + bytes.length);
    bytes.copy(encoded, writeVarint(encoded, 0, bytes.length));
    return encoded;
  });
  return Buffer.concat(parts);
}
