import { NativeFormatError } from "./format-error.ts";
import type { ColumnLayout, Step } from "./layout.ts";

/** A column as the header of a block announces it. */
export interface ColumnHeader {
  readonly name: string;
  readonly type: string;
}

/** A step of a column, with its place among all the steps of the block. */
export interface IndexedStep {
  readonly step: Step;
  readonly index: number;
}

/** A column of every block of a response. */
export interface BlockColumn extends ColumnHeader {
  readonly layout: ColumnLayout;
  readonly steps: readonly IndexedStep[];
  /** Name and type as they stand in the block, length prefixes included. */
  readonly headerBytes: Buffer;
}

/** The columns of a response; the same for all of its blocks. */
export interface BlockSchema {
  readonly columns: readonly BlockColumn[];
  readonly stepCount: number;
}

/** Of so many strings the first one's position is noted, so that a block can be cut without walking all of them again. */
export const STRINGS_PER_MARK = 512;

/** Where the bytes of every step of a block are: positions in the block's buffer, by the step's index. */
export class StepPositions {
  readonly start: Int32Array;
  readonly end: Int32Array;
  /** How many values the step has. */
  readonly count: Int32Array;
  /** For `lowCardinality` steps that have values: the number of keys, where they stand, and the indexes. */
  readonly keyCount: Int32Array;
  readonly keysStart: Int32Array;
  readonly keysEnd: Int32Array;
  readonly indexStart: Int32Array;
  readonly indexWidth: Int32Array;
  /** For `strings` steps: the positions of the values 0, 512, 1024, …; by the step's index. */
  readonly marks: (Int32Array | undefined)[];
  readonly steps: number;

  constructor(steps: number) {
    this.steps = steps;
    this.start = new Int32Array(steps);
    this.end = new Int32Array(steps);
    this.count = new Int32Array(steps);
    this.keyCount = new Int32Array(steps);
    this.keysStart = new Int32Array(steps);
    this.keysEnd = new Int32Array(steps);
    this.indexStart = new Int32Array(steps);
    this.indexWidth = new Int32Array(steps);
    this.marks = new Array<undefined>(steps).fill(undefined);
  }

  /** These positions, with room for more steps; for a block that is still being parsed. */
  extended(moreSteps: number): StepPositions {
    const extended = new StepPositions(this.steps + moreSteps);
    extended.start.set(this.start);
    extended.end.set(this.end);
    extended.count.set(this.count);
    extended.keyCount.set(this.keyCount);
    extended.keysStart.set(this.keysStart);
    extended.keysEnd.set(this.keysEnd);
    extended.indexStart.set(this.indexStart);
    extended.indexWidth.set(this.indexWidth);
    this.marks.forEach((marks, step) => {
      extended.marks[step] = marks;
    });
    return extended;
  }
}

/** One Native block, found but not decoded: `at` says where the bytes of each step of each column are in `bytes`. */
export interface Block {
  readonly schema: BlockSchema;
  readonly bytes: Buffer;
  readonly rows: number;
  readonly at: StepPositions;
}

/**
 * The index of the first step of a kind in a column. Throws a NativeFormatError when there is none: the server responded with
 * another type than was requested.
 */
export function stepOf(schema: BlockSchema, columnName: string, kind: Step["kind"]): number {
  const column = schema.columns.find(({ name }) => name === columnName);
  const found = column?.steps.find(({ step }) => step.kind === kind);
  if (found === undefined) {
    throw new NativeFormatError(
      `Column ${columnName} ${column?.type ?? "is missing"}: its values have no ${kind}`,
    );
  }
  return found.index;
}
