/** A block on its way to the reader. */
interface Handover {
  readonly parts: readonly Uint8Array[];
  readonly taken: () => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Hands blocks over, one at a time, to the reader of an async iterable. The writer waits until the reader has finished with a
 * block, so that its memory can hold the next one.
 */
export class BlockChannel implements AsyncIterable<Uint8Array> {
  #waiting: Handover | null = null;
  #wakeReader: (() => void) | null = null;
  #hasEnded = false;
  #failure: { readonly error: unknown } | null = null;

  /**
   * Resolves once the reader has gone past the last part. One block at a time. Rejects with the error of `fail`.
   */
  async give(parts: readonly Uint8Array[]): Promise<void> {
    if (this.#failure !== null) throw this.#failure.error;
    if (this.#hasEnded || this.#waiting !== null) throw new Error("A block was given out of turn");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting = { parts, taken: resolve, failed: reject };
    this.#wake();
    await promise;
  }

  /** Ends the iteration after the blocks so far. */
  end(): void {
    this.#hasEnded = true;
    this.#wake();
  }

  /** Ends the iteration, and a `give` that waits, with an error. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#waiting?.failed(error);
    this.#waiting = null;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure.error;
      const block = this.#waiting;
      if (block !== null) {
        yield* block.parts;
        if (this.#waiting !== block) continue;
        this.#waiting = null;
        block.taken();
      } else if (this.#hasEnded) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
      }
    }
  }

  #wake(): void {
    this.#wakeReader?.();
    this.#wakeReader = null;
  }
}
