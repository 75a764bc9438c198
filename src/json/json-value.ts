import { SAFE_DIGITS } from "./json-number.ts";
import { JSON_COLUMN_KEEPS, type KeptJson } from "./kept-json.ts";
import { utf8SequenceBytes } from "./utf8.ts";

/**
 * Limits of what goes into a JSON column as JSON. ClickHouse (26.7) refuses 1023 levels of nesting, and its type inference
 * takes time exponential in the depth of arrays directly within arrays: seconds for one value at 32 levels.
 */
const MAX_DEPTH = 512;
const MAX_ARRAYS_IN_ARRAYS = 8;
const MAX_UINT64 = "18446744073709551615";
const MIN_INT64_DIGITS = "9223372036854775808";
/** 2^53: larger integers are "large" in the sense of {@link KeptJson}. */
const MAX_EXACT_DIGITS = "9007199254740992";

/**
 * What is known of each container around the value under validation: 0 for an object; for an array how many arrays
 * directly enclose it, itself included, and what it holds.
 * Validation is synchronous, so one stack serves a thread.
 */
const containers = new Uint16Array(MAX_DEPTH);
const OBJECT = 0;
const ARRAYS_MASK = 15;
const HOLDS_NULL = 16;
const HOLDS_ARRAY = 32;
const HOLDS_STRING = 64;
const HOLDS_NUMBER = 128;
const HOLDS_BOOLEAN = 256;
const HOLDS_OBJECT = 512;
const KINDS = HOLDS_ARRAY | HOLDS_STRING | HOLDS_NUMBER | HOLDS_BOOLEAN | HOLDS_OBJECT;

/**
 * Whether the bytes are one JSON value (RFC 8259) that a ClickHouse JSON column takes, and that the target at hand keeps:
 * integers fit 64 bits, other numbers a double, strings are valid UTF-8 without lone surrogates, nesting is within limits,
 * no array holds both a null and an array, since the null would be stored as an empty array, and nothing is in it that
 * `kept` rules out.
 */
export function isEmbeddableJson(
  bytes: Buffer,
  start: number,
  end: number,
  kept: KeptJson = JSON_COLUMN_KEEPS,
): boolean {
  if (isShortInteger(bytes, start, end)) return true;
  let at = skipSpace(bytes, start, end);
  let depth = 0;
  // Each round begins where a value is expected.
  for (;;) {
    if (at >= end) return false;
    const byte = bytes[at] as number;
    if (depth > 0 && !noteElement(depth - 1, byte, kept.mixedArrays)) return false;
    if (byte === 0x7b || byte === 0x5b) {
      if (depth === MAX_DEPTH) return false;
      const isObject = byte === 0x7b;
      const enclosing = depth === 0 ? OBJECT : (containers[depth - 1] as number) & ARRAYS_MASK;
      if (!isObject && enclosing === MAX_ARRAYS_IN_ARRAYS) return false;
      containers[depth++] = isObject ? OBJECT : enclosing + 1;
      at = skipSpace(bytes, at + 1, end);
      if (at >= end || bytes[at] !== (isObject ? 0x7d : 0x5d)) {
        if (isObject) at = passMemberName(bytes, at, end);
        if (at < 0) return false;
        continue;
      }
      at++;
      depth--;
    } else {
      const first = at;
      at = passScalar(bytes, at, end);
      if (at < 0) return false;
      if (at - first > SAFE_DIGITS && isLargeInteger(bytes, first, at)) {
        const isElement = depth > 0 && containers[depth - 1] !== OBJECT;
        if (!(isElement ? kept.largeIntegersInArrays : kept.largeIntegers)) return false;
      }
    }
    // A value has ended: pass what closes around it, up to where the next one is expected.
    for (;;) {
      at = skipSpace(bytes, at, end);
      if (depth === 0) return at === end;
      if (at >= end) return false;
      const isObject = containers[depth - 1] === OBJECT;
      const next = bytes[at++] as number;
      if (next === 0x2c) {
        at = skipSpace(bytes, at, end);
        if (isObject) at = passMemberName(bytes, at, end);
        if (at < 0) return false;
        break;
      }
      if (next !== (isObject ? 0x7d : 0x5d)) return false;
      depth--;
    }
  }
}

/** Whether the bytes are up to 15 digits without a leading zero: so common that they are looked for first. */
function isShortInteger(bytes: Buffer, start: number, end: number): boolean {
  if (end - start > SAFE_DIGITS || bytes[start] === 0x30) return false;
  return end > start && passDigits(bytes, start, end) === end;
}

/** Notes the first byte of a value in the container at `level`; false when an array would hold what it must not. */
function noteElement(level: number, firstByte: number, mayBeMixed: boolean): boolean {
  const container = containers[level] as number;
  if (container === OBJECT) return true;
  const noted = container | holds(firstByte);
  containers[level] = noted;
  const kinds = noted & KINDS;
  // One kind is one bit.
  if (!mayBeMixed && (kinds === HOLDS_ARRAY || (kinds & (kinds - 1)) !== 0)) return false;
  return (noted & (HOLDS_NULL | HOLDS_ARRAY)) !== (HOLDS_NULL | HOLDS_ARRAY);
}

