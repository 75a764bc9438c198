import type { ByteWriter } from "../bytes/byte-writer.ts";
import { isEmbeddableJson } from "./json-value.ts";
import { JSON_COLUMN_KEEPS, type KeptJson } from "./kept-json.ts";
import { plainEnd } from "./plain-text.ts";
import { utf8SequenceBytes } from "./utf8.ts";

/** How a value becomes part of a JSON object. */
export const EMBED = {
  /** Between quotes, as it is. */
  asPlainString: 0,
  /** As it is. */
  asJson: 1,
  /** Between quotes, escaped and repaired. */
  asEscapedString: 2,
} as const;
export type Embed = (typeof EMBED)[keyof typeof EMBED];

/** By byte: 1 where a JSON value, or the space before one, may begin with it. Spares most strings a closer look. */
const MAY_BEGIN_JSON = Uint8Array.from({ length: 256 }, (_, byte) =>
  '{["-0123456789tfn \t\n\r'.includes(String.fromCharCode(byte)) ? 1 : 0,
);

/** How the value `bytes[start, end)` goes into a JSON object: JSON that is kept as that JSON, any other as a JSON string. */
export function embedOf(
  bytes: Buffer,
  start: number,
  end: number,
  kept: KeptJson = JSON_COLUMN_KEEPS,
): Embed {
  if (
    start < end &&
    MAY_BEGIN_JSON[bytes[start] as number] === 1 &&
    isEmbeddableJson(bytes, start, end, kept)
  ) {
    return EMBED.asJson;
  }
  return needsEscape(bytes, start, end) ? EMBED.asEscapedString : EMBED.asPlainString;
}

/** Whether text must be escaped or repaired to stand in a JSON string. */
export function needsEscape(bytes: Buffer, start: number, end: number): boolean {
  for (let at = plainEnd(bytes, start, end); at < end; at = plainEnd(bytes, at, end)) {
    if ((bytes[at] as number) < 0x80) return true;
    const length = utf8SequenceBytes(bytes, at, end);
    if (length === 0) return true;
    at += length;
  }
  return false;
}

const HEX = "0123456789abcdef";
/** The short escapes of RFC 8259 by control character. */
const SHORT_ESCAPES: ReadonlyMap<number, number> = new Map([
  [0x08, 0x62],
  [0x09, 0x74],
  [0x0a, 0x6e],
  [0x0c, 0x66],
  [0x0d, 0x72],
]);

/**
 * Writes text as a JSON string, quotes included. Bytes that are not UTF-8 are repaired as ClickHouse's toValidUTF8 does:
 * each run of them becomes one U+FFFD, and a sequence that the text's end cuts off takes all of the rest with it.
 */
export function writeJsonString(out: ByteWriter, bytes: Buffer, start: number, end: number): void {
  out.byte(0x22);
  let clean = start;
  let at = start;
  while (at < end) {
    const byte = bytes[at] as number;
    const isPlain = byte >= 0x20 && byte !== 0x22 && byte !== 0x5c;
    const length = isPlain ? utf8SequenceBytes(bytes, at, end) : 0;
    if (length > 0) {
      at += length;
      continue;
    }
    out.copy(bytes, clean, at);
    if (byte < 0x80) {
      writeEscape(out, byte);
      at++;
    } else {
      at = badRunEnd(bytes, at, end);
      out.byte(0xef);
      out.byte(0xbf);
      out.byte(0xbd);
    }
    clean = at;
  }
  out.copy(bytes, clean, end);
  out.byte(0x22);
}

/** Where a run of bytes that are not UTF-8 ends. */
function badRunEnd(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && utf8SequenceBytes(bytes, at, end) === 0) {
    const byte = bytes[at] as number;
    const announced = byte < 0xc0 || byte >= 0xf8 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    if (at + announced > end) return end;
    at++;
  }
  return at;
}

function writeEscape(out: ByteWriter, byte: number): void {
  out.byte(0x5c);
  if (byte === 0x22 || byte === 0x5c) {
    out.byte(byte);
    return;
  }
  const short = SHORT_ESCAPES.get(byte);
  if (short !== undefined) {
    out.byte(short);
    return;
  }
  out.byte(0x75);
  out.byte(0x30);
  out.byte(0x30);
  out.byte(HEX.charCodeAt(byte >> 4));
  out.byte(HEX.charCodeAt(byte & 15));
}
