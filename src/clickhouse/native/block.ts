import { NativeFormatError } from "./format-error.ts";
import type { ColumnLayout, ColumnStream } from "./layout.ts";

/** A column as the header of a block announces it. */
export interface ColumnHeader {
  readonly name: string;
  readonly type: string;
}

/** A stream of a column, with its place among all the streams of the block. */
export interface IndexedStream {
  readonly stream: ColumnStream;
  readonly index: number;
}

/** A column of every block of a response. */
export interface BlockColumn extends ColumnHeader {
  readonly layout: ColumnLayout;
  readonly streams: readonly IndexedStream[];
  /** Name and type as they stand in the block, length prefixes included. */
  readonly headerBytes: Buffer;
}

/** The columns of a response; the same for all of its blocks. */
export interface BlockSchema {
  readonly columns: readonly BlockColumn[];
  readonly streamCount: number;
}

/** Of so many strings the first one's position is noted, so that a block can be cut without walking all of them again. */
export const STRINGS_PER_MARK = 512;

/** Where the bytes of every stream of a block are: positions in the block's buffer, by the stream's index. */
export class StreamPositions {
  readonly start: Int32Array;
  readonly end: Int32Array;
  /** How many values the stream has. */
  readonly count: Int32Array;
  /** For `lowCardinality` streams that have values: the number of keys, where they stand, and the indexes. */
  readonly keyCount: Int32Array;
  readonly keysStart: Int32Array;
  readonly keysEnd: Int32Array;
  readonly indexStart: Int32Array;
  readonly indexWidth: Int32Array;
  /** For `strings` streams: the positions of the values 0, 512, 1024, …; by the stream's index. */
  readonly marks: (Int32Array | undefined)[];
  readonly streams: number;

  constructor(streams: number) {
    this.streams = streams;
    this.start = new Int32Array(streams);
    this.end = new Int32Array(streams);
    this.count = new Int32Array(streams);
    this.keyCount = new Int32Array(streams);
    this.keysStart = new Int32Array(streams);
    this.keysEnd = new Int32Array(streams);
    this.indexStart = new Int32Array(streams);
    this.indexWidth = new Int32Array(streams);
    this.marks = new Array<undefined>(streams).fill(undefined);
  }

  /** These positions, with room for more streams; for a block that is still being parsed. */
  extended(moreStreams: number): StreamPositions {
    const extended = new StreamPositions(this.streams + moreStreams);
    extended.start.set(this.start);
    extended.end.set(this.end);
    extended.count.set(this.count);
    extended.keyCount.set(this.keyCount);
    extended.keysStart.set(this.keysStart);
    extended.keysEnd.set(this.keysEnd);
    extended.indexStart.set(this.indexStart);
    extended.indexWidth.set(this.indexWidth);
    this.marks.forEach((marks, stream) => {
      extended.marks[stream] = marks;
    });
    return extended;
  }
}

/** One Native block, found but not decoded: `at` says where the bytes of each stream of each column are in `bytes`. */
export interface Block {
  readonly schema: BlockSchema;
  readonly bytes: Buffer;
  readonly rows: number;
  readonly at: StreamPositions;
}

/**
 * The index of the first stream of a kind in a column. Throws a NativeFormatError when there is none: the server responded with
 * another type than was requested.
 */
export function streamOf(schema: BlockSchema, columnName: string, kind: ColumnStream["kind"]): number {
  const column = schema.columns.find(({ name }) => name === columnName);
  const found = column?.streams.find(({ stream }) => stream.kind === kind);
  if (found === undefined) {
    throw new NativeFormatError(
      `Column ${columnName} ${column?.type ?? "is missing"}: its values have no ${kind}`,
    );
  }
  return found.index;
}
