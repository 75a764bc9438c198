import type { ByteWriter } from "../bytes/byte-writer.ts";

const BACKSLASH = 0x5c;

/** Appends `bytes[start, end)` as a value of type String. */
export function appendText(out: ByteWriter, bytes: Buffer, start: number, end: number): void {
  const length = end - start;
  // The length of most values is one byte.
  if (length < 0x80) out.byte(length);
  else out.varint(length);
  out.copy(bytes, start, end);
}

/** Appends what the inside of a valid JSON string, `bytes[start, end)`, stands for, as UTF-8. */
export function unescapeTo(out: ByteWriter, bytes: Buffer, start: number, end: number): void {
  let clean = start;
  let at = start;
  while (at < end) {
    if (bytes[at] !== BACKSLASH) {
      at++;
      continue;
    }
    out.copy(bytes, clean, at);
    const kind = bytes[at + 1] as number;
    if (kind === 0x75) {
      at = unescapeUnit(out, bytes, at);
    } else {
      out.byte(meaningOf(kind));
      at += 2;
    }
    clean = at;
  }
  out.copy(bytes, clean, end);
}

/** What a backslash and this byte mean. */
function meaningOf(kind: number): number {
  switch (kind) {
    case 0x62:
      return 0x08;
    case 0x66:
      return 0x0c;
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case 0x74:
      return 0x09;
    default:
      return kind;
  }
}

/** Appends what the `\uXXXX` at `start` stands for, with its second half if it is a surrogate; returns the end. */
function unescapeUnit(out: ByteWriter, bytes: Buffer, start: number): number {
  const unit = hexUnit(bytes, start + 2);
  if (unit < 0x80) {
    out.byte(unit);
    return start + 6;
  }
  if (unit < 0x800) {
    out.byte(0xc0 | (unit >> 6));
    out.byte(0x80 | (unit & 63));
    return start + 6;
  }
  if (unit < 0xd800 || unit > 0xdfff) {
    out.byte(0xe0 | (unit >> 12));
    out.byte(0x80 | ((unit >> 6) & 63));
    out.byte(0x80 | (unit & 63));
    return start + 6;
  }
  const point = 0x10000 + ((unit - 0xd800) << 10) + (hexUnit(bytes, start + 8) - 0xdc00);
  out.byte(0xf0 | (point >> 18));
  out.byte(0x80 | ((point >> 12) & 63));
  out.byte(0x80 | ((point >> 6) & 63));
  out.byte(0x80 | (point & 63));
  return start + 12;
}

function hexUnit(bytes: Buffer, start: number): number {
  let unit = 0;
  for (let i = start; i < start + 4; i++) {
    const byte = bytes[i] as number;
    unit = unit * 16 + (byte <= 0x39 ? byte - 0x30 : (byte | 0x20) - 0x57);
  }
  return unit;
}
