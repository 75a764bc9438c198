import { ByteWriter } from "../bytes/byte-writer.ts";
import { type JsonColumnPath, type ScalarType, VALUE } from "./json-column-path.ts";
import type { JsonColumnPaths } from "./json-column-paths.ts";
import {
  appendFloat64,
  appendInt64,
  appendSafeInt64,
  isInteger,
  isNumberByte,
  numberEnd,
  SAFE_DIGITS,
} from "./json-number.ts";
import { appendText, unescapeTo } from "./json-text.ts";
import { plainEnd } from "./plain-text.ts";

/** Deeper objects are rare and not worth their paths. */
const MAX_DEPTH = 64;
/** Where a reading stands that is not sure of the value. */
const UNSURE = -1;

/** What the elements of an array are, as far as they are known. */
const NOTHING_YET = -1;
const MIXED = -2;
type ElementType = ScalarType | typeof NOTHING_YET | typeof MIXED;

/** Reads values that are valid JSON into the columns of their paths. */
export class JsonColumnValues {
  readonly #paths: JsonColumnPaths;
  readonly #text = new ByteWriter(4096);
  #bytes: Buffer = Buffer.alloc(0);
  #end = 0;
  #row = 0;
  #stamp = 0;
  #hasEscapes = false;
  #elementType: ElementType = NOTHING_YET;

  constructor(paths: JsonColumnPaths) {
    this.#paths = paths;
  }

  /**
   * Reads `bytes[start, end)`, for which `isEmbeddableJson` is true, as the value of a member in row `row`; `stamp` tells
   * the row from all others. False when it is not sure what the server would make of it.
   */
  read(member: number, bytes: Buffer, start: number, end: number, row: number, stamp: number): boolean {
    this.#bytes = bytes;
    this.#end = end;
    this.#row = row;
    this.#stamp = stamp;
    return this.#value(member, this.#skipSpace(start), 0) !== UNSURE;
  }

