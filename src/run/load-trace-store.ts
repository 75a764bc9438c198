import { type RetryPolicy, withRetry } from "../clickhouse/retry.ts";
import type { Server } from "../clickhouse/server.ts";
import type { WorkerPool } from "../threads/worker-pool.ts";
import type { TraceScope } from "../traces/queries.ts";
import { createTraceStore, segmentPlaces } from "../traces/store.ts";
import { planTracePages } from "../traces/trace-pages.ts";
import type { RunProgress } from "./run-progress.ts";

/**
 * Has the workers load the window's traces into one store that all of them read: first each fills segments of its own,
 * then, once their number is known, each enters its records into the index.
 */
export async function loadTraceStore(
  server: Server,
  pool: WorkerPool,
  scope: TraceScope,
  retry: RetryPolicy,
  progress: RunProgress,
): Promise<void> {
  const pages = await withRetry(`Counting traces of ${scope.table}`, retry, () =>
    planTracePages(server, scope, retry.signal),
  );
  progress.planTraces(pages.reduce((rows, page) => rows + page.plannedRows, 0));
  await pool.doAll(pages, ({ worker }, page) => worker.call("loadTraces", page.range));
  const written = await Promise.all(pool.workers.map((worker) => worker.call("takeTraces", undefined)));
  const store = createTraceStore(written);
  const places = segmentPlaces(written.flatMap(({ segments }) => segments));
  await Promise.all(
    pool.workers.map((worker, number) => {
      const share = places.filter((_, i) => i % pool.workers.length === number);
      return worker.call("enterTraces", { store, places: share });
    }),
  );
  await pool.workers[0]?.call("applyDeletions", undefined);
  progress.finishTraces();
}
