import { NO_TIME, type TimeSpent } from "../copy/page-result.ts";
import { PHASES, type PhaseName } from "../plan/phases.ts";
import type { BackfillEvent, MonthOutcome } from "../run/events.ts";
import type { ThrottleState } from "../throttle/throttler.ts";
import { type Wait, type Waiting, waitOf } from "./waiting.ts";

/** What is being counted at the moment. */
export type Phase = "traces" | PhaseName | Check;

/** Phases that only check what was copied: of what they read they count rows, and no bytes. */
type Check = "verification" | "comparison";

/** Whether a phase only checks what was copied. */
export function isCheck(phase: string): phase is Check {
  return phase === "verification" || phase === "comparison";
}

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
  /** What limits the copy, by where the pipelines' time goes; null where that is not known. */
  readonly limit: Limit | null;
  /** The month; null where the command has not begun one. */
  readonly month: string | null;
}

/** What a copy is waiting for most. */
export type Limit = "reading" | "enriching" | "inserting" | "throttled";

/** Of a command for several months. */
export interface MonthsSnapshot {
  /** In the order in which they are copied. */
  readonly months: readonly MonthProgress[];
  readonly ended: number;
  /** Of all their rows; old versions count, since nothing else is known of months to come. */
  readonly fraction: number;
  readonly remainingMs: number | null;
}

/** How far a month is. */
export interface MonthProgress {
  readonly partition: string;
  /** Observations, old versions included. */
  readonly rows: number;
  readonly outcome: MonthOutcome | "running" | "pending";
  /** Rows that were copied by this run, once the month has ended. */
  readonly copiedRows: number;
  readonly durationMs: number;
}

/** What a phase has done so far. Nothing of it shrinks: what a failed attempt had counted is not taken back. */
export interface PhaseProgress {
  readonly month: string | null;
  readonly phase: Phase;
  /** By this run. */
  readonly readRows: number;
  readonly readBytes: number;
  readonly insertedRows: number;
  /** Rows done, those of earlier runs included. */
  readonly position: number;
  readonly total: number;
}

/** Something that went wrong while the run went on. */
export interface Mishap {
  readonly atMs: number;
  readonly message: string;
}

/** Everything that can be said of a run at one moment. */
export interface RunSnapshot {
  /** Null before the first phase. */
  readonly figures: ProgressSnapshot | null;
  /** Null: the command is for one month. */
  readonly months: MonthsSnapshot | null;
  /** Those of the command, one or several, in the order in which they are copied. */
  readonly allMonths: readonly MonthProgress[];
  /** The share of all months' observations that is kept, 0 to 1. */
  readonly done: number;
  readonly month: string | null;
  /** What is waited for, if anything. */
  readonly waiting: Waiting | null;
  readonly throttle: ThrottleState;
  readonly retries: number;
  /** Why something was tried again last; null: nothing was. */
  readonly lastError: string | null;
  /** Of all months, in the order in which they began. */
  readonly phases: readonly PhaseProgress[];
  /** Retries and warnings, the newest last. */
  readonly mishaps: readonly Mishap[];
  /** When rows moved last; null: none did. */
  readonly movedAtMs: number | null;
}

interface Sample {
  readonly atMs: number;
  readonly rows: number;
  readonly bytes: number;
  readonly spent: TimeSpent;
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
  /** The months of the command. */
  readonly months: readonly MonthProgress[];
  readonly month: string | null;
  readonly throttle: ThrottleState;
  readonly retries: number;
  readonly lastError: string | null;
  readonly phases: readonly PhaseProgress[];
  readonly mishaps: readonly Mishap[];
  readonly movedAtMs: number | null;
  /** Oldest first, the last one is the newest figure. Rows and bytes of this run in this phase. */
  readonly samples: readonly Sample[];
}

/** The rate is measured over this window: long enough to smooth pages, short enough to follow a change. */
const WINDOW_MS = 30_000;
/** Samples are kept this far apart, which bounds their number. */
const SAMPLE_SPACING_MS = 1_000;

/** So many are kept. */
const MAX_MISHAPS = 10;

/** A pipeline waits for one thing at a time, and there are no more of them. */
const MAX_WAITS = 256;

