import type { BackfillEvent } from "../run/events.ts";
import { formatSeconds, shortened } from "./format.ts";

/** Something that a run waits for. */
export interface Wait {
  /** What happens, up to the time that is left. */
  readonly what: string;
  /** Why, in the server's words or this program's. */
  readonly reason: string;
  /** When the pause is over; null: it ends when the server responds. */
  readonly untilMs: number | null;
  readonly sinceMs: number;
}

/** What a run waits for at one moment. */
export interface Waiting {
  readonly what: string;
  readonly reason: string;
  /** Until the pause is over; null: not known. */
  readonly leftMs: number | null;
  /** How long it has lasted. */
  readonly forMs: number;
  /** How many pipelines wait, this one included. */
  readonly count: number;
}

/** The wait that an event begins; null: it begins none. */
export function waitOf(event: BackfillEvent, nowMs: number): Wait | null {
  switch (event.kind) {
    case "wait":
      return {
        what: `waiting for ${event.reason}`,
        reason: event.message,
        untilMs: nowMs + event.delayMs,
        sinceMs: nowMs,
      };
    case "retry":
      return {
        what: `retry ${event.attempt} of ${event.maxRetries}`,
        reason: event.message,
        untilMs: nowMs + event.delayMs,
        sinceMs: nowMs,
      };
    case "quiet":
      return {
        what: "no response from the server",
        reason: `waiting for ${event.operation}`,
        untilMs: null,
        sinceMs: nowMs - event.sinceMs,
      };
    default:
      return null;
  }
}

/** What matters of the waits at `nowMs`: the one that lasts longest. Null when all pauses are over. */
export function waitingAt(waits: readonly Wait[], nowMs: number): Waiting | null {
  const current = waits.filter(({ untilMs }) => untilMs === null || untilMs > nowMs);
  const endOf = ({ untilMs }: Wait): number => untilMs ?? Number.POSITIVE_INFINITY;
  const longest = current.toSorted((a, b) => endOf(b) - endOf(a))[0];
  if (longest === undefined) return null;
  const { what, reason, untilMs, sinceMs } = longest;
  return {
    what,
    reason,
    leftMs: untilMs === null ? null : untilMs - nowMs,
    forMs: nowMs - sinceMs,
    count: current.length,
  };
}

/** The wait as text of at most `length` characters. */
export function renderWaiting({ what, reason, leftMs, forMs, count }: Waiting, length: number): string {
  const time =
    leftMs === null ? `for ${formatSeconds(forMs)}` : `in ${formatSeconds(Math.ceil(leftMs / 1000) * 1000)}`;
  const others = count > 1 ? ` (${count} pipelines)` : "";
  const text = `${what}${leftMs !== null && what.startsWith("waiting") ? `, again ${time}` : ` ${time}`}${others}: ${reason.replace(/\s+/g, " ")}`;
  return shortened(text, length);
}
