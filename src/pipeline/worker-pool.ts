import { WorkerHandle } from "./worker-handle.ts";
import type { WorkerNews, WorkerSetup } from "./worker-protocol.ts";

/** A fixed number of workers, to each of which items of work are leased one after another. */
export class WorkerPool {
  readonly workers: readonly WorkerHandle[];

  /** Starts `size` workers; `onNews` gets what they tell. */
  constructor(url: URL, size: number, onNews: (news: WorkerNews) => void) {
    this.workers = Array.from({ length: size }, () => new WorkerHandle(url, onNews));
  }

  async setUp(setup: WorkerSetup): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.call("setUp", setup)));
  }

  /**
   * Has the workers do all items. A worker gets its next item when it has done the one before, or earlier, when `work`
   * calls `onFree`. The first failure ends the leasing and asks the others to stop; rejects with it when all workers have
   * come to rest.
   */
  async doAll<Item>(
    items: AsyncIterable<Item> | Iterable<Item>,
    work: (worker: WorkerHandle, item: Item, onFree: () => void) => Promise<void>,
  ): Promise<void> {
    const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
    const failures: unknown[] = [];
    // The next item may take a query; asking for it one at a time keeps the order of leases.
    let turn: Promise<unknown> = Promise.resolve();
    const next = (): Promise<IteratorResult<Item>> => {
      const result = turn.then(() => source.next());
      turn = result.catch(() => {});
      return result;
    };
    const fail = (error: unknown): void => {
      if (failures.push(error) === 1) this.stop();
    };
    const run = async (worker: WorkerHandle): Promise<void> => {
      const atWork = new Set<Promise<void>>();
      while (failures.length === 0) {
        const item = await next().catch(fail);
        if (item === undefined || item.done === true || failures.length > 0) break;
        const { promise: isFree, resolve: onFree } = Promise.withResolvers<void>();
        const done = work(worker, item.value, onFree)
          .catch(fail)
          .finally(() => {
            atWork.delete(done);
            onFree();
          });
        atWork.add(done);
        await isFree;
      }
      await Promise.all(atWork);
    };
    await Promise.all(this.workers.map(run));
    if (failures.length > 0) {
      await source.return?.();
      throw failures[0];
    }
  }

  /** Asks all workers to end their commands after the batches in flight. */
  stop(): void {
    for (const worker of this.workers) worker.stop();
  }

  /** Ends all threads at once. */
  terminate(): void {
    for (const worker of this.workers) worker.terminate();
  }
}
