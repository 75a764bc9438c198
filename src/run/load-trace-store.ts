import { withRetry } from "../clickhouse/retry.ts";
import type { Server } from "../clickhouse/server.ts";
import type { Page } from "../plan/pages.ts";
import type { PhaseName } from "../plan/phases.ts";
import type { Work, WorkerPool } from "../threads/worker-pool.ts";
import type { WorkerSetup } from "../threads/worker-protocol.ts";
import { createTraceStore, segmentPlaces } from "../traces/store.ts";
import { planTracePages } from "../traces/trace-pages.ts";
import type { RunContext } from "./run-context.ts";

/** Workers that are set up and hold the traces: nothing else can copy pages. */
export interface LoadedWorkers {
  /** Copies pages of a phase by so many pipelines. Rejects with the first failure once all pipelines have come to rest. */
  copyPages(
    phase: PhaseName,
    pages: AsyncIterable<Page> | Iterable<Page>,
    copy: Work<Page>,
    pipelines: number,
  ): Promise<void>;
}

/**
 * Sets the workers up and has them load the window's traces into one store that all of them read: first each fills segments of
 * its own, then, once their number is known, each enters its records into the index. At most `copiers` of the workers go on.
 */
export async function loadTraceStore(
  server: Server,
  pool: WorkerPool,
  { setup, copiers }: { readonly setup: WorkerSetup; readonly copiers: number },
  { retry, progress, throttler, stop }: RunContext,
): Promise<LoadedWorkers> {
  const { scope, datasetRunItems } = setup.traces;
  await Promise.all(pool.workers.map((worker) => worker.call("setUp", setup)));
  const pages = await withRetry(`Counting traces of ${scope.table}`, retry, () =>
    planTracePages(server, scope, retry.signal),
  );
  progress.planTraces(pages.reduce((rows, page) => rows + page.plannedRows, 0));
  await pool.doAll(pages, ({ worker }, page) => worker.call("loadTraces", page.range), { throttler, stop });
  const written = await Promise.all(pool.workers.map((worker) => worker.call("takeTraces", undefined)));
  const datasetTraces =
    datasetRunItems === null ? null : ((await pool.workers[0]?.call("loadDatasetTraces", undefined)) ?? null);
  const store = createTraceStore(written);
  const places = segmentPlaces(written.flatMap(({ segments }) => segments));
  await Promise.all(
    pool.workers.map((worker, number) => {
      const share = places.filter((_, i) => i % pool.workers.length === number);
      return worker.call("enterTraces", { store, places: share, datasetTraces });
    }),
  );
  await pool.workers[0]?.call("applyDeletions", undefined);
  progress.finishTraces();
  // Each thread compiles the program for itself: another one pays where it has a core, besides that of the rest of the process.
  pool.shrink(copiers);
  return {
    copyPages: (phase, items, copy, pipelines) =>
      pool.doAll(items, copy, {
        throttler,
        stop,
        pipelines,
        // A failure of it is one of the thread's, which its pages report.
        onDrained: ({ worker, number }) =>
          void worker.call("drain", { phase, pipeline: number }).catch(() => {}),
      }),
  };
}
