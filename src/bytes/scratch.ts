const CHUNK_BYTES = 2 ** 20;

/**
 * Buffers that are needed until the next reset, cut from large ones that are kept: dropping as many would leave it to the
 * collector, which does not see their size, when their memory is free again.
 */
export class Scratch {
  readonly #chunks: Buffer[] = [];
  /** The chunk in use, and how much of it is taken. */
  #current = 0;
  #taken = 0;

  /** A buffer of this size, good until the next reset; its content is arbitrary. */
  take(bytes: number): Buffer {
    for (; this.#current < this.#chunks.length; this.#current++, this.#taken = 0) {
      const chunk = this.#chunks[this.#current] as Buffer;
      const end = this.#taken + bytes;
      if (end > chunk.length) continue;
      const buffer = chunk.subarray(this.#taken, end);
      this.#taken = end;
      return buffer;
    }
    const chunk = Buffer.allocUnsafeSlow(Math.max(2 ** Math.ceil(Math.log2(bytes)), CHUNK_BYTES));
    this.#chunks.push(chunk);
    this.#taken = bytes;
    return chunk.subarray(0, bytes);
  }

  /** Takes all buffers back. */
  reset(): void {
    this.#current = 0;
    this.#taken = 0;
  }
}
