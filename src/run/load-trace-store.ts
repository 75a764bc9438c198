import { withRetry } from "../clickhouse/retry.ts";
import type { Server } from "../clickhouse/server.ts";
import type { Page } from "../plan/pages.ts";
import type { PhaseName } from "../plan/phases.ts";
import type { TraceWindow } from "../plan/trace-window.ts";
import type { Pipeline, Work, WorkerPool } from "../threads/worker-pool.ts";
import type { TraceSetup, WorkerSetup } from "../threads/worker-protocol.ts";
import { createTraceStore, segmentPlaces, type WrittenTraces } from "../traces/store.ts";
import { planTracePages, type TracePage } from "../traces/trace-pages.ts";
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
  context: RunContext,
): Promise<LoadedWorkers> {
  const { retry, progress, throttler, stop } = context;
  const { scope, datasetRunItems } = setup.traces;
  await Promise.all(pool.workers.map((worker) => worker.call("setUp", setup)));
  const loadWindow = async (window: TraceWindow): Promise<WrittenTraces[]> => {
    const pages = await withRetry(`Counting traces of ${scope.table}`, retry, () =>
      planTracePages(server, { ...scope, window }, retry.signal),
    );
    progress.planTraces(pages.reduce((rows, page) => rows + page.plannedRows, 0));
    const load = ({ worker }: Pipeline, { range }: TracePage): Promise<undefined> =>
      worker.call("loadTraces", { window, range });
    await pool.doAll(pages, load, { throttler, stop });
    return await Promise.all(pool.workers.map((worker) => worker.call("takeTraces", undefined)));
  };
  const written = await loadParts(setup.traces, context, loadWindow);
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

/** Loads the window of a month, but for what the month before has loaded; what the next one needs as well is kept for it. */
async function loadParts(
  { scope, ...columns }: TraceSetup,
  { borders, options, progress }: RunContext,
  loadWindow: (window: TraceWindow) => Promise<WrittenTraces[]>,
): Promise<WrittenTraces[]> {
  if (borders === null || "datasetRunItems" in scope.window) return await loadWindow(scope.window);
  const subject = JSON.stringify({ table: scope.table, ...columns });
  const { kept, own, shared } = borders.partsOf(options.partition, subject);
  for (const { segments } of kept) {
    progress.reuseTraces(segments.reduce((sum, { records }) => sum + records, 0));
  }
  const ofMonth = await loadWindow(own);
  const ofBorder = shared === null ? [] : await loadWindow(shared);
  borders.keep(shared, subject, ofBorder);
  return [...kept, ...ofMonth, ...ofBorder];
}
