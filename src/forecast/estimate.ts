import { indexBytes } from "../traces/store.ts";
import type { Reading, TraceSample } from "./probe.ts";

/** How fast months are copied, and how that is known. */
export interface Speed {
  readonly rowsPerSecond: number;
  /** The time may be this many times as long, or as short. */
  readonly uncertainty: number;
  readonly source: "record" | "probe";
}

/** What makes the target more expensive than reading. */
export interface TargetCost {
  readonly hasJsonColumn: boolean;
  /** Indexes of tokens or n-grams of text, over the columns with the large values. */
  readonly hasTextIndexes: boolean;
}

/**
 * Times that reading a page takes, for copying it at the defaults: what the server does with an INSERT (sort, compress, index), beside
 * reading it. Fitted to a run each into the real `events` and `events_full`, with the server and this program on the same two cores.
 */
const COPY_PER_READ = { plain: 2.3, jsonColumn: 1.6, textIndexes: 2.1 } as const;

/** A machine with more cores, or one that is busy, is that much off. */
const PROBE_UNCERTAINTY = 2;
const RECORD_UNCERTAINTY = 1.3;

/** The speed of the last runs, where there were some; otherwise the one that a probe suggests; null without either. */
export function estimateSpeed(
  records: readonly number[],
  reading: Reading | null,
  cost: TargetCost,
): Speed | null {
  const sorted = [...records].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  if (median !== undefined) {
    return { rowsPerSecond: median, uncertainty: RECORD_UNCERTAINTY, source: "record" };
  }
  if (reading === null || reading.seconds === 0) return null;
  const factor =
    COPY_PER_READ.plain *
    (cost.hasJsonColumn ? COPY_PER_READ.jsonColumn : 1) *
    (cost.hasTextIndexes ? COPY_PER_READ.textIndexes : 1);
  return {
    rowsPerSecond: reading.rows / reading.seconds / factor,
    uncertainty: PROBE_UNCERTAINTY,
    source: "probe",
  };
}

/** What the program takes besides the traces, and each pipeline besides its blocks. */
const BASE_BYTES = 105e6;
const PIPELINE_BYTES = 13e6;
/** Blocks that are being read, enriched and sent, fitted to runs with rows of 300 B to 10 kB. Wide rows are cut by their bytes. */
const BLOCKS_PER_PIPELINE = 1.6;
const MAX_BLOCK_BYTES = 30e6;
/** Where no row could be read. */
const USUAL_ROW_BYTES = 1_400;

/** What the pipelines of a run hold. */
export interface PipelineLoad {
  readonly pipelines: number;
  /** `--batch-size`. */
  readonly batchRows: number;
  /** Null: not known. */
  readonly rowBytes: number | null;
}

/** The memory of a run whose window has so many traces, old versions included, as a sample of them suggests. */
export function estimateMemory(
  windowRows: number,
  sample: TraceSample,
  { pipelines, batchRows, rowBytes }: PipelineLoad,
): number {
  const cut = Math.max(MAX_BLOCK_BYTES, (MAX_BLOCK_BYTES / 10_000) * batchRows);
  const block = Math.min(batchRows * (rowBytes ?? USUAL_ROW_BYTES), cut);
  const base = BASE_BYTES + pipelines * (PIPELINE_BYTES + BLOCKS_PER_PIPELINE * block);
  if (sample.records === 0) return base;
  const records = Math.ceil(windowRows * (sample.records / sample.plannedRows));
  return base + records * (sample.bytes / sample.records) + indexBytes(records);
}

/** Days around a month whose traces are loaded as well, as a share of it. */
export function windowRowsOf(monthRows: number, windowDays: number): number {
  return Math.round(monthRows * (1 + (2 * windowDays) / 30));
}
