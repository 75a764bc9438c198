/** Batches that must succeed before the next ones grow again: a limit that was met is likely still there. */
const GROW_AFTER_BATCHES = 8;
const GROWTH = 1.25;

/** How many rows batches have at most: fewer when the server found them too large, and slowly more again. */
export class InsertSize {
  readonly #maxRows: number;
  #rows: number;
  #stored = 0;

  constructor(maxRows: number) {
    this.#maxRows = maxRows;
    this.#rows = maxRows;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Notes that a batch was too large, and that a part of `rows` rows was the largest that was not. */
  shrink(rows: number): void {
    this.#rows = Math.max(1, Math.min(this.#rows, rows));
    this.#stored = 0;
  }

  /** Notes that a batch was stored as a whole. */
  grow(): void {
    if (this.#rows === this.#maxRows || ++this.#stored < GROW_AFTER_BATCHES) return;
    this.#stored = 0;
    this.#rows = Math.min(this.#maxRows, Math.ceil(this.#rows * GROWTH));
  }
}
