const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const TENTHS = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** `12345678` as `12,345,678`. */
export function formatCount(count: number): string {
  return WHOLE.format(count);
}

const UNITS = ["", "k", "M", "B", "T"] as const;

/** A count in at most five characters or so, for narrow terminals: three significant digits, as in `12.3M`, `2.50B`. */
export function formatCompactCount(count: number): string {
  let scaled = count;
  let unit = 0;
  // 999.5 would be rounded to 1000.
  while (scaled >= 999.5 && unit < UNITS.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2;
  return `${scaled.toFixed(digits)}${UNITS[unit] ?? ""}`;
}

/** Bytes per second in MB, the unit of every progress line: `123.4 MB/s`. */
export function formatByteRate(bytesPerSecond: number): string {
  return `${TENTHS.format(bytesPerSecond / 1e6)} MB/s`;
}

/** Rows per second in full: `85,123 rows/s`. */
export function formatRowRate(rowsPerSecond: number): string {
  return `${formatCount(rowsPerSecond)} rows/s`;
}

/** `850 ms` below a second, `4.2s` below ten, then as {@link formatSeconds}. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`;
  if (durationMs < 10_000) return `${(Math.floor(durationMs / 100) / 10).toFixed(1)}s`;
  return formatSeconds(durationMs);
}

/** Whole seconds: `5s`, `2m 05s`, `1h 02m 03s`; days are counted as hours. */
export function formatSeconds(durationMs: number): string {
  const seconds = Math.floor(durationMs / 1000);
  const two = (part: number): string => String(part).padStart(2, "0");
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${two(seconds % 60)}s`;
  return `${Math.floor(minutes / 60)}h ${two(minutes % 60)}m ${two(seconds % 60)}s`;
}

/** A moment of ISO 8601, to the second: `2026-01-31 12:34:56`. */
export function formatMoment(iso: string): string {
  return iso.replace("T", " ").replace(/\.\d+Z$/, "");
}

/** A share of 1 as `45.3%`; cut, not rounded, so that 100.0% means all. */
export function formatPercent(fraction: number): string {
  return `${(Math.floor(fraction * 1000) / 10).toFixed(1)}%`;
}

/** The text, or its beginning with an ellipsis, in at most `length` characters. */
export function shortened(text: string, length: number): string {
  if (text.length <= length) return text;
  return length < 1 ? "" : `${text.slice(0, length - 1)}…`;
}
