import { inLanes } from "../throttle/lanes.ts";
import type { Throttler } from "../throttle/throttler.ts";
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

/** How items are distributed. */
export interface Distribution {
  readonly throttler: Throttler;
  /** Ends a pause. */
  readonly stop: AbortSignal;
  /** Null: one for each worker, whatever the throttler says. */
  readonly pipelines?: number | null;
  readonly onDrained?: (pipeline: Pipeline) => void;
}

/** As the option has it. */
const MAX_PIPELINES = 256;

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
   * Distributes the items over `pipelines` pipelines, or as many as the throttler allows. A pipeline gets its next item when it has
   * finished the one before, or called `onFree`; `onDrained` is called once none is left for it. The first failure ends the leasing
   * and stops the workers; rejects with it once all pipelines have come to rest.
   */
  async doAll<Item>(
    items: AsyncIterable<Item> | Iterable<Item>,
    work: Work<Item>,
    { throttler, stop, pipelines = null, onDrained = () => {} }: Distribution,
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
    const atWork = new Map<number, Set<Promise<void>>>();
    const begin = async (lane: number): Promise<boolean> => {
      if (failures.length > 0) return false;
      const item = await next().catch(fail);
      if (item === undefined || item.done === true || failures.length > 0) return false;
      const ofLane = atWork.get(lane) ?? new Set();
      atWork.set(lane, ofLane);
      const { promise: isFree, resolve: onFree } = Promise.withResolvers<void>();
      const done = work(this.#pipeline(lane), item.value, onFree)
        .catch(fail)
        .finally(() => {
          ofLane.delete(done);
          onFree();
        });
      ofLane.add(done);
      await isFree;
      return true;
    };
    const end = async (lane: number): Promise<void> => {
      onDrained(this.#pipeline(lane));
      await Promise.all(atWork.get(lane) ?? []);
    };
    // One pipeline of a worker loads traces at a time.
    const count = {
      usual: pipelines ?? this.#workers.length,
      most: pipelines === null ? this.#workers.length : MAX_PIPELINES,
    };
    await inLanes(throttler, count, stop, { next: begin, end });
    if (failures.length > 0) {
      await source.return?.();
      throw failures[0];
    }
  }

  /** Has all workers hold their blocks back, and end their open INSERTs; or go on. */
  setPaused(isPaused: boolean): void {
    for (const worker of this.#workers) worker.setPaused(isPaused);
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
