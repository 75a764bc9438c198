import type { ByteWriter } from "../bytes/byte-writer.ts";

/** Integers of up to this many digits are exact in a double and fit 64 bits. */
export const SAFE_DIGITS = 15;
const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));
const TWO_32 = 2 ** 32;
const TWO_31 = 2 ** 31;

/** Where a JSON number that begins at `start` ends. */
export function numberEnd(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && isNumberByte(bytes[at] as number)) at++;
  return at;
}

/** Whether a byte may stand in a JSON number. */
export function isNumberByte(byte: number): boolean {
  // Digits, and + - . e E.
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2b ||
    byte === 0x2d ||
    byte === 0x2e ||
    (byte | 0x20) === 0x65
  );
}

/** Whether a JSON number has no fraction and no exponent. */
export function isInteger(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === 0x2e || (byte | 0x20) === 0x65) return false;
  }
  return true;
}

/** Appends an integer within UInt64 and above or at the least Int64 as an Int64; false when it is beyond the greatest. */
export function appendInt64(out: ByteWriter, bytes: Buffer, start: number, end: number): boolean {
  const isNegative = bytes[start] === 0x2d;
  let low = 0;
  let high = 0;
  for (let at = isNegative ? start + 1 : start; at < end; at++) {
    const next = low * 10 + (bytes[at] as number) - 0x30;
    const carry = Math.floor(next / TWO_32);
    low = next - carry * TWO_32;
    high = high * 10 + carry;
  }
  if (high >= TWO_31 && !isNegative) return false;
  if (isNegative) {
    high = low === 0 ? -high : -high - 1;
    low = -low;
  }
  appendHalves(out, low, high);
  return true;
}

/** Appends an integer of at most 15 digits as an Int64. */
export function appendSafeInt64(out: ByteWriter, value: number): void {
  const high = Math.floor(value / TWO_32);
  appendHalves(out, value - high * TWO_32, high);
}

function appendHalves(out: ByteWriter, low: number, high: number): void {
  out.reserve(8);
  out.bytes.writeInt32LE(low | 0, out.length);
  out.bytes.writeInt32LE(high | 0, out.length + 4);
  out.length += 8;
}

/** Appends a JSON number as a Float64: the double nearest to it. */
export function appendFloat64(out: ByteWriter, bytes: Buffer, start: number, end: number): void {
  out.reserve(8);
  out.bytes.writeDoubleLE(toDouble(bytes, start, end), out.length);
  out.length += 8;
}

/**
 * The double nearest to a JSON number. Up to 15 digits, and powers of ten up to 22, are doubles themselves, so that one
 * multiplication or division rounds once (Clinger, How to Read Floating Point Numbers Accurately, 1990).
 */
function toDouble(bytes: Buffer, start: number, end: number): number {
  const isNegative = bytes[start] === 0x2d;
  let mantissa = 0;
  let digits = 0;
  let scale = 0;
  let at = isNegative ? start + 1 : start;
  let isFraction = false;
  for (; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === 0x2e) {
      isFraction = true;
      continue;
    }
    if (byte < 0x30 || byte > 0x39) break;
    mantissa = mantissa * 10 + byte - 0x30;
    digits++;
    if (isFraction) scale++;
  }
  if (at < end || digits > SAFE_DIGITS) return Number(bytes.toString("latin1", start, end));
  const value = mantissa / (POWERS_OF_TEN[scale] as number);
  return isNegative ? -value : value;
}
