import type { KeyRange } from "../plan/key-range.ts";
import { type Page, planPages } from "../plan/pages.ts";
import { type Work, WorkerPool } from "../threads/worker-pool.ts";
import type { CopiedRange } from "./count-verification.ts";
import { type LoadedWorkers, loadTraceStore } from "./load-trace-store.ts";
import type { PreparedRun } from "./prepare.ts";
import type { RunContext } from "./run-context.ts";

/**
 * Loads the traces, and copies the ranges page by page, each recorded in the ledger once it is stored. Returns what was copied.
 * Rejects with an OperationError, or with the reason of the context's signal.
 */
export async function copyRanges(
  context: RunContext,
  prepared: PreparedRun,
  ranges: readonly KeyRange[],
): Promise<CopiedRange[]> {
  const { workerUrl, parallelWorkers, cores } = context.options;
  const { scope } = prepared;
  const pool = new WorkerPool(workerUrl, Math.min(parallelWorkers, cores), (event) =>
    context.progress.handle(event),
  );
  const stopPool = (): void => pool.stop();
  context.stop.addEventListener("abort", stopPool, { once: true });
  try {
    const setup = await prepared.workerSetup();
    const copiers = Math.min(parallelWorkers, Math.max(1, cores - 1));
    const workers = await loadTraceStore(
      scope.server,
      pool,
      { setup, copiers },
      context.retry,
      context.progress,
    );
    return await copyPages(context, prepared, workers, planPages(scope, ranges));
  } finally {
    context.stop.removeEventListener("abort", stopPool);
    pool.terminate();
  }
}

async function copyPages(
  { options, ledger, progress, rejectedRows, stop }: RunContext,
  { clock }: PreparedRun,
  workers: LoadedWorkers,
  pages: AsyncGenerator<Page, void, void>,
): Promise<CopiedRange[]> {
  const copied: CopiedRange[] = [];
  const copy: Work<Page> = async ({ worker, number }, page, onRead) => {
    stop.throwIfAborted();
    const readSinceMs = clock.nowMs();
    const done = await worker.copyPage(number, page.range, {
      onProgress: (soFar) => progress.copyPage(page, soFar),
      onRead,
    });
    // Before the page counts as done: what is not in the target must be on the disk.
    if (done.skipped.length > 0) rejectedRows?.append(done.skipped);
    if (!options.dryRun) ledger.finishPage(page.range, done.rows);
    copied.push({ range: page.range, rows: done.rows, readSinceMs });
    progress.finishPage(page, done);
  };
  await workers.copyPages(pages, copy, options.parallelWorkers);
  return copied;
}
