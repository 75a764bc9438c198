import type { BackfillEvent } from "../run/events.ts";
import { advanceProgress, INITIAL_PROGRESS, type ProgressState, type RunSnapshot } from "./progress.ts";
import { renderProgressLine, renderRunLine, renderRunScreen } from "./progress-line.ts";
import { snapshotRun } from "./progress-snapshot.ts";

/** Where progress goes: status lines that are redrawn, lines of a log, or nowhere. */
export type ProgressTarget =
  | {
      readonly kind: "screen";
      readonly columns: () => number;
      readonly setStatus: (lines: readonly string[]) => void;
      /** Takes the last figures of a phase, which stay on the screen. */
      readonly writeLine: (line: string, snapshot: RunSnapshot) => void;
    }
  | { readonly kind: "lines"; readonly writeLine: (line: string, snapshot: RunSnapshot) => void }
  | { readonly kind: "none" };

/** Shows the progress of a run from its events. */
export interface ProgressDisplay {
  onEvent(event: BackfillEvent): void;
  /** The figures of this moment. */
  snapshot(): RunSnapshot;
  /** The figures of this moment as a line of text. */
  figures(): string;
  /** Shows the last figures and stops. Safe to call twice. */
  stop(): void;
}

const SCREEN_INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 10_000;

/** Starts showing progress; `nowMs` is monotonic. A phase's last figures are always shown, however short it was. */
export function startProgressDisplay(target: ProgressTarget, nowMs: () => number): ProgressDisplay {
  let state: ProgressState = INITIAL_PROGRESS;
  let shown = state;

  const show = (): void => {
    const snapshot = snapshotRun(state, nowMs());
    shown = state;
    if (target.kind === "screen") target.setStatus(renderRunScreen(snapshot, target.columns()));
    else if (target.kind === "lines" && hasNews(snapshot))
      target.writeLine(renderRunLine(snapshot), snapshot);
  };
  const writeLastFigures = (): void => {
    const snapshot = snapshotRun(state, nowMs());
    const { figures } = snapshot;
    if (figures !== null && target.kind !== "none") target.writeLine(renderProgressLine(figures), snapshot);
    shown = state;
  };
  let timer: ReturnType<typeof setInterval> | null = setInterval(
    show,
    target.kind === "screen" ? SCREEN_INTERVAL_MS : LINE_INTERVAL_MS,
  );

  return {
    onEvent: (event) => {
      const next = advanceProgress(state, event, nowMs());
      const isPhaseOver = state.phase !== null && next.phase !== state.phase;
      if (isPhaseOver) writeLastFigures();
      state = next;
    },
    snapshot: () => snapshotRun(state, nowMs()),
    figures: () => {
      const snapshot = snapshotRun(state, nowMs());
      return snapshot.figures === null && !hasNews(snapshot)
        ? "Nothing is copied yet: the run is starting"
        : renderRunLine(snapshot);
    },
    stop: () => {
      if (timer === null) return;
      clearInterval(timer);
      timer = null;
      if (target.kind === "screen") {
        target.setStatus([]);
        writeLastFigures();
      } else if (state !== shown) writeLastFigures();
    },
  };
}

/** Whether there is more to say than that the run is starting. */
function hasNews({ figures, waiting, throttle }: RunSnapshot): boolean {
  return figures !== null || waiting !== null || throttle.pausedFor.length > 0;
}
