import { writeVarint } from "./varint.ts";

/** Copies up to this size are faster word by word than by a call into the runtime. */
const SHORT_COPY_BYTES = 32;
const WORD_BYTES = 4;

/** A growing buffer that is written front to back and used again after `reset`. */
export class ByteWriter {
  bytes: Buffer;
  length = 0;

  constructor(initialBytes = 64 * 1024) {
    this.bytes = Buffer.allocUnsafeSlow(initialBytes);
  }

  /** What was written since the last reset; valid until more is written. */
  written(): Buffer {
    return this.bytes.subarray(0, this.length);
  }

  reset(): void {
    this.length = 0;
  }

  /** Makes room for `bytes` more. */
  reserve(bytes: number): void {
    if (this.length + bytes > this.bytes.length) this.#grow(this.length + bytes);
  }

  byte(value: number): void {
    if (this.length === this.bytes.length) this.#grow(this.length + 1);
    this.bytes[this.length++] = value;
  }

  varint(value: number): void {
    this.reserve(8);
    this.length = writeVarint(this.bytes, this.length, value);
  }

  /** Writes `value` (below 2^53) as a little-endian u64. */
  uint64(value: number): void {
    this.reserve(8);
    this.bytes.writeUInt32LE(value % 2 ** 32, this.length);
    this.bytes.writeUInt32LE(Math.floor(value / 2 ** 32), this.length + 4);
    this.length += 8;
  }

  /** Appends `source[start, end)`. */
  copy(source: Buffer, start: number, end: number): void {
    const at = this.length;
    const next = at + end - start;
    if (next + WORD_BYTES > this.bytes.length) this.#grow(next + WORD_BYTES);
    const target = this.bytes;
    this.length = next;
    if (next - at > SHORT_COPY_BYTES || end + WORD_BYTES > source.length) {
      source.copy(target, at, start, end);
      return;
    }
    // The last word may carry bytes too many; what is written next covers them.
    for (let from = start, to = at; from < end; from += WORD_BYTES, to += WORD_BYTES) {
      target.writeInt32LE(source.readInt32LE(from), to);
    }
  }

  #grow(minBytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(minBytes, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }
}
