/** Those who ask for the next update again and again. Each request waits for it. */
export class Watchers<Update> {
  readonly #waiting = new Set<(update: Update) => void>();
  /** How many got the last update and have not asked for the next one. */
  #away = 0;
  readonly #allTold = Promise.withResolvers<void>();
  #last: (() => Update) | null = null;

  /** Resolves to the next update; to the last one at once, when there are no more. `signal` aborts when the reader has gone. */
  next(signal: AbortSignal): Promise<Update> {
    this.#away = Math.max(0, this.#away - 1);
    if (this.#last !== null) {
      if (this.#away === 0) this.#allTold.resolve();
      return Promise.resolve(this.#last());
    }
    const { promise, resolve } = Promise.withResolvers<Update>();
    this.#waiting.add(resolve);
    signal.addEventListener("abort", () => this.#waiting.delete(resolve));
    return promise;
  }

  /** Sends an update to those who wait; `make` is not called where nobody does. */
  update(make: () => Update): void {
    this.#away = this.#waiting.size;
    this.#respond(make);
  }

  /** Sends the last update to those who wait and to those who come. Resolves when all who got the one before have come back for it. */
  async end(make: () => Update): Promise<void> {
    this.#last = make;
    this.#respond(make);
    if (this.#away > 0) await this.#allTold.promise;
  }

  #respond(make: () => Update): void {
    if (this.#waiting.size === 0) return;
    const update = make();
    for (const respond of this.#waiting) respond(update);
    this.#waiting.clear();
  }
}
