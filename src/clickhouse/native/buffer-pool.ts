/**
 * Large buffers for reuse: allocating and dropping them in a loop costs far more memory than is ever in use at once.
 * One pool serves one thread.
 */
export class BufferPool {
  readonly #free: Buffer[] = [];
  readonly #maxFree: number;

  /** Keeps at most `maxFree` buffers for reuse. */
  constructor(maxFree: number) {
    this.#maxFree = maxFree;
  }

  /** A buffer of at least `minBytes`; its content is arbitrary. */
  acquire(minBytes: number): Buffer {
    let best = -1;
    for (let i = 0; i < this.#free.length; i++) {
      const bytes = (this.#free[i] as Buffer).length;
      if (bytes >= minBytes && (best < 0 || bytes < (this.#free[best] as Buffer).length)) best = i;
    }
    if (best >= 0) return this.#free.splice(best, 1)[0] as Buffer;
    return Buffer.allocUnsafeSlow(roundUpBytes(minBytes));
  }

  /** Takes back a buffer that nothing refers to any more. */
  release(buffer: Buffer): void {
    this.#free.push(buffer);
    if (this.#free.length <= this.#maxFree) return;
    // The smallest one is the least useful.
    let smallest = 0;
    for (let i = 1; i < this.#free.length; i++) {
      if ((this.#free[i] as Buffer).length < (this.#free[smallest] as Buffer).length) smallest = i;
    }
    this.#free.splice(smallest, 1);
  }
}

const GRANULE_BYTES = 256 * 1024;

function roundUpBytes(bytes: number): number {
  return Math.ceil(bytes / GRANULE_BYTES) * GRANULE_BYTES;
}
