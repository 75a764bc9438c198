const HIGH_BITS = 0x80808080 | 0;
const FIRST_PRINTABLES = 0x20202020;
const QUOTES = 0x22222222;
const BACKSLASHES = 0x5c5c5c5c;
const ONES = 0x01010101;
const WORD_BYTES = 4;

/**
 * Where the text that begins at `start` has its first byte that may not stand in a JSON string as it is, or that is not
 * ASCII; `end` when there is none.
 *
 * Four bytes are looked at together: taking more from a byte than it has borrows from the next one and sets its high bit
 * (Warren, Hacker's Delight, section 6-1).
 */
export function plainEnd(bytes: Buffer, start: number, end: number): number {
  let at = start;
  for (const last = end - WORD_BYTES; at <= last; at += WORD_BYTES) {
    const word = bytes.readInt32LE(at);
    const hasControl = word - FIRST_PRINTABLES;
    const hasQuote = (word ^ QUOTES) - ONES;
    const hasBackslash = (word ^ BACKSLASHES) - ONES;
    if (((word | hasControl | hasQuote | hasBackslash) & HIGH_BITS) !== 0) break;
  }
  while (at < end && isPlain(bytes[at] as number)) at++;
  return at;
}

function isPlain(byte: number): boolean {
  return byte >= 0x20 && byte < 0x80 && byte !== 0x22 && byte !== 0x5c;
}
