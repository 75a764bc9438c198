/**
 * The length of the UTF-8 sequence that begins at `position`, or 0 when the bytes there are none: overlong forms,
 * surrogates and code points beyond U+10FFFF are none (The Unicode Standard, table 3-7).
 */
export function utf8SequenceBytes(bytes: Uint8Array, position: number, end: number): number {
  const first = bytes[position] as number;
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (position + length > end) return 0;
  const second = bytes[position + 1] as number;
  const lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let i = 2; i < length; i++) {
    if (((bytes[position + i] as number) & 0xc0) !== 0x80) return 0;
  }
  return length;
}
