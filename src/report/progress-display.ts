import type { BackfillEvent } from "../run/events.ts";
import { advanceProgress, INITIAL_PROGRESS, type ProgressState, snapshotProgress } from "./progress.ts";
import { renderProgressBar, renderProgressLine } from "./progress-line.ts";
import { renderWaiting, waitingAt } from "./waiting.ts";

/** Where progress goes: a status line that is redrawn, or lines of a log. */
export type ProgressTarget =
  | {
      readonly kind: "bar";
      readonly columns: () => number;
      readonly setStatus: (status: string | null) => void;
      /** Takes the last figures of a phase, which stay on the screen. */
      readonly writeLine: (line: string) => void;
    }
  | { readonly kind: "lines"; readonly writeLine: (line: string) => void };

/** Shows the progress of a run from its events. */
export interface ProgressDisplay {
  onEvent(event: BackfillEvent): void;
  /** The figures of this moment as a line of text. */
  figures(): string;
  /** Shows the last figures and stops. Safe to call twice. */
  stop(): void;
}

const BAR_INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 10_000;
const MAX_LINE_LENGTH = 200;

/** Starts showing progress; `nowMs` is monotonic. A phase's last figures are always shown, however short it was. */
export function startProgressDisplay(target: ProgressTarget, nowMs: () => number): ProgressDisplay {
  let state: ProgressState = INITIAL_PROGRESS;
  let shown = state;

  const show = (): void => {
    const snapshot = snapshotProgress(state, nowMs());
    if (snapshot === null) {
      showEarlyWait();
      return;
    }
    shown = state;
    if (target.kind === "bar") target.setStatus(renderProgressBar(snapshot, target.columns()));
    else target.writeLine(renderProgressLine(snapshot));
  };
  /** Before the first phase there are no figures, but there may be something to wait for. */
  const showEarlyWait = (): void => {
    const waiting = waitingAt(state.waits, nowMs());
    if (target.kind === "bar") {
      target.setStatus(waiting === null ? null : renderWaiting(waiting, target.columns() - 1));
    } else if (waiting !== null) target.writeLine(renderWaiting(waiting, MAX_LINE_LENGTH));
  };
  const writeLastFigures = (): void => {
    const snapshot = snapshotProgress(state, nowMs());
    if (snapshot !== null) target.writeLine(renderProgressLine({ ...snapshot, waiting: null }));
    shown = state;
  };
  let timer: ReturnType<typeof setInterval> | null = setInterval(
    show,
    target.kind === "bar" ? BAR_INTERVAL_MS : LINE_INTERVAL_MS,
  );

  return {
    onEvent: (event) => {
      const next = advanceProgress(state, event, nowMs());
      const isPhaseOver = state.phase !== null && next.phase !== state.phase;
      if (isPhaseOver) writeLastFigures();
      state = next;
    },
    figures: () => {
      const snapshot = snapshotProgress(state, nowMs());
      return snapshot === null ? "Nothing is copied yet: the run is starting" : renderProgressLine(snapshot);
    },
    stop: () => {
      if (timer === null) return;
      clearInterval(timer);
      timer = null;
      if (target.kind === "bar") {
        target.setStatus(null);
        writeLastFigures();
      } else if (state !== shown) writeLastFigures();
    },
  };
}
