import { freeMemory } from "./free-memory.ts";

const MIN_STEP_BITS = 18;
const MIN_USUAL_BYTES = 2 ** 20;
const FADING = 31 / 32;

/**
 * Large buffers for reuse: allocating and dropping them in a loop costs far more memory than is ever in use at once.
 * One pool serves one thread.
 */
export class BufferPool {
  readonly #free: Buffer[] = [];
  readonly #maxFreeBytes: number;
  #freeBytes = 0;
  #usualBytes = MIN_USUAL_BYTES;

  /** Keeps buffers of at most `maxFreeBytes` in all for reuse. */
  constructor(maxFreeBytes: number) {
    this.#maxFreeBytes = maxFreeBytes;
  }

  /** What blocks have needed lately, at most: buffers of one size serve each other's purposes. */
  get usualBytes(): number {
    return this.#usualBytes;
  }

  /** Notes what a block has needed. One that is unusually large is forgotten some dozens of blocks later. */
  noteNeed(bytes: number): void {
    const faded = Math.max(MIN_USUAL_BYTES, Math.floor(this.#usualBytes * FADING));
    this.#usualBytes = Math.max(bytes, faded);
  }

  /** A buffer of at least `minBytes`; its content is arbitrary. */
  acquire(minBytes: number): Buffer {
    let best = -1;
    for (let i = 0; i < this.#free.length; i++) {
      const bytes = (this.#free[i] as Buffer).length;
      if (bytes >= minBytes && (best < 0 || bytes < (this.#free[best] as Buffer).length)) best = i;
    }
    if (best >= 0) return this.#remove(best);
    return Buffer.allocUnsafeSlow(roundUpBytes(minBytes));
  }

  /** Takes back a buffer that nothing refers to any more. */
  release(buffer: Buffer): void {
    if (buffer.length > this.#maxFreeBytes) {
      freeMemory(buffer);
      return;
    }
    this.#free.push(buffer);
    this.#freeBytes += buffer.length;
    while (this.#freeBytes > this.#maxFreeBytes) this.#dropSmallest();
  }

  /** The smallest one is the least useful. */
  #dropSmallest(): void {
    let smallest = 0;
    for (let i = 1; i < this.#free.length; i++) {
      if ((this.#free[i] as Buffer).length < (this.#free[smallest] as Buffer).length) smallest = i;
    }
    freeMemory(this.#remove(smallest));
  }

  #remove(i: number): Buffer {
    const [buffer] = this.#free.splice(i, 1) as [Buffer];
    this.#freeBytes -= buffer.length;
    return buffer;
  }
}

/** Four sizes between a power of two and the next, so that buffers for blocks of about one size serve each other's purposes. */
function roundUpBytes(bytes: number): number {
  const step = 2 ** Math.max(MIN_STEP_BITS, Math.floor(Math.log2(bytes)) - 2);
  return Math.ceil(bytes / step) * step;
}
