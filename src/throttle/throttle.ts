import { pause } from "../abortable.ts";
import { Gate } from "./gate.ts";
import { RateLimit, type SharedRateLimit } from "./rate-limit.ts";

/** A change of the rate is noticed after this long, at most. */
const LOOK_AGAIN_MS = 250;
/** A response that is not read for longer is in the way of the server, and of load balancers. */
const LET_GO_AFTER_MS = 20_000;

/** The pause lasts: what holds something open on the server lets go of it, and begins again afterwards. */
export class LongPauseError extends Error {
  override readonly name: string = "LongPauseError";

  constructor() {
    super("The run is paused");
  }
}

/** What holds back the work of one thread. All threads of a run keep to one rate, and are paused together. */
export class Throttle {
  readonly #gate = new Gate();
  readonly #limit: RateLimit;
  #letGo = new AbortController();
  /** By `performance.now()`; null: there is no pause. */
  #pausedSinceMs: number | null = null;
  #pausedMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(shared: SharedRateLimit) {
    this.#limit = new RateLimit(shared);
  }

  get isPaused(): boolean {
    return this.#gate.isClosed;
  }

  /** Aborts, with a LongPauseError, when a pause lasts. A pause that follows has a signal of its own. */
  get letGo(): AbortSignal {
    return this.#letGo.signal;
  }

  /** A clock in milliseconds that stands still during a pause, for how long work takes. */
  get workMs(): number {
    return (this.#pausedSinceMs ?? performance.now()) - this.#pausedMs;
  }

  pause(): void {
    if (this.isPaused) return;
    this.#gate.close();
    this.#pausedSinceMs = performance.now();
    this.#timer = setTimeout(() => this.#letGo.abort(new LongPauseError()), LET_GO_AFTER_MS);
  }

  resume(): void {
    clearTimeout(this.#timer);
    if (this.#pausedSinceMs !== null) this.#pausedMs += performance.now() - this.#pausedSinceMs;
    this.#pausedSinceMs = null;
    if (this.#letGo.signal.aborted) this.#letGo = new AbortController();
    this.#gate.open();
  }

  /** Resolves while there is no pause. Rejects with the signal's reason. */
  async pass(signal: AbortSignal): Promise<void> {
    await this.#gate.pass(signal);
  }

  /** Resolves when so much may be sent. Rejects with the signal's reason. */
  async admit(rows: number, bytes: number, signal: AbortSignal): Promise<void> {
    await this.#keepToRate(rows, bytes, signal);
    await this.#gate.pass(signal);
  }

  async #keepToRate(rows: number, bytes: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      const { waitMs, version } = this.#limit.reserve(rows, bytes);
      const untilMs = performance.now() + waitMs;
      for (let leftMs = waitMs; leftMs > 0; leftMs = untilMs - performance.now()) {
        await pause(Math.min(leftMs, LOOK_AGAIN_MS), signal);
        if (this.#limit.version !== version) break;
      }
      // Under another rate the time that was given is void.
      if (waitMs === 0 || this.#limit.version === version) return;
    }
  }
}
