import type { Fault, ProxiedRequest, RequestKind } from "./fault-proxy-faults.ts";

/** Which requests a rule is about. */
export interface Match {
  /** A kind, or a pattern of the SQL. */
  readonly on: RequestKind | "any" | RegExp;
  /** Only requests over a connection that served one before. */
  readonly isReused?: true;
  /** Of those that match, from 1; the first unless told. "every": all of them. */
  readonly nth?: number | "every";
  /** How many in a row from `nth` on; 1 unless told. */
  readonly times?: number;
}

/** A scripted fault. */
export class Rule {
  readonly #match: Match;
  readonly #reached = Promise.withResolvers<void>();
  readonly #released = Promise.withResolvers<"go on" | "drop">();
  readonly fault: Fault;
  #seen = 0;
  #applied = 0;

  constructor(match: Match, fault: Fault) {
    this.#match = match;
    this.fault = fault;
  }

  /** How many requests met the fault: a test whose fault never struck has tested nothing. */
  get applied(): number {
    return this.#applied;
  }

  /** Resolves when the first request meets the fault; of a hold, when it has come to its place. */
  get reached(): Promise<void> {
    return this.#reached.promise;
  }

  /** Ends a hold: the request goes on, or its connection is dropped. */
  release(how: "go on" | "drop" = "go on"): void {
    this.#released.resolve(how);
  }

  /** Whether the request meets the fault; counts it. */
  takes(request: ProxiedRequest): boolean {
    if (!matches(this.#match, request)) return false;
    this.#seen += 1;
    const { nth = 1, times = 1 } = this.#match;
    const isHit = nth === "every" || (this.#seen >= nth && this.#seen < nth + times);
    if (!isHit) return false;
    this.#applied += 1;
    if (this.fault.kind !== "hold") this.#reached.resolve();
    return true;
  }

  /** The proxy's side of a hold. */
  wait(): Promise<"go on" | "drop"> {
    this.#reached.resolve();
    return this.#released.promise;
  }
}

function matches({ on, isReused }: Match, request: ProxiedRequest): boolean {
  if (isReused && !request.isReused) return false;
  if (on instanceof RegExp) return on.test(request.sql);
  return on === "any" || on === request.kind;
}

/** Decides the fault that a request meets, if any. */
export type Chaos = (request: ProxiedRequest) => Fault | null;

/** Faults at random. */
export interface RandomFaults {
  readonly seed: number;
  /** Of a request to meet a fault, 0 to 1. */
  readonly probability: number;
  readonly faults: readonly Fault[];
}

/**
 * Which requests meet which faults depends on the seed and the requests' kinds and numbers only, so that a seed means the
 * same however the requests of several workers interleave.
 */
export function randomFaults({ seed, probability, faults }: RandomFaults): Chaos {
  return ({ kind, nth }) => {
    const draw = Bun.hash.wyhash(`${kind} ${nth}`, BigInt(seed));
    if (Number(draw & 0xffffn) / 0x10000 >= probability) return null;
    return faults[Number((draw >> 16n) % BigInt(faults.length))] ?? null;
  };
}
