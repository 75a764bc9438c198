import { type DateWindow, windowDates } from "../plan/trace-window.ts";
import type { WrittenTraces } from "../traces/store.ts";

/** Traces that two months share: loaded for one of them, and kept for the other. */
interface KeptBorder {
  readonly window: DateWindow;
  /** Says what was loaded: another run's columns would be other records. */
  readonly subject: string;
  readonly written: readonly WrittenTraces[];
}

/** How the window of a month is loaded. */
export interface WindowParts {
  /** What the month before has loaded already. */
  readonly kept: readonly WrittenTraces[];
  /** What is loaded for this month alone. */
  readonly own: DateWindow;
  /** What is loaded for this month and the next one; null: nothing. */
  readonly shared: DateWindow | null;
}

/**
 * The traces around the borders of months that are copied one after another: the windows of neighbours overlap by a few days, which are
 * loaded once.
 */
export class TraceBorders {
  readonly #order: readonly string[];
  readonly #windowDays: number;
  #kept: KeptBorder | null = null;

  /** `order`: the months as they are copied. */
  constructor(order: readonly string[], windowDays: number) {
    this.#order = order;
    this.#windowDays = windowDays;
  }

  /** Splits the window of a month by what is loaded already, and by what the next month needs as well. */
  partsOf(partition: string, subject: string): WindowParts {
    const whole = windowDates(partition, this.#windowDays);
    const kept = this.#kept;
    const before = kept !== null && kept.subject === subject ? trimmed(whole, kept.window) : null;
    const own = before ?? whole;
    const next = this.#order[this.#order.indexOf(partition) + 1];
    const overlap = next === undefined ? null : overlapOf(own, windowDates(next, this.#windowDays));
    const rest = overlap === null ? null : trimmed(own, overlap);
    return {
      kept: before === null ? [] : (kept?.written ?? []),
      own: rest ?? own,
      shared: rest === null ? null : overlap,
    };
  }

  /** Keeps what was loaded of a window for the month that comes next, and lets go of what was kept before. */
  keep(window: DateWindow | null, subject: string, written: readonly WrittenTraces[]): void {
    this.#kept = window === null ? null : { window, subject, written };
  }
}

/** The days that both windows have; null: none. */
function overlapOf(a: DateWindow, b: DateWindow): DateWindow | null {
  const [, from = ""] = [a.from, b.from].sort();
  const [until = ""] = [a.until, b.until].sort();
  return from < until ? { from, until } : null;
}

/** A window without the days of another at one of its ends; null where that is not what remains: all of it, or two pieces. */
function trimmed(window: DateWindow, part: DateWindow): DateWindow | null {
  if (part.from <= window.from && part.until > window.from && part.until < window.until) {
    return { from: part.until, until: window.until };
  }
  if (part.until >= window.until && part.from < window.until && part.from > window.from) {
    return { from: window.from, until: part.from };
  }
  return null;
}
