import { type Page, planPages } from "../plan/pages.ts";
import { type Work, WorkerPool } from "../threads/worker-pool.ts";
import type { CopiedRange } from "./count-verification.ts";
import { type LoadedWorkers, loadTraceStore } from "./load-trace-store.ts";
import type { PhaseRun } from "./phase-run.ts";
import type { PreparedRun } from "./prepare.ts";
import type { RunContext } from "./run-context.ts";

/** Copies the phases of a run, one after another, with the same threads and the same traces. */
export interface CopySession {
  /**
   * Copies what is left of a phase page by page, each recorded in the phase's ledger once it is stored. Returns what was copied.
   * Rejects with an OperationError, or with the reason of the context's signal.
   */
  copy(phase: PhaseRun): Promise<CopiedRange[]>;
}

/**
 * Loads the traces, and runs `work` with a session that ends with it. Rejects with what `work` rejects with, with an OperationError, or
 * with the reason of the context's signal.
 */
export async function withCopySession<Result>(
  context: RunContext,
  prepared: PreparedRun,
  work: (session: CopySession) => Promise<Result>,
): Promise<Result> {
  const { workerUrl, parallelWorkers, cores } = context.options;
  const pool = new WorkerPool(workerUrl, Math.min(parallelWorkers, cores), (event) =>
    context.progress.handle(event),
  );
  const stopPool = (): void => pool.stop();
  context.stop.addEventListener("abort", stopPool, { once: true });
  try {
    const setup = await prepared.workerSetup();
    const copiers = Math.min(parallelWorkers, Math.max(1, cores - 1));
    const workers = await loadTraceStore(
      prepared.server,
      pool,
      { setup, copiers },
      context.retry,
      context.progress,
    );
    return await work({ copy: (phase) => copyPages(context, prepared, workers, phase) });
  } finally {
    context.stop.removeEventListener("abort", stopPool);
    pool.terminate();
  }
}

async function copyPages(
  { options, progress, rejectedRows, stop }: RunContext,
  { clock }: PreparedRun,
  workers: LoadedWorkers,
  { name, scope, ledger }: PhaseRun,
): Promise<CopiedRange[]> {
  const copied: CopiedRange[] = [];
  const copy: Work<Page> = async ({ worker, number }, page, onRead) => {
    stop.throwIfAborted();
    const readSinceMs = clock.nowMs();
    const order = { phase: name, pipeline: number, range: page.range };
    const done = await worker.copyPage(order, {
      onProgress: (soFar) => progress.copyPage(page, soFar),
      onRead,
    });
    // Before the page counts as done: what is not in the target must be on the disk.
    if (done.skipped.length > 0) rejectedRows?.append(done.skipped);
    if (!options.dryRun) ledger.finishPage(page.range, done.rows);
    copied.push({ range: page.range, rows: done.rows, readSinceMs });
    progress.finishPage(page, done);
  };
  await workers.copyPages(name, planPages(scope, ledger.remaining()), copy, options.parallelWorkers);
  return copied;
}
