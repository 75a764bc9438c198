import {
  formatByteRate,
  formatCompactCount,
  formatCount,
  formatPercent,
  formatRowRate,
  formatSeconds,
} from "./format.ts";
import type { ProgressSnapshot } from "./progress.ts";

/** The figures as one line of text, for logs. */
export function renderProgressLine(snapshot: ProgressSnapshot): string {
  return [
    `${snapshot.phase}: ${counts(snapshot, formatCount, " of ")}`,
    percent(snapshot),
    formatRowRate(snapshot.rowsPerSecond),
    formatByteRate(snapshot.bytesPerSecond),
    timeLeft(snapshot),
  ].join(", ");
}

const MIN_BAR_WIDTH = 8;
const MAX_BAR_WIDTH = 60;

/** The figures with a bar, for a terminal of `columns`; always shorter than that, so that it can't wrap. */
export function renderProgressBar(snapshot: ProgressSnapshot, columns: number): string {
  const width = columns - 1;
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
  const [, position = "", share = "", rows = "", bytes = "", left = ""] = compact;
  for (const parts of [
    [position, share, rows, bytes, left],
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
    isCompact
      ? `${formatCompactCount(snapshot.rowsPerSecond)} rows/s`
      : formatRowRate(snapshot.rowsPerSecond),
    formatByteRate(snapshot.bytesPerSecond),
    timeLeft(snapshot),
  ];
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
