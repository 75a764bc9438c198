import {
  formatByteRate,
  formatCompactCount,
  formatCount,
  formatPercent,
  formatRowRate,
  formatSeconds,
} from "./format.ts";
import { isCheck, type MonthsSnapshot, type ProgressSnapshot, type RunSnapshot } from "./progress.ts";
import { runStateOf } from "./run-state.ts";

/** The figures as one line of text, for logs. */
export function renderProgressLine(snapshot: ProgressSnapshot): string {
  return [
    `${labelOf(snapshot)}: ${counts(snapshot, formatCount, " of ")}`,
    percent(snapshot),
    ...read(snapshot, formatCount),
    formatRowRate(snapshot.rowsPerSecond),
    ...byteRate(snapshot),
    timeLeft(snapshot),
  ].join(", ");
}

function labelOf({ month, phase }: ProgressSnapshot): string {
  return month === null ? phase : `${month} ${phase}`;
}

/** The whole state of a run as one line of text, for logs. */
export function renderRunLine(snapshot: RunSnapshot): string {
  const { figures, months } = snapshot;
  const parts = [
    ...(figures === null ? [] : [renderProgressLine(figures)]),
    runStateOf(snapshot, MAX_STATE_LENGTH).text,
    ...(months === null ? [] : [monthsText(months)]),
  ];
  return parts.join("; ");
}

/** What a log line says of the state, at most. */
const MAX_STATE_LENGTH = 200;

function monthsText({ ended, months, fraction, remainingMs }: MonthsSnapshot): string {
  const left = remainingMs === null ? "" : `, ${formatSeconds(remainingMs)} left`;
  return `${ended} of ${months.length} months, ${formatPercent(fraction)} of all rows${left}`;
}

/**
 * The state of a run as a few lines for a terminal of `columns`, each shorter than that, so that none wraps: all months where there are
 * several, the phase with what limits it, and its bar.
 */
export function renderRunScreen(snapshot: RunSnapshot, columns: number): string[] {
  const { figures, months } = snapshot;
  const label = figures === null ? "" : `${labelOf(figures)}: `;
  return [
    ...(months === null ? [] : [renderMonthsBar(months, columns - 1)]),
    `${label}${runStateOf(snapshot, Math.max(0, columns - 1 - label.length)).text}`.slice(0, columns - 1),
    ...(figures === null ? [] : [renderProgressBar(figures, columns)]),
  ];
}

function renderMonthsBar(snapshot: MonthsSnapshot, width: number): string {
  const { ended, months, fraction, remainingMs } = snapshot;
  const label = `months ${ended}/${months.length}`;
  const left = `${remainingMs === null ? "--" : formatSeconds(remainingMs)} left`;
  const room = width - [label, "[]", formatPercent(fraction), left].join("  ").length;
  const parts = [
    label,
    ...(room < MIN_BAR_WIDTH ? [] : [barOf(fraction, Math.min(room, MAX_BAR_WIDTH))]),
    formatPercent(fraction),
    left,
  ];
  return parts.join("  ").slice(0, width);
}

const MIN_BAR_WIDTH = 8;
const MAX_BAR_WIDTH = 60;

/** The figures with a bar, for a terminal of `columns`; always shorter than that, so that it can't wrap. */
export function renderProgressBar(snapshot: ProgressSnapshot, columns: number): string {
  const width = columns - 1;
  for (const figures of [
    figuresOf(snapshot, false).join("  "),
    figuresOf(snapshot, true).join("  "),
    figuresOf({ ...snapshot, read: null }, true).join("  "),
  ]) {
    const room = width - `[]  ${figures}`.length;
    if (room >= MIN_BAR_WIDTH) return `${bar(snapshot, Math.min(room, MAX_BAR_WIDTH))}  ${figures}`;
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

function figuresOf(snapshot: ProgressSnapshot, isCompact: boolean): string[] {
  return [
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

/** How far reading is ahead of what is kept, if it is. */
function read({ read, position }: ProgressSnapshot, format: (count: number) => string): string[] {
  return read === null || read <= position ? [] : [`${format(read)} read`];
}

function byteRate({ phase, bytesPerSecond }: ProgressSnapshot): string[] {
  return isCheck(phase) ? [] : [formatByteRate(bytesPerSecond)];
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
  return barOf(share(snapshot), width);
}

function barOf(fraction: number, width: number): string {
  const filled = Math.floor(fraction * width);
  const head = filled > 0 && filled < width ? ">" : "";
  return `[${`${"=".repeat(filled - head.length)}${head}`.padEnd(width)}]`;
}
