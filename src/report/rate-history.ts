import type { RunSnapshot } from "./progress.ts";

/** The rates of a stretch of time. */
export interface RatePoint {
  /** The end of the stretch. */
  readonly atMs: number;
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
}

/** Enough for the width of a screen; a run of hours has longer stretches, not more of them. */
const MAX_POINTS = 600;
const FIRST_SPACING_MS = 1_000;

/** The rates of a run from its beginning, in stretches that grow with it: its size is bounded. */
export class RateHistory {
  readonly #points: RatePoint[] = [];
  #spacingMs = FIRST_SPACING_MS;
  #sinceMs: number;
  #rows = 0;
  #bytes = 0;

  constructor(startedMs: number) {
    this.#sinceMs = startedMs;
  }

  /** How long a stretch is. */
  get spacingMs(): number {
    return this.#spacingMs;
  }

  /** Oldest first. */
  get points(): readonly RatePoint[] {
    return this.#points;
  }

  /** Adds a point where a stretch is over. To be called more often than once a second. */
  sample(snapshot: RunSnapshot, nowMs: number): void {
    const elapsedMs = nowMs - this.#sinceMs;
    if (elapsedMs < this.#spacingMs) return;
    const { rows, bytes } = movedBy(snapshot);
    this.#points.push({
      atMs: nowMs,
      rowsPerSecond: ((rows - this.#rows) * 1000) / elapsedMs,
      bytesPerSecond: ((bytes - this.#bytes) * 1000) / elapsedMs,
    });
    this.#sinceMs = nowMs;
    this.#rows = rows;
    this.#bytes = bytes;
    if (this.#points.length === MAX_POINTS) this.#halve();
  }

  #halve(): void {
    for (let i = 0; i < MAX_POINTS; i += 2) {
      const [first, second] = this.#points.slice(i, i + 2);
      if (first === undefined || second === undefined) continue;
      this.#points[i / 2] = {
        atMs: second.atMs,
        rowsPerSecond: (first.rowsPerSecond + second.rowsPerSecond) / 2,
        bytesPerSecond: (first.bytesPerSecond + second.bytesPerSecond) / 2,
      };
    }
    this.#points.length = MAX_POINTS / 2;
    this.#spacingMs *= 2;
  }
}

/** What all phases of the run have read. */
function movedBy({ phases }: RunSnapshot): { rows: number; bytes: number } {
  let [rows, bytes] = [0, 0];
  for (const { readRows, readBytes } of phases) {
    rows += readRows;
    bytes += readBytes;
  }
  return { rows, bytes };
}