export const INITIAL_PROGRESS: ProgressState = {
  totalRows: 0,
  doneRows: 0,
  phase: null,
  phaseTotal: 0,
  keptRows: 0,
  waits: [],
  months: [],
  month: null,
  throttle: { pausedFor: [], rate: null, workers: null },
  retries: 0,
  lastError: null,
  phases: [],
  mishaps: [],
  movedAtMs: null,
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
      return enter(
        state,
        "traces",
        event.total,
        { atMs: nowMs, rows: event.loaded, bytes: event.bytes, spent: NO_TIME },
        { readRows: event.loaded - event.reused, insertedRows: 0 },
      );
    case "rows": {
      const sample = { atMs: nowMs, rows: event.rows, bytes: event.bytes, spent: event.spent };
      const kept = { ...state, keptRows: event.keptRows };
      const { rows, insertedRows } = event;
      return enter(kept, event.phase, state.totalRows, sample, { readRows: rows, insertedRows });
    }
    case "verified":
      return enter(state, "verification", event.totalRows, counted(event.rows, nowMs));
    case "compared":
      return enter(state, "comparison", event.totalRows, counted(event.rows, nowMs));
    case "throttle": {
      const { pausedFor, rate, workers } = event;
      return { ...state, throttle: { pausedFor, rate, workers } };
    }
    case "months":
      return {
        ...state,
        months: event.months.map((month) => ({
          ...month,
          outcome: "pending",
          copiedRows: 0,
          durationMs: 0,
        })),
      };
    case "month":
      return {
        ...INITIAL_PROGRESS,
        ...sharedByMonths(state),
        month: event.partition,
        months: withMonth(state.months, event.partition, { outcome: "running" }),
      };
    case "month-ended":
      return {
        ...state,
        phase: null,
        samples: [],
        months: withMonth(state.months, event.partition, {
          outcome: event.outcome,
          copiedRows: event.rows,
          durationMs: event.durationMs,
        }),
      };
    case "retry": {
      const lastError = `${event.operation}: ${event.message}`;
      const waiting = withWait(state, event, nowMs);
      return { ...withMishap(waiting, lastError, nowMs), retries: state.retries + 1, lastError };
    }
    case "warning":
      return withMishap(state, event.message, nowMs);
    default:
      return withWait(state, event, nowMs);
  }
}

function withWait(state: ProgressState, event: BackfillEvent, nowMs: number): ProgressState {
  const wait = waitOf(event, nowMs);
  return wait === null ? state : { ...state, waits: [...state.waits.slice(1 - MAX_WAITS), wait] };
}

function withMishap(state: ProgressState, message: string, atMs: number): ProgressState {
  return { ...state, mishaps: [...state.mishaps.slice(1 - MAX_MISHAPS), { atMs, message }] };
}

/** What a month takes over from the one before. */
function sharedByMonths(state: ProgressState): Partial<ProgressState> {
  const { months, throttle, retries, lastError, phases, mishaps, movedAtMs } = state;
  return { months, throttle, retries, lastError, phases, mishaps, movedAtMs };
}

function withMonth(
  months: readonly MonthProgress[],
  partition: string,
  change: Partial<MonthProgress>,
): readonly MonthProgress[] {
  return months.map((month) => (month.partition === partition ? { ...month, ...change } : month));
}

/** Rows that were only counted or compared. */
function counted(rows: number, atMs: number): Sample {
  return { atMs, rows, bytes: 0, spent: NO_TIME };
}

function enter(
  state: ProgressState,
  phase: Phase,
  phaseTotal: number,
  sample: Sample,
  counts: PhaseCounts = NOTHING_COUNTED,
): ProgressState {
  const isSamePhase = state.phase === phase;
  const samples = isSamePhase ? addSample(state.samples, sample) : [sample];
  const hasMoved = !isSamePhase || sample.rows > (state.samples.at(-1)?.rows ?? 0);
  return {
    ...state,
    phase,
    phaseTotal,
    samples,
    waits: hasMoved ? [] : state.waits,
    movedAtMs: hasMoved ? sample.atMs : state.movedAtMs,
    phases: withPhase(state, phase, phaseTotal, sample, counts),
  };
}

type PhaseCounts = Pick<PhaseProgress, "readRows" | "insertedRows">;

/** Counting the source again reads nothing that is copied. */
const NOTHING_COUNTED: PhaseCounts = { readRows: 0, insertedRows: 0 };

/** A phase may come back: traces are loaded again for the experiments, and its counts go on where they were. */
function withPhase(
  { phases, month, keptRows, doneRows }: ProgressState,
  phase: Phase,
  total: number,
  { rows, bytes }: Sample,
  { readRows, insertedRows }: PhaseCounts,
): readonly PhaseProgress[] {
  const index = phases.findLastIndex((known) => known.phase === phase && known.month === month);
  const before = phases[index];
  const atLeast = (amount: number, known: number | undefined): number => Math.max(amount, known ?? 0);
  const position = atLeast(isCopied(phase) ? keptRows + doneRows : rows, before?.position);
  const now: PhaseProgress = {
    month,
    phase,
    readRows: atLeast(readRows, before?.readRows),
    readBytes: atLeast(bytes, before?.readBytes),
    insertedRows: atLeast(insertedRows, before?.insertedRows),
    position,
    total: Math.max(total, position),
  };
  return before === undefined ? [...phases, now] : phases.with(index, now);
}

/** Whether a phase copies rows, and does not only read or count them. */
export function isCopied(phase: Phase): boolean {
  return PHASES.some((copied) => copied === phase);
}

function addSample(samples: readonly Sample[], sample: Sample): readonly Sample[] {
  const beforeLast = samples.at(-2);
  const replacesLast = beforeLast !== undefined && sample.atMs - beforeLast.atMs < SAMPLE_SPACING_MS;
  const kept = replacesLast ? samples.slice(0, -1) : samples;
  return [...kept.slice(windowStart(kept, sample.atMs)), sample];
}

/** Index of the newest sample that is at least a window old at `nowMs`, or 0: rates are measured from it on. */
export function windowStart(samples: readonly Sample[], nowMs: number): number {
  return Math.max(
    0,
    samples.findLastIndex((sample) => sample.atMs <= nowMs - WINDOW_MS),
  );
}
