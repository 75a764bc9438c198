import { WorkerHandle } from "./worker-handle.ts";
import type { WorkerEvent } from "./worker-protocol.ts";

/** Does an item of work. Calls `onFree` once the pipeline can begin the next one, if that is before the end. */
export type Work<Item> = (pipeline: Pipeline, item: Item, onFree: () => void) => Promise<void>;

/** A worker, and one of the pipelines that share its thread. */
export interface Pipeline {
  readonly worker: WorkerHandle;
  /** Counted from 0. */
  readonly number: number;
}

/** Workers, each in a thread of its own. Their pipelines get items of work one after another. */
export class WorkerPool {
  #workers: readonly WorkerHandle[];

  /** Starts `size` workers; `onEvent` gets their events. */
  constructor(url: URL, size: number, onEvent: (event: WorkerEvent) => void) {
    this.#workers = Array.from({ length: size }, () => new WorkerHandle(url, onEvent));
  }

  get workers(): readonly WorkerHandle[] {
    return this.#workers;
  }

  /** Ends the workers after the first `size`; they must be idle. */
  shrink(size: number): void {
    for (const worker of this.#workers.slice(size)) worker.terminate();
    this.#workers = this.#workers.slice(0, size);
  }

  /**
   * Distributes the items over `pipelines` pipelines. A pipeline gets its next item when it has finished the one before, or
   * called `onFree`; `onDrained` is called once none is left for it. The first failure ends the leasing
   * and stops the workers; rejects with it once all pipelines have come to rest.
   */
  async doAll<Item>(
    items: AsyncIterable<Item> | Iterable<Item>,
    work: Work<Item>,
    {
      pipelines = this.#workers.length,
      onDrained = () => {},
    }: { pipelines?: number; onDrained?: (pipeline: Pipeline) => void } = {},
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
    const run = async (pipeline: Pipeline): Promise<void> => {
      const atWork = new Set<Promise<void>>();
      while (failures.length === 0) {
        const item = await next().catch(fail);
        if (item === undefined || item.done === true || failures.length > 0) break;
        const { promise: isFree, resolve: onFree } = Promise.withResolvers<void>();
        const done = work(pipeline, item.value, onFree)
          .catch(fail)
          .finally(() => {
            atWork.delete(done);
            onFree();
          });
        atWork.add(done);
        await isFree;
      }
      onDrained(pipeline);
      await Promise.all(atWork);
    };
    await Promise.all(Array.from({ length: pipelines }, (_, i) => run(this.#pipeline(i))));
    if (failures.length > 0) {
      await source.return?.();
      throw failures[0];
    }
  }

  #pipeline(i: number): Pipeline {
    const workers = this.#workers;
    return {
      worker: workers[i % workers.length] as WorkerHandle,
      number: Math.floor(i / workers.length),
    };
  }

  /** Has all workers end their commands after the batches in flight. */
  stop(): void {
    for (const worker of this.#workers) worker.stop();
  }

  /** Ends all threads at once. */
  terminate(): void {
    for (const worker of this.#workers) worker.terminate();
  }
}
