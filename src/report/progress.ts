import { PHASES, type PhaseName } from "../plan/phases.ts";
import type { BackfillEvent } from "../run/events.ts";
import { type Wait, type Waiting, waitingAt, waitOf } from "./waiting.ts";

/** What is being counted at the moment. */
export type Phase = "traces" | PhaseName | "verification";

/** The figures of one moment, for any renderer. */
export interface ProgressSnapshot {
  readonly phase: Phase;
  /**
   * Rows done, those of earlier runs included. Of observations: those that are kept, acknowledged by the server and in the
   * checkpoint.
   */
  readonly position: number;
  /** Observations that were read, which are ahead of those that are kept; null in other phases. */
  readonly read: number | null;
  /** Never below `position`: rows may arrive while the run goes on. */
  readonly total: number;
  /** Rows read per second, over the last 30 seconds; 0 until there is something to measure. */
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
  /** By what is read, which moves evenly; `null` while nothing moves. */
  readonly remainingMs: number | null;
  /** What is waited for, if anything. */
  readonly waiting: Waiting | null;
}

interface Sample {
  readonly atMs: number;
  readonly rows: number;
  readonly bytes: number;
}

/** What the events of a run have reported so far. */
export interface ProgressState {
  readonly totalRows: number;
  readonly doneRows: number;
  /** `null` until a phase has begun. */
  readonly phase: Phase | null;
  readonly phaseTotal: number;
  /** Observations of this run that are kept. */
  readonly keptRows: number;
  /** What was waited for since rows moved last. */
  readonly waits: readonly Wait[];
  /** Oldest first, the last one is the newest figure. Rows and bytes of this run in this phase. */
  readonly samples: readonly Sample[];
}

/** The rate is measured over this window: long enough to smooth pages, short enough to follow a change. */
const WINDOW_MS = 30_000;
/** Samples are kept this far apart, which bounds their number. */
const SAMPLE_SPACING_MS = 1_000;

/** A pipeline waits for one thing at a time, and there are no more of them. */
const MAX_WAITS = 256;

export const INITIAL_PROGRESS: ProgressState = {
  totalRows: 0,
  doneRows: 0,
  phase: null,
  phaseTotal: 0,
  keptRows: 0,
  waits: [],
  samples: [],
};

/** The state after one more event. */
export function advanceProgress(state: ProgressState, event: BackfillEvent, nowMs: number): ProgressState {
  switch (event.kind) {
    case "planned":
      return { ...state, totalRows: event.totalRows, doneRows: event.doneRows, keptRows: 0 };
    case "replanned":
      return { ...state, totalRows: event.totalRows };
    case "traces":
      return enter(state, "traces", event.total, { atMs: nowMs, rows: event.loaded, bytes: event.bytes });
    case "rows": {
      const sample = { atMs: nowMs, rows: event.rows, bytes: event.bytes };
      return enter({ ...state, keptRows: event.keptRows }, event.phase, state.totalRows, sample);
    }
    case "verified":
      return enter(state, "verification", event.totalRows, { atMs: nowMs, rows: event.rows, bytes: 0 });
    default: {
      const wait = waitOf(event, nowMs);
      return wait === null ? state : { ...state, waits: [...state.waits.slice(1 - MAX_WAITS), wait] };
    }
  }
}

function enter(state: ProgressState, phase: Phase, phaseTotal: number, sample: Sample): ProgressState {
  const isSamePhase = state.phase === phase;
  const samples = isSamePhase ? addSample(state.samples, sample) : [sample];
  const hasMoved = !isSamePhase || sample.rows > (state.samples.at(-1)?.rows ?? 0);
  return { ...state, phase, phaseTotal, samples, waits: hasMoved ? [] : state.waits };
}

function addSample(samples: readonly Sample[], sample: Sample): readonly Sample[] {
  const beforeLast = samples.at(-2);
  const replacesLast = beforeLast !== undefined && sample.atMs - beforeLast.atMs < SAMPLE_SPACING_MS;
  const kept = replacesLast ? samples.slice(0, -1) : samples;
  return [...kept.slice(windowStart(kept, sample.atMs)), sample];
}

/** Index of the newest sample that is at least a window old, or 0. */
function windowStart(samples: readonly Sample[], nowMs: number): number {
  return Math.max(
    0,
    samples.findLastIndex((sample) => sample.atMs <= nowMs - WINDOW_MS),
  );
}

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
  const isCopying = PHASES.some((phase) => phase === state.phase);
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
    waiting: waitingAt(state.waits, nowMs),
  };
}
