/** Bytes that a length takes as a varuint (LEB128, 7 bits a byte, https://clickhouse.com/docs/native-protocol/basics). */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** Writes `value` (up to 2^53) as a varuint at `position` and returns the position after it. */
export function writeVarint(bytes: Uint8Array, position: number, value: number): number {
  let at = position;
  let rest = value;
  while (rest >= 128) {
    bytes[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  bytes[at++] = rest;
  return at;
}

/** A position in bytes that `readVarint` reads at and moves; one object serves many calls. */
export interface VarintCursor {
  position: number;
}

/**
 * Reads the varuint at `cursor.position` and moves the cursor past it.
 * For bytes that are known to be whole; no more than 5 bytes are read.
 */
export function readVarint(bytes: Uint8Array, cursor: VarintCursor): number {
  let at = cursor.position;
  let byte = bytes[at++] as number;
  let value = byte & 127;
  for (let scale = 128; byte >= 128 && scale <= 2 ** 28; scale *= 128) {
    byte = bytes[at++] as number;
    value += (byte & 127) * scale;
  }
  cursor.position = at;
  return value;
}
