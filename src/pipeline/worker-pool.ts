import { WorkerHandle, type WorkerNews } from "./worker-handle.ts";
import type { WorkerSetup } from "./worker-protocol.ts";

/** A fixed number of workers, to each of which items of work are leased one after another. */
export class WorkerPool {
  readonly workers: readonly WorkerHandle[];

  /** Starts `size` workers; `onNews` gets what they tell, with the worker's number. */
  constructor(url: URL, size: number, onNews: (news: WorkerNews, worker: number) => void) {
    this.workers = Array.from({ length: size }, (_, i) => new WorkerHandle(url, (news) => onNews(news, i)));
  }

  async setUp(setup: WorkerSetup): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.call("setUp", setup)));
  }

  /**
   * Has the workers do all items, each worker one after another. The first failure ends the leasing and asks the others
   * to stop; rejects with it when all workers have come to rest.
   */
  async doAll<Item>(
    items: AsyncIterable<Item> | Iterable<Item>,
    work: (worker: WorkerHandle, item: Item, number: number) => Promise<void>,
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
    const run = async (worker: WorkerHandle, number: number): Promise<void> => {
      try {
        while (failures.length === 0) {
          const item = await next();
          if (item.done === true || failures.length > 0) return;
          await work(worker, item.value, number);
        }
      } catch (error) {
        if (failures.push(error) === 1) this.stop();
      }
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