/** What an array holds that has an element with this first byte. */
function holds(firstByte: number): number {
  switch (firstByte) {
    case 0x6e:
      return HOLDS_NULL;
    case 0x5b:
      return HOLDS_ARRAY;
    case 0x22:
      return HOLDS_STRING;
    case 0x74:
    case 0x66:
      return HOLDS_BOOLEAN;
    case 0x7b:
      return HOLDS_OBJECT;
    default:
      return HOLDS_NUMBER;
  }
}

/** Whether the scalar is an integer that a double does not hold for sure. */
function isLargeInteger(bytes: Buffer, start: number, end: number): boolean {
  const digits = bytes[start] === 0x2d ? start + 1 : start;
  if (passDigits(bytes, digits, end) !== end || end - digits < MAX_EXACT_DIGITS.length) return false;
  return end - digits > MAX_EXACT_DIGITS.length || bytes.toString("latin1", digits, end) > MAX_EXACT_DIGITS;
}

function skipSpace(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const byte = bytes[at] as number;
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
    at++;
  }
  return at;
}

/** Passes `"name" :` and the space after it; -1 when that is not what stands there. */
function passMemberName(bytes: Buffer, start: number, end: number): number {
  if (start >= end || bytes[start] !== 0x22) return -1;
  const afterName = passString(bytes, start + 1, end);
  if (afterName < 0) return -1;
  const colon = skipSpace(bytes, afterName, end);
  if (colon >= end || bytes[colon] !== 0x3a) return -1;
  return skipSpace(bytes, colon + 1, end);
}

/** Passes a string, number or word; -1 when it is none. */
function passScalar(bytes: Buffer, start: number, end: number): number {
  const first = bytes[start] as number;
  if (first === 0x22) return passString(bytes, start + 1, end);
  if (first === 0x2d || (first >= 0x30 && first <= 0x39)) return passNumber(bytes, start, end);
  if (first === 0x74) return passWord(bytes, start, end, "true");
  if (first === 0x66) return passWord(bytes, start, end, "false");
  if (first === 0x6e) return passWord(bytes, start, end, "null");
  return -1;
}

function passWord(bytes: Buffer, start: number, end: number, word: string): number {
  if (start + word.length > end) return -1;
  for (let i = 0; i < word.length; i++) {
    if (bytes[start + i] !== word.charCodeAt(i)) return -1;
  }
  return start + word.length;
}

/** Passes the rest of a string whose opening quote is passed. */
function passString(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const byte = bytes[at] as number;
    if (byte === 0x22) return at + 1;
    if (byte < 0x20) return -1;
    if (byte === 0x5c) {
      at = passEscape(bytes, at + 1, end);
      if (at < 0) return -1;
    } else if (byte < 0x80) {
      at++;
    } else {
      const length = utf8SequenceBytes(bytes, at, end);
      if (length === 0) return -1;
      at += length;
    }
  }
  return -1;
}

/** Passes an escape whose backslash is passed. */
function passEscape(bytes: Buffer, start: number, end: number): number {
  if (start >= end) return -1;
  const kind = bytes[start] as number;
  if (kind !== 0x75) return '"\\/bfnrt'.includes(String.fromCharCode(kind)) ? start + 1 : -1;
  const unit = hexUnit(bytes, start + 1, end);
  if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff)) return -1;
  if (unit < 0xd800 || unit > 0xdbff) return start + 5;
  if (bytes[start + 5] !== 0x5c || bytes[start + 6] !== 0x75) return -1;
  const low = hexUnit(bytes, start + 7, end);
  return low >= 0xdc00 && low <= 0xdfff ? start + 11 : -1;
}

/** The number that four hex digits stand for; -1 when they are none. */
function hexUnit(bytes: Buffer, start: number, end: number): number {
  if (start + 4 > end) return -1;
  let unit = 0;
  for (let i = start; i < start + 4; i++) {
    const digit = hexDigit(bytes[i] as number);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function passNumber(bytes: Buffer, start: number, end: number): number {
  const digits = bytes[start] === 0x2d ? start + 1 : start;
  let at = passDigits(bytes, digits, end);
  if (at === digits || (bytes[digits] === 0x30 && at > digits + 1)) return -1;
  const integerEnd = at;
  if (at < end && bytes[at] === 0x2e) {
    const fraction = at + 1;
    at = passDigits(bytes, fraction, end);
    if (at === fraction) return -1;
  }
  if (at < end && ((bytes[at] as number) | 0x20) === 0x65) {
    const sign = bytes[at + 1] as number;
    const exponent = sign === 0x2b || sign === 0x2d ? at + 2 : at + 1;
    at = passDigits(bytes, exponent, end);
    if (at === exponent) return -1;
  }
  const fits =
    at === integerEnd
      ? fitsUInt64(bytes, digits, at, digits > start)
      : Number.isFinite(Number(bytes.toString("latin1", start, at)));
  return fits ? at : -1;
}

function passDigits(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && (bytes[at] as number) >= 0x30 && (bytes[at] as number) <= 0x39) at++;
  return at;
}

function fitsUInt64(bytes: Buffer, start: number, end: number, isNegative: boolean): boolean {
  const limit = isNegative ? MIN_INT64_DIGITS : MAX_UINT64;
  if (end - start !== limit.length) return end - start < limit.length;
  return bytes.toString("latin1", start, end) <= limit;
}
