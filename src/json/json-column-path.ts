import { ByteWriter } from "../bytes/byte-writer.ts";
import { ArrayValues } from "./json-column-array.ts";

/** The types of a path's values. Those of arrays follow those of their elements at a fixed distance. */
export const VALUE = { string: 0, int64: 1, float64: 2, bool: 3 } as const;
export type ScalarType = (typeof VALUE)[keyof typeof VALUE];
const SCALAR_NAMES = ["String", "Int64", "Float64", "Bool"] as const;
const ARRAY = SCALAR_NAMES.length;
const TYPE_NAMES: readonly string[] = [
  ...SCALAR_NAMES,
  ...SCALAR_NAMES.map((name) => `Array(Nullable(${name}))`),
];

/** The serialization version of a Dynamic column that says: the list of types, the index of each row's type, the values. */
const FLATTENED = 3;
/** Filling up to this many bytes is faster one by one than by a call into the runtime. */
const SHORT_FILL_BYTES = 32;

/**
 * The values of one path: a Dynamic column in the flattened serialization. Types are listed in the order of their first
 * values, and the index of a row without a value is the number of types.
 */
export class JsonColumnPath {
  readonly path: Buffer;
  /** The stamp of the last row that names this path, be it for a value, an object or a null. */
  namedIn = 0;
  /** The stamp of the last row that has an object here. */
  objectIn = 0;
  #typeIndexes = Buffer.allocUnsafeSlow(1024);
  #filledRows = 0;
  #types: number[] = [];
  /** The index of each type; -1 without one. */
  readonly #indexOf = new Int8Array(TYPE_NAMES.length).fill(-1);
  readonly #scalars: (ByteWriter | undefined)[] = [];
  /** The type of the last scalar, its index and its values: most values are of the type of those before. */
  #lastType = -1;
  #lastIndex = -1;
  #lastValues: ByteWriter | null = null;
  #arrays: ArrayValues | null = null;
  #arrayOf: ScalarType | -1 = -1;

  /** Where the path enters itself with its first value. */
  readonly #inUse: JsonColumnPath[];

  constructor(path: Buffer, inUse: JsonColumnPath[]) {
    this.path = path;
    this.#inUse = inUse;
  }

  reset(): void {
    this.#filledRows = 0;
    this.#types = [];
    this.#indexOf.fill(-1);
    for (const values of this.#scalars) values?.reset();
    this.#lastType = -1;
    this.#arrays?.reset();
    this.#arrayOf = -1;
  }

  /** Gives row `row` a value of this type, which the caller appends to the result. */
  scalarAt(row: number, type: ScalarType): ByteWriter {
    if (type !== this.#lastType) this.#turnTo(type);
    this.#setIndex(row, this.#lastIndex);
    return this.#lastValues as ByteWriter;
  }

  /** What the elements of all arrays here are; -1 while there are none. */
  get arrayOf(): ScalarType | -1 {
    return this.#arrayOf;
  }

  /** Gives row `row` an array, whose elements the caller appends to the result. They are of the type of those before. */
  arrayAt(row: number, elementType: ScalarType): ArrayValues {
    this.#arrayOf = elementType;
    this.#setIndex(row, this.#typeIndex(ARRAY + elementType));
    this.#arrays ??= new ArrayValues();
    return this.#arrays;
  }

  /** Appends what precedes the data: the version and the list of types. */
  appendPrefix(out: ByteWriter): void {
    out.uint64(FLATTENED);
    out.varint(this.#types.length);
    for (const type of this.#types) {
      const name = Buffer.from(TYPE_NAMES[type] as string);
      out.varint(name.length);
      out.copy(name, 0, name.length);
    }
  }

  /** Appends the data of `rows` rows. */
  appendData(parts: Buffer[], rows: number): void {
    this.#fillTo(rows);
    parts.push(this.#typeIndexes.subarray(0, rows));
    for (const type of this.#types) {
      if (type >= ARRAY) this.#arrays?.appendTo(parts);
      else parts.push((this.#scalars[type] as ByteWriter).written());
    }
  }

  #turnTo(type: ScalarType): void {
    const values = this.#scalars[type] ?? new ByteWriter(4096);
    this.#scalars[type] = values;
    this.#lastType = type;
    this.#lastIndex = this.#typeIndex(type);
    this.#lastValues = values;
  }

  #typeIndex(type: number): number {
    const index = this.#indexOf[type] as number;
    return index < 0 ? this.#addType(type) : index;
  }

  #setIndex(row: number, index: number): void {
    if (row > this.#filledRows) this.#fillTo(row);
    if (row >= this.#typeIndexes.length) this.#grow(row + 1);
    this.#typeIndexes[row] = index;
    this.#filledRows = row + 1;
  }

  #addType(type: number): number {
    const index = this.#types.length;
    if (index === 0) this.#inUse.push(this);
    this.#types.push(type);
    this.#indexOf[type] = index;
    // What stood for no value so far is the index of the new type.
    for (let row = 0; row < this.#filledRows; row++) {
      if (this.#typeIndexes[row] === index) this.#typeIndexes[row] = index + 1;
    }
    return index;
  }

  /** Gives the rows up to `end` that have no value yet the index that says so. */
  #fillTo(end: number): void {
    if (end > this.#typeIndexes.length) this.#grow(end);
    const none = this.#types.length;
    const indexes = this.#typeIndexes;
    const start = this.#filledRows;
    if (end - start > SHORT_FILL_BYTES) indexes.fill(none, start, end);
    else for (let row = start; row < end; row++) indexes[row] = none;
    this.#filledRows = end;
  }

  #grow(rows: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(rows, this.#typeIndexes.length * 2));
    this.#typeIndexes.copy(larger, 0, 0, this.#filledRows);
    this.#typeIndexes = larger;
  }
}
