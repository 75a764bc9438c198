import { writeVarint } from "./varint.ts";

/** Copies shorter than this are faster byte by byte than by a call into the runtime. */
const SHORT_COPY_BYTES = 16;

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
    const count = end - start;
    if (this.length + count > this.bytes.length) this.#grow(this.length + count);
    const target = this.bytes;
    let at = this.length;
    if (count < SHORT_COPY_BYTES) {
      for (let i = start; i < end; i++) target[at++] = source[i] as number;
    } else {
      source.copy(target, at, start, end);
    }
    this.length += count;
  }

  #grow(minBytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(minBytes, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }
}
