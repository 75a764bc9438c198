import * as v from "valibot";
import type { Rate } from "../throttle/rate.ts";
import { A_RATE, parseRate } from "../throttle/rate.ts";

/** The orders that a run takes. */
export type ControlOrder =
  | { readonly order: "pause" | "resume" | "stop" }
  | { readonly order: "set"; readonly name: "rate"; readonly rate: Rate | null }
  | { readonly order: "set"; readonly name: "workers"; readonly workers: number };

/** As `--parallel-workers` takes it. */
const MAX_WORKERS = 256;
const WORKERS = `a whole number from 1 to ${MAX_WORKERS}`;
const NO_RATE = "none";

/** The words of the command line that make up an order, as they cross the socket. */
export const orderSchema = v.object({ words: v.pipe(v.array(v.string()), v.maxLength(2)) });

/** Words that mean no order; the message follows the name of the command and says what is accepted. */
export class UnknownOrderError extends Error {
  override readonly name: string = "UnknownOrderError";
}

const ORDERS = "expected pause, resume, stop, set rate=<RATE> or set workers=<N>";

/**
 * The order that words of the command line mean.
 * @throws {UnknownOrderError} where they mean none.
 */
export function parseOrder(words: readonly string[]): ControlOrder {
  const [order, assignment, ...others] = words;
  if (order === "pause" || order === "resume" || order === "stop") {
    if (assignment !== undefined)
      throw new UnknownOrderError(`unexpected argument ${JSON.stringify(assignment)}`);
    return { order };
  }
  if (order !== "set" || others.length > 0) {
    throw new UnknownOrderError(
      order === undefined ? ORDERS : `${JSON.stringify(words.join(" "))}: ${ORDERS}`,
    );
  }
  const [, name, value = ""] = /^([a-z]+)=(.*)$/.exec(assignment ?? "") ?? [];
  if (name === "rate") {
    const rate = parseRate(value);
    if (rate === null && value !== NO_RATE) {
      throw new UnknownOrderError(`set rate=${JSON.stringify(value)}: expected ${A_RATE}, or none`);
    }
    return { order, name, rate };
  }
  if (name === "workers") {
    const workers = /^\d{1,3}$/.test(value) ? Number(value) : 0;
    if (workers < 1 || workers > MAX_WORKERS) {
      throw new UnknownOrderError(`set workers=${JSON.stringify(value)}: expected ${WORKERS}`);
    }
    return { order, name, workers };
  }
  throw new UnknownOrderError(`set ${JSON.stringify(assignment ?? "")}: expected rate=<RATE> or workers=<N>`);
}
