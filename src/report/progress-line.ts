import {
  formatByteRate,
  formatCompactCount,
  formatCount,
  formatPercent,
  formatRowRate,
  formatSeconds,
} from "./format.ts";
import type { ProgressSnapshot } from "./progress.ts";
import { renderWaiting, type Waiting } from "./waiting.ts";

/** The figures as one line of text, for logs. */
export function renderProgressLine(snapshot: ProgressSnapshot): string {
  const figures = [
    `${snapshot.phase}: ${counts(snapshot, formatCount, " of ")}`,
    percent(snapshot),
    ...read(snapshot, formatCount),
    formatRowRate(snapshot.rowsPerSecond),
    ...byteRate(snapshot),
    timeLeft(snapshot),
  ].join(", ");
  return snapshot.waiting === null
    ? figures
    : `${figures}; ${renderWaiting(snapshot.waiting, MAX_WAITING_LENGTH)}`;
}

/** What a log line says of a wait, at most. */
const MAX_WAITING_LENGTH = 200;
/** Less would not say what is waited for. */
const MIN_WAITING_LENGTH = 20;

const MIN_BAR_WIDTH = 8;
const MAX_BAR_WIDTH = 60;

/** The figures with a bar, for a terminal of `columns`; always shorter than that, so that it can't wrap. */
export function renderProgressBar(snapshot: ProgressSnapshot, columns: number): string {
  const width = columns - 1;
  if (snapshot.waiting !== null) return renderWaitingBar(snapshot, snapshot.waiting, width);
  const wide = layout(snapshot, false);
  const compact = layout(snapshot, true);
  for (const [label, ...figures] of [wide, compact, ["", ...compact.slice(1)]]) {
    const parts = label ? [label, "[]", ...figures] : ["[]", ...figures];
    const room = width - parts.join("  ").length;
    if (room < MIN_BAR_WIDTH) continue;
    parts[parts.indexOf("[]")] = bar(snapshot, Math.min(room, MAX_BAR_WIDTH));
    return parts.join("  ");
  }
  // Too narrow for a bar: what can be worked out from the rest goes first.
  const [position, share, rows, left] = [
    counts(snapshot, formatCompactCount, "/"),
    percent(snapshot),
    `${formatCompactCount(snapshot.rowsPerSecond)} rows/s`,
    timeLeft(snapshot),
  ];
  for (const parts of [
    [position, share, rows, ...byteRate(snapshot), left],
    [position, share, rows, left],
    [share, rows, left],
    [share, left],
  ]) {
    const line = parts.join("  ");
    if (line.length <= width) return line;
  }
  return share.slice(0, Math.max(0, width));
}

function layout(snapshot: ProgressSnapshot, isCompact: boolean): string[] {
  return [
    snapshot.phase,
    counts(snapshot, isCompact ? formatCompactCount : formatCount, "/"),
    percent(snapshot),
    ...read(snapshot, isCompact ? formatCompactCount : formatCount),
    isCompact
      ? `${formatCompactCount(snapshot.rowsPerSecond)} rows/s`
      : formatRowRate(snapshot.rowsPerSecond),
    ...byteRate(snapshot),
    timeLeft(snapshot),
  ];
}

/** Where nothing moves, what is waited for says more than rates do. */
function renderWaitingBar(snapshot: ProgressSnapshot, waiting: Waiting, width: number): string {
  const [phase, position, share] = [
    snapshot.phase,
    counts(snapshot, formatCompactCount, "/"),
    percent(snapshot),
  ];
  for (const figures of [[phase, position, share], [phase, share], [share]]) {
    const line = `${figures.join("  ")}  `;
    if (line.length + MIN_WAITING_LENGTH <= width)
      return `${line}${renderWaiting(waiting, width - line.length)}`;
  }
  return share.slice(0, Math.max(0, width));
}

/** How far reading is ahead of what is kept, if it is. */
function read({ read, position }: ProgressSnapshot, format: (count: number) => string): string[] {
  return read === null || read <= position ? [] : [`${format(read)} read`];
}

/** Counts have no size. */
function byteRate({ phase, bytesPerSecond }: ProgressSnapshot): string[] {
  return phase === "verification" ? [] : [formatByteRate(bytesPerSecond)];
}

function counts(snapshot: ProgressSnapshot, format: (count: number) => string, between: string): string {
  return `${format(snapshot.position)}${between}${format(snapshot.total)}`;
}

function share(snapshot: ProgressSnapshot): number {
  return snapshot.total === 0 ? 1 : snapshot.position / snapshot.total;
}

function percent(snapshot: ProgressSnapshot): string {
  return formatPercent(share(snapshot));
}

function timeLeft(snapshot: ProgressSnapshot): string {
  if (snapshot.position >= snapshot.total) return "0s left";
  if (snapshot.remainingMs === null) return "-- left";
  return `${formatSeconds(Math.max(1000, Math.ceil(snapshot.remainingMs / 1000) * 1000))} left`;
}

function bar(snapshot: ProgressSnapshot, width: number): string {
  const filled = Math.floor(share(snapshot) * width);
  const head = filled > 0 && filled < width ? ">" : "";
  return `[${`${"=".repeat(filled - head.length)}${head}`.padEnd(width)}]`;
}
