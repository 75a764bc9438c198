import { BufferPool } from "../bytes/buffer-pool.ts";
import type { RetryPolicy } from "../clickhouse/retry.ts";
import type { Server } from "../clickhouse/server.ts";
import { monthReader } from "../copy/read-page.ts";
import { hasJson } from "../mapping/enrichment-sql.ts";
import type { ResolvedMapping } from "../mapping/resolve-mapping.ts";
import { type Page, type PlanScope, planPages } from "../plan/pages.ts";
import { inParallel } from "../run/in-parallel.ts";
import { loadTraces } from "../traces/loader.ts";
import type { TraceScope } from "../traces/queries.ts";
import { SegmentWriter } from "../traces/segment-writer.ts";
import { planTracePages } from "../traces/trace-pages.ts";

/** What a probe has read. */
export interface Reading {
  readonly rows: number;
  readonly bytes: number;
  readonly seconds: number;
}

const WHOLE = { after: null, upTo: null } as const;
const SPARE_BYTES = 32 * 2 ** 20;

/** Pages that each pipeline reads in a round, at most. */
const PAGES_PER_PIPELINE = 2;
/** A moment in which the server is busy with something else misleads one round, and not the median of some. */
const ROUNDS = 3;

/**
 * Reads a few pages of the observations as a run does, so many at a time, in a few rounds; returns the round of median speed, null where
 * there is nothing. Rejects with the server's error.
 */
export async function probeReading(
  scope: PlanScope,
  mapping: ResolvedMapping,
  workers: number,
  retry: RetryPolicy,
): Promise<Reading | null> {
  const buffers = new BufferPool(SPARE_BYTES);
  const { server, table, key, partition } = scope;
  const reader = monthReader(server, { mapping, table, key }, partition, buffers);
  const pages: Page[] = [];
  const perRound = workers * PAGES_PER_PIPELINE;
  for await (const page of planPages(scope, [WHOLE])) {
    if (pages.push(page) === perRound * ROUNDS) break;
  }
  const readings: Reading[] = [];
  // The last round is left out where it is not whole: its pipelines would wait for one another.
  for (let first = 0; first === 0 || first + perRound <= pages.length; first += perRound) {
    let [rows, bytes] = [0, 0];
    const startedMs = performance.now();
    await inParallel(pages.slice(first, first + perRound), workers, async (page) => {
      for await (const block of reader.blocks({ ...page, readSinceMs: 0 }, retry.signal)) {
        rows += block.rows;
        bytes += block.bytes.length;
        buffers.release(block.bytes);
      }
    });
    // Pages that hold nothing but old versions say nothing.
    if (rows > 0) readings.push({ rows, bytes, seconds: (performance.now() - startedMs) / 1000 });
  }
  readings.sort((a, b) => a.rows / a.seconds - b.rows / b.seconds);
  return readings[readings.length >> 1] ?? null;
}

/** What the traces of a window take. */
export interface TraceSample {
  /** Rows of the window, old versions included. */
  readonly windowRows: number;
  /** Rows of the sample, and the newest versions among them, as they are loaded. */
  readonly plannedRows: number;
  readonly records: number;
  readonly bytes: number;
}

/** Loads a few of the window's traces as a run does, and measures them. Rejects with the server's error. */
export async function sampleTraces(
  server: Server,
  scope: TraceScope,
  mapping: ResolvedMapping,
  retry: RetryPolicy,
): Promise<TraceSample> {
  const pages = await planTracePages(server, scope, retry.signal);
  const windowRows = pages.reduce((sum, { plannedRows }) => sum + plannedRows, 0);
  const page = pages[Math.floor(pages.length / 2)];
  let [records, bytes] = [0, 0];
  if (page === undefined) return { windowRows, plannedRows: 0, records, bytes };
  const writer = new SegmentWriter(hasJson(mapping), mapping.keptJson);
  const buffers = new BufferPool(SPARE_BYTES);
  const loading = { server, scope, columns: mapping.traceColumns, buffers, signal: retry.signal };
  await loadTraces(loading, page.range, writer, (rows, recordBytes) => {
    records += rows;
    bytes += recordBytes;
  });
  return { windowRows, plannedRows: page.plannedRows, records, bytes };
}
