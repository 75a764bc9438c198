import type { Page } from "../plan/pages.ts";
import { type Work, WorkerPool } from "../threads/worker-pool.ts";
import type { WorkerSetup } from "../threads/worker-protocol.ts";
import type { CopiedRange } from "./count-verification.ts";
import { type LoadedWorkers, loadTraceStore } from "./load-trace-store.ts";
import type { PhaseRun } from "./phase-run.ts";
import type { PreparedRun } from "./prepare.ts";
import type { RunContext } from "./run-context.ts";
import type { ServerClock } from "./server-clock.ts";

/** What recording the pages of a phase takes. */
export type PhaseCopy = Pick<PhaseRun, "name" | "ledger">;

/** Threads that hold the traces, and copy pages of one phase after another. */
export interface CopySession {
  /**
   * Copies pages, each recorded in the phase's ledger once it is stored. Returns what was copied. Rejects with an OperationError, or with
   * the reason of the context's signal.
   */
  copy(phase: PhaseCopy, pages: AsyncIterable<Page> | Iterable<Page>): Promise<CopiedRange[]>;
}

/**
 * Starts threads, has them load the traces, and runs `work` with a session that ends with it. Rejects with what `work` rejects with,
 * with an OperationError, or with the reason of the context's signal.
 */
export async function withCopySession<Result>(
  context: RunContext,
  { server, clock }: Pick<PreparedRun, "server" | "clock">,
  setup: WorkerSetup,
  work: (session: CopySession) => Promise<Result>,
): Promise<Result> {
  const { options, progress, stop, throttler } = context;
  const { workerUrl, parallelWorkers, cores } = options;
  const pool = new WorkerPool(workerUrl, Math.min(parallelWorkers, cores), (event) => progress.handle(event));
  const stopPool = (): void => pool.stop();
  stop.addEventListener("abort", stopPool, { once: true });
  pool.setPaused(throttler.isPaused);
  const unsubscribe = throttler.onChange(({ pausedFor }) => pool.setPaused(pausedFor.length > 0));
  try {
    const copiers = Math.min(parallelWorkers, Math.max(1, cores - 1));
    const workers = await loadTraceStore(server, pool, { setup, copiers }, context);
    return await work({ copy: (phase, pages) => copyPages(context, clock, workers, phase, pages) });
  } finally {
    unsubscribe();
    stop.removeEventListener("abort", stopPool);
    pool.terminate();
  }
}

async function copyPages(
  { options, progress, rejectedRows, stop }: RunContext,
  clock: ServerClock,
  workers: LoadedWorkers,
  { name, ledger }: PhaseCopy,
  pages: AsyncIterable<Page> | Iterable<Page>,
): Promise<CopiedRange[]> {
  const copied: CopiedRange[] = [];
  const copy: Work<Page> = async ({ worker, number }, page, onRead) => {
    stop.throwIfAborted();
    const readSinceMs = clock.nowMs();
    const order = { phase: name, pipeline: number, page: { ...page, readSinceMs } };
    const done = await worker.copyPage(order, {
      onProgress: (soFar, spent) => progress.copyPage(page, soFar, spent),
      onRead,
    });
    // Before the page counts as done: what is not in the target must be on the disk.
    if (done.skipped.length > 0) rejectedRows?.append(done.skipped);
    if (!options.dryRun) ledger.finishPage(page.range, done.rows);
    copied.push({ range: page.range, rows: done.rows, readSinceMs });
    progress.finishPage(page, done);
  };
  // A pipeline of the experiments reads and inserts root rows beside observations, with the memory of two.
  const share = name === "experiments" ? 2 : 1;
  await workers.copyPages(name, pages, copy, Math.ceil(options.parallelWorkers / share));
  return copied;
}