  /** Reads the value at `at` and returns where it ends. */
  #value(member: number, at: number, depth: number): number {
    const path = this.#paths.pathOf(member);
    // Which of two counts is for the server to say: a null, for one, counts only when other rows have the path.
    if (path.namedIn === this.#stamp || !this.#paths.isPlain(member)) return UNSURE;
    path.namedIn = this.#stamp;
    switch (this.#bytes[at] as number) {
      case 0x7b:
        path.objectIn = this.#stamp;
        return depth < MAX_DEPTH ? this.#members(member, at + 1, depth + 1) : UNSURE;
      case 0x5b:
        return this.#array(path, at + 1);
      case 0x22:
        return this.#string(path.scalarAt(this.#row, VALUE.string), at + 1);
      case 0x74:
        path.scalarAt(this.#row, VALUE.bool).byte(1);
        return at + 4;
      case 0x66:
        path.scalarAt(this.#row, VALUE.bool).byte(0);
        return at + 5;
      case 0x6e:
        return at + 4;
      default:
        return this.#number(path, at);
    }
  }

  #members(parent: number, start: number, depth: number): number {
    const bytes = this.#bytes;
    const paths = this.#paths;
    let at = this.#skipSpace(start);
    let previous = -1;
    while (bytes[at] !== 0x7d) {
      let keyEnd = paths.usualKeyEnd(parent, previous, bytes, at + 1);
      let member = -1;
      if (keyEnd >= 0) {
        member = paths.usual(parent, previous);
      } else {
        keyEnd = this.#stringEnd(at + 1);
        member = this.#member(parent, at + 1, keyEnd);
        if (member < 0) return UNSURE;
        paths.noteUsual(parent, previous, member);
      }
      previous = member;
      const colon = this.#skipSpace(keyEnd + 1);
      at = this.#value(member, this.#skipSpace(colon + 1), depth);
      if (at === UNSURE) return UNSURE;
      at = this.#skipSpace(at);
      if (bytes[at] === 0x2c) at = this.#skipSpace(at + 1);
    }
    return at + 1;
  }

  #member(parent: number, start: number, end: number): number {
    if (!this.#hasEscapes) return this.#paths.member(parent, this.#bytes, start, end);
    const text = this.#unescaped(start, end);
    return this.#paths.member(parent, text.bytes, 0, text.length);
  }

  #number(path: JsonColumnPath, start: number): number {
    const bytes = this.#bytes;
    const isNegative = bytes[start] === 0x2d;
    const digits = isNegative ? start + 1 : start;
    const limit = Math.min(this.#end, digits + SAFE_DIGITS);
    let value = 0;
    let at = digits;
    for (; at < limit; at++) {
      const digit = (bytes[at] as number) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (at < this.#end && isNumberByte(bytes[at] as number)) return this.#longNumber(path, start, at);
    appendSafeInt64(path.scalarAt(this.#row, VALUE.int64), isNegative ? -value : value);
    return at;
  }

  #longNumber(path: JsonColumnPath, start: number, passed: number): number {
    const bytes = this.#bytes;
    const end = numberEnd(bytes, passed, this.#end);
    if (!isInteger(bytes, passed, end)) {
      appendFloat64(path.scalarAt(this.#row, VALUE.float64), bytes, start, end);
      return end;
    }
    return appendInt64(path.scalarAt(this.#row, VALUE.int64), bytes, start, end) ? end : UNSURE;
  }

  /** Appends the string whose opening quote is passed. */
  #string(out: ByteWriter, start: number): number {
    const end = this.#stringEnd(start);
    if (this.#hasEscapes) {
      const text = this.#unescaped(start, end);
      appendText(out, text.bytes, 0, text.length);
    } else {
      appendText(out, this.#bytes, start, end);
    }
    return end + 1;
  }

  /** Where the closing quote of the string whose opening quote is passed stands; notes whether it has escapes. */
  #stringEnd(start: number): number {
    const bytes = this.#bytes;
    this.#hasEscapes = false;
    let at = plainEnd(bytes, start, this.#end);
    while (bytes[at] !== 0x22) {
      if (bytes[at] === 0x5c) {
        this.#hasEscapes = true;
        at++;
      }
      at = plainEnd(bytes, at + 1, this.#end);
    }
    return at;
  }

  #unescaped(start: number, end: number): ByteWriter {
    this.#text.reset();
    unescapeTo(this.#text, this.#bytes, start, end);
    return this.#text;
  }

  /**
   * Appends the array whose opening bracket is passed. The server takes the type of the path's arrays so far if the
   * elements fit; all are kept of one type here, so that this is the only question.
   */
  #array(path: JsonColumnPath, start: number): number {
    const end = this.#inspectElements(start);
    if (end === UNSURE) return UNSURE;
    const known = path.arrayOf;
    let type = this.#elementType;
    if (type === NOTHING_YET) type = known === -1 ? VALUE.string : known;
    if (type === VALUE.int64 && known === VALUE.float64) type = known;
    if (type === MIXED || (known !== -1 && type !== known)) return UNSURE;
    const array = path.arrayAt(this.#row, type);
    for (let at = this.#skipSpace(start); this.#bytes[at] !== 0x5d; ) {
      const isNull = this.#bytes[at] === 0x6e;
      const out = array.element(isNull);
      at = isNull ? appendNull(out, type, at) : this.#element(out, type, at);
      if (at === UNSURE) return UNSURE;
      at = this.#skipSpace(at);
      if (this.#bytes[at] === 0x2c) at = this.#skipSpace(at + 1);
    }
    array.endArray();
    return end;
  }

  #element(out: ByteWriter, type: ScalarType, at: number): number {
    const bytes = this.#bytes;
    if (type === VALUE.string) return this.#string(out, at + 1);
    if (type === VALUE.bool) {
      const isTrue = bytes[at] === 0x74;
      out.byte(isTrue ? 1 : 0);
      return at + (isTrue ? 4 : 5);
    }
    const end = numberEnd(bytes, at, this.#end);
    if (type === VALUE.int64) return appendInt64(out, bytes, at, end) ? end : UNSURE;
    // As the server makes a double of an integer is not known where rounding is involved.
    if (isInteger(bytes, at, end)) {
      if (end - at > SAFE_DIGITS) return UNSURE;
      // It reads -0 as the integer 0.
      if (end - at === 2 && bytes[at] === 0x2d && bytes[at + 1] === 0x30) {
        out.uint64(0);
        return end;
      }
    }
    appendFloat64(out, bytes, at, end);
    return end;
  }

  /** Passes the elements of an array and notes their type; nulls have none. */
  #inspectElements(start: number): number {
    const bytes = this.#bytes;
    let type: ElementType = NOTHING_YET;
    let at = this.#skipSpace(start);
    while (bytes[at] !== 0x5d) {
      const first = bytes[at] as number;
      if (first === 0x7b || first === 0x5b) return UNSURE;
      if (first === 0x6e) {
        at += 4;
      } else if (first === 0x22) {
        at = this.#stringEnd(at + 1) + 1;
        type = joined(type, VALUE.string);
      } else if (first === 0x74 || first === 0x66) {
        at += first === 0x74 ? 4 : 5;
        type = joined(type, VALUE.bool);
      } else {
        const end = numberEnd(bytes, at, this.#end);
        type = joined(type, isInteger(bytes, at, end) ? VALUE.int64 : VALUE.float64);
        at = end;
      }
      at = this.#skipSpace(at);
      if (bytes[at] === 0x2c) at = this.#skipSpace(at + 1);
    }
    this.#elementType = type;
    return at + 1;
  }

  #skipSpace(start: number): number {
    const bytes = this.#bytes;
    let at = start;
    // At the end of the bytes there is nothing, which compares as false.
    while ((bytes[at] as number) <= 0x20 && at < this.#end) at++;
    return at;
  }
}

/** The type of an array that holds elements of both types. */
function joined(type: ElementType, next: ScalarType): ElementType {
  if (type === NOTHING_YET || type === next) return next;
  const areNumbers =
    (type === VALUE.int64 || type === VALUE.float64) && (next === VALUE.int64 || next === VALUE.float64);
  return areNumbers ? VALUE.float64 : MIXED;
}

/** Appends the value that stands under a null; returns where the null that begins at `at` ends. */
function appendNull(out: ByteWriter, type: ScalarType, at: number): number {
  if (type === VALUE.int64 || type === VALUE.float64) out.uint64(0);
  else out.byte(0);
  return at + 4;
}
