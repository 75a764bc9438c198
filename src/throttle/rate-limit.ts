import type { Rate, RateUnit } from "./rate.ts";

/** A limit as it goes to another thread: the memory that all threads share, and the clock that the limit is kept by. */
export interface SharedRateLimit {
  readonly buffer: SharedArrayBuffer;
  /** One moment by that clock, and by the time of day. */
  readonly moment: { readonly ns: bigint; readonly wallMs: number };
}

/** The clocks of a thread. */
export interface ThreadClock {
  /** Monotonic. In Bun it begins anew in each thread. */
  nowNs(): bigint;
  /** Milliseconds since 1970. */
  wallMs(): number;
}

const THREAD_CLOCK: ThreadClock = { nowNs: () => process.hrtime.bigint(), wallMs: () => Date.now() };

/** Fields of the shared memory, each a 64-bit integer. */
const FIELD = { unit: 0, perSecond: 1, nextNs: 2, version: 3 } as const;
const FIELDS = 4;
const UNITS: readonly (RateUnit | null)[] = [null, "bytes", "rows"];

const NS_PER_SECOND = 1_000_000_000;
const NS_PER_MS = 1_000_000n;
/** What was not used counts for this long, so that a pause between pages does not lower the rate. */
const BURST_NS = BigInt(NS_PER_SECOND);

/** Makes a limit that lets everything through. */
export function createSharedRateLimit(clock: ThreadClock = THREAD_CLOCK): SharedRateLimit {
  const moment = { ns: clock.nowNs(), wallMs: clock.wallMs() };
  return { buffer: new SharedArrayBuffer(FIELDS * 8), moment };
}

/** A time that has been given to an amount: it may be sent then, unless the rate has changed since. */
export interface Slot {
  /** From now on. */
  readonly waitMs: number;
  readonly version: bigint;
}

/**
 * Gives out times at which amounts may be sent, so that all threads together keep to a rate: each amount takes its share of a second,
 * and the next one begins where it ends.
 */
export class RateLimit {
  readonly #fields: BigInt64Array;
  readonly #buffer: SharedArrayBuffer;
  readonly #clock: ThreadClock;
  /** What this thread's clock is behind the one that the limit is kept by. */
  readonly #behindNs: bigint;

  constructor({ buffer, moment }: SharedRateLimit, clock: ThreadClock = THREAD_CLOCK) {
    this.#fields = new BigInt64Array(buffer);
    this.#buffer = buffer;
    this.#clock = clock;
    const sinceNs = BigInt(clock.wallMs() - moment.wallMs) * NS_PER_MS;
    this.#behindNs = moment.ns + sinceNs - clock.nowNs();
  }

  /** The limit for a thread that begins now: the time of day may be set between two moments that lie far apart. */
  get shared(): SharedRateLimit {
    return { buffer: this.#buffer, moment: { ns: this.#nowNs(), wallMs: this.#clock.wallMs() } };
  }

  /** The rate that is kept; null: none. */
  get rate(): Rate | null {
    const unit = UNITS[Number(Atomics.load(this.#fields, FIELD.unit))] ?? null;
    return unit === null ? null : { unit, perSecond: Number(Atomics.load(this.#fields, FIELD.perSecond)) };
  }

  /** Changes with each rate that is set. */
  get version(): bigint {
    return Atomics.load(this.#fields, FIELD.version);
  }

  set(rate: Rate | null): void {
    Atomics.store(this.#fields, FIELD.unit, BigInt(UNITS.indexOf(rate?.unit ?? null)));
    Atomics.store(this.#fields, FIELD.perSecond, BigInt(Math.max(1, Math.round(rate?.perSecond ?? 1))));
    Atomics.store(this.#fields, FIELD.nextNs, this.#nowNs());
    Atomics.add(this.#fields, FIELD.version, 1n);
  }

  /** Takes the next time for an amount. */
  reserve(rows: number, bytes: number): Slot {
    const { version, rate } = this;
    if (rate === null) return { waitMs: 0, version };
    const amount = rate.unit === "rows" ? rows : bytes;
    const costNs = BigInt(Math.ceil((amount / rate.perSecond) * NS_PER_SECOND));
    for (;;) {
      const nowNs = this.#nowNs();
      const nextNs = Atomics.load(this.#fields, FIELD.nextNs);
      const beginNs = nextNs < nowNs - BURST_NS ? nowNs - BURST_NS : nextNs;
      if (Atomics.compareExchange(this.#fields, FIELD.nextNs, nextNs, beginNs + costNs) !== nextNs) continue;
      return { waitMs: Math.max(0, Number(beginNs - nowNs) / 1e6), version };
    }
  }

  #nowNs(): bigint {
    return this.#clock.nowNs() + this.#behindNs;
  }
}
