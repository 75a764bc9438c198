import { renderColumns, spreadOf } from "../statistics.ts";

/** What one measured piece did: its best-known time is the median of the repetitions. */
export interface Measured {
  readonly name: string;
  readonly rows: number;
  readonly bytes: number;
  readonly medianMs: number;
  readonly minMs: number;
  readonly maxMs: number;
}

/** How much one repetition works on. */
export interface Work {
  readonly rows: number;
  readonly bytes: number;
}

const WARM_UP_MS = 400;
const MEASURE_MS = 1_200;
const MIN_REPETITIONS = 9;

/** Runs `repeat` until it is warm, then again and again, and returns the spread of its times. */
export function measure(name: string, { rows, bytes }: Work, repeat: () => void): Measured {
  for (const until = performance.now() + WARM_UP_MS; performance.now() < until; ) repeat();
  Bun.gc(true);
  const times: number[] = [];
  const until = performance.now() + MEASURE_MS;
  while (times.length < MIN_REPETITIONS || performance.now() < until) {
    const started = performance.now();
    repeat();
    times.push(performance.now() - started);
  }
  const { median, min, max } = spreadOf(times);
  return { name, rows, bytes, medianMs: median, minMs: min, maxMs: max };
}

/** A table: ns a row and GB/s at the median, the fastest and slowest repetition. */
export function renderTable(results: readonly Measured[]): string {
  const head = ["", "ns/row", "min", "max", "GB/s", "M rows/s"];
  const lines = results.map(({ name, rows, bytes, medianMs, minMs, maxMs }) => {
    const nsPerRow = (ms: number): string => ((ms * 1e6) / rows).toFixed(1);
    const speed = [(bytes / medianMs / 1e6).toFixed(2), (rows / medianMs / 1e3).toFixed(2)];
    return [name, nsPerRow(medianMs), nsPerRow(minMs), nsPerRow(maxMs), ...speed];
  });
  return renderColumns([head, ...lines]);
}
