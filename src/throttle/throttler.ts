import { pipelinesAt, type Rate } from "./rate.ts";
import { createSharedRateLimit, RateLimit, type SharedRateLimit } from "./rate-limit.ts";
import { Throttle } from "./throttle.ts";

/** Who pauses a run. */
export type PauseCause = "operator" | "query" | "parts";

/** How a run is held back at the moment. */
export interface ThrottleState {
  /** Why the run is paused; empty: it is not. */
  readonly pausedFor: readonly string[];
  readonly rate: Rate | null;
  /** Pipelines that may work; null: as many as the run began with. */
  readonly workers: number | null;
}

/** Holds a run back, as several causes want it: it is paused as long as one of them pauses it. */
export class Throttler {
  readonly #limit = new RateLimit(createSharedRateLimit());
  /** That of the main thread. */
  readonly throttle: Throttle = new Throttle(this.shared);
  readonly #causes = new Map<PauseCause, string>();
  readonly #listeners = new Set<(state: ThrottleState) => void>();
  #workers: number | null = null;
  #wasUsed = false;

  /** The rate, for a thread that begins now. */
  get shared(): SharedRateLimit {
    return this.#limit.shared;
  }

  get state(): ThrottleState {
    return { pausedFor: [...this.#causes.values()], rate: this.#limit.rate, workers: this.#workers };
  }

  /** Whether the run was ever held back, so that its speed says nothing of others. */
  get wasUsed(): boolean {
    return this.#wasUsed;
  }

  /** Whether this cause is among those that pause the run. */
  isPausedBy(cause: PauseCause): boolean {
    return this.#causes.has(cause);
  }

  get isPaused(): boolean {
    return this.#causes.size > 0;
  }

  /** How many pipelines may work, of a run that began with `usual`. */
  pipelines(usual: number): number {
    const { rate } = this.#limit;
    return Math.min(this.#workers ?? usual, rate === null ? Number.POSITIVE_INFINITY : pipelinesAt(rate));
  }

  /** Calls `listener` with the state after each change, until the function that it returns is called. */
  onChange(listener: (state: ThrottleState) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Pauses the run. `reason` follows "paused:". */
  pause(cause: PauseCause, reason: string): void {
    if (this.#causes.get(cause) === reason) return;
    this.#causes.set(cause, reason);
    this.throttle.pause();
    this.#changed();
  }

  /** Takes a cause back. The run goes on once there is none. */
  resume(cause: PauseCause): void {
    if (!this.#causes.delete(cause)) return;
    if (!this.isPaused) this.throttle.resume();
    this.#changed();
  }

  setRate(rate: Rate | null): void {
    this.#limit.set(rate);
    this.#changed();
  }

  setWorkers(workers: number): void {
    this.#workers = workers;
    this.#changed();
  }

  #changed(): void {
    this.#wasUsed = true;
    const { state } = this;
    for (const listener of this.#listeners) listener(state);
  }
}
