import type { TimeSpent } from "../copy/page-result.ts";
import {
  isCopied,
  type Limit,
  type MonthProgress,
  type MonthsSnapshot,
  type ProgressSnapshot,
  type ProgressState,
  type RunSnapshot,
  windowStart,
} from "./progress.ts";
import { waitingAt } from "./waiting.ts";

/** The figures at `nowMs`, or `null` before the first phase. A stall lets the rates sink although no event comes. */
export function snapshotProgress(state: ProgressState, nowMs: number): ProgressSnapshot | null {
  const newest = state.samples.at(-1);
  const oldest = state.samples[windowStart(state.samples, nowMs)];
  if (state.phase === null || newest === undefined || oldest === undefined) return null;

  const elapsedSeconds = (nowMs - oldest.atMs) / 1000;
  const perSecond = (amount: number): number =>
    // Counts of a failed attempt are taken back.
    elapsedSeconds > 0 ? Math.max(amount, 0) / elapsedSeconds : 0;
  const rowsPerSecond = perSecond(newest.rows - oldest.rows);
  const isCopying = isCopied(state.phase);
  const reached = newest.rows + (isCopying ? state.doneRows : 0);
  const position = isCopying ? state.keptRows + state.doneRows : reached;
  const total = Math.max(state.phaseTotal, reached);
  return {
    phase: state.phase,
    position,
    read: isCopying ? reached : null,
    total,
    rowsPerSecond,
    bytesPerSecond: perSecond(newest.bytes - oldest.bytes),
    remainingMs: rowsPerSecond > 0 ? ((total - reached) / rowsPerSecond) * 1000 : null,
    limit: limitOf(oldest.spent, newest.spent),
    month: state.month,
  };
}

/** A share of the time from which on the throttle is what limits: what it holds back is also waited for otherwise. */
const THROTTLED_FROM = 0.4;

/** What took most of the time between two moments; null where no time was measured. */
function limitOf(from: TimeSpent, to: TimeSpent): Limit | null {
  const [reading, enriching, inserting, throttled] = [
    to.readingMs - from.readingMs,
    to.enrichingMs - from.enrichingMs,
    to.insertingMs - from.insertingMs,
    to.throttledMs - from.throttledMs,
  ];
  const total = reading + enriching + inserting;
  if (throttled > THROTTLED_FROM * total && throttled > 0) return "throttled";
  if (total <= 0) return null;
  if (reading >= enriching && reading >= inserting) return "reading";
  return enriching >= inserting ? "enriching" : "inserting";
}

/** Everything that can be said at `nowMs`. */
export function snapshotRun(state: ProgressState, nowMs: number): RunSnapshot {
  const { month, throttle, retries, lastError, phases, mishaps, movedAtMs } = state;
  const figures = snapshotProgress(state, nowMs);
  const monthsNow = state.months.length > 1 ? snapshotMonths(state, figures) : null;
  return {
    figures,
    months: monthsNow,
    done: monthsNow?.fraction ?? shareOfMonth(state),
    allMonths: state.months,
    month,
    waiting: waitingAt(state.waits, nowMs),
    throttle,
    retries,
    lastError,
    phases,
    mishaps,
    movedAtMs,
  };
}

function snapshotMonths(state: ProgressState, figures: ProgressSnapshot | null): MonthsSnapshot {
  const { months } = state;
  const isEnded = ({ outcome }: MonthProgress): boolean => outcome !== "running" && outcome !== "pending";
  const rowsOf = (some: readonly MonthProgress[]): number => some.reduce((sum, { rows }) => sum + rows, 0);
  const running = rowsOf(months.filter(({ outcome }) => outcome === "running"));
  const all = rowsOf(months);
  const done = rowsOf(months.filter(isEnded)) + running * shareOfMonth(state);
  const rate = figures?.phase === "observations" ? figures.rowsPerSecond : 0;
  return {
    months,
    ended: months.filter(isEnded).length,
    fraction: all === 0 ? 0 : done / all,
    remainingMs: rate > 0 ? ((all - done) / rate) * 1000 : null,
  };
}

/** How much of the current month's observations is kept. */
function shareOfMonth({ phases, month }: ProgressState): number {
  const kept = phases.find((phase) => phase.phase === "observations" && phase.month === month);
  if (kept === undefined) return 0;
  return kept.total === 0 ? 1 : kept.position / kept.total;
}
