import { formatRate } from "../throttle/rate.ts";
import { shortened } from "./format.ts";
import type { RunSnapshot } from "./progress.ts";
import { renderWaiting } from "./waiting.ts";

/** What a run is doing, or is held back by; the names are those of the JSON outputs. */
export const RUN_STATES = [
  "starting",
  "loading-traces",
  "reading",
  "enriching",
  "inserting",
  "copying",
  "counting",
  "comparing",
  "waiting",
  "throttled",
  "paused",
] as const;

export type RunStateName = (typeof RUN_STATES)[number];

/** The state of a run with its reason. */
export interface RunState {
  readonly name: RunStateName;
  /** One line, of at most as many characters as asked for. */
  readonly text: string;
}

/** What limits the run at the moment, in a text of at most `length` characters. */
export function runStateOf(snapshot: RunSnapshot, length: number): RunState {
  const { figures, waiting, throttle } = snapshot;
  if (throttle.pausedFor.length > 0) return cut("paused", `paused: ${throttle.pausedFor.join("; ")}`, length);
  if (waiting !== null) return { name: "waiting", text: renderWaiting(waiting, length) };
  const held = heldBackText(snapshot);
  if (figures === null) return cut("starting", "starting", length);
  switch (figures.phase) {
    case "traces":
      return cut("loading-traces", `loading traces${held}`, length);
    case "verification":
      return cut("counting", "counting the source to compare it with what was read", length);
    case "comparison":
      return cut("comparing", "comparing the target with its sources", length);
    default:
  }
  switch (figures.limit) {
    case "throttled":
      return cut("throttled", `throttled${held}`, length);
    case null:
      return cut("copying", `copying${held}`, length);
    default:
      return cut(figures.limit, `limited by ${figures.limit}${held}`, length);
  }
}

/** The limits that are set, in brackets. */
function heldBackText({ throttle: { rate, workers } }: RunSnapshot): string {
  const limits = [
    ...(rate === null ? [] : [`at most ${formatRate(rate)} a second`]),
    ...(workers === null ? [] : [`${workers} ${workers === 1 ? "worker" : "workers"}`]),
  ];
  return limits.length === 0 ? "" : ` (${limits.join(", ")})`;
}

function cut(name: RunStateName, text: string, length: number): RunState {
  return { name, text: shortened(text, length) };
}
