import { inLanes } from "../throttle/lanes.ts";
import { Throttler } from "../throttle/throttler.ts";

const NEVER = new AbortController().signal;
/** As the option has it. */
const MAX_PARALLEL = 256;

/** What holds the work back. */
export interface Throttling {
  readonly throttler: Throttler;
  /** Ends a pause. */
  readonly stop: AbortSignal;
}

/**
 * Runs `work` on all items, several at a time; items are taken one by one, in their order. Rejects with the first failure, after those in
 * flight have ended; none is begun after it. With `throttling`, as many at a time as that allows, and none during a pause.
 */
export async function inParallel<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  parallel: number,
  work: (item: Item) => Promise<void>,
  throttling: Throttling | null = null,
): Promise<void> {
  // A generator queues the requests for its next item.
  const queue = (async function* () {
    yield* items;
  })();
  const failures: unknown[] = [];
  const fail = (error: unknown): void => void failures.push(error);
  const next = async (): Promise<boolean> => {
    const item = await queue.next().catch(fail);
    if (item === undefined || item.done === true || failures.length > 0) return false;
    await work(item.value).catch(fail);
    return failures.length === 0;
  };
  const { throttler, stop } = throttling ?? { throttler: new Throttler(), stop: NEVER };
  const count = { usual: parallel, most: throttling === null ? parallel : MAX_PARALLEL };
  await inLanes(throttler, count, stop, { next, end: async () => {} });
  // After a failure some items are left: their source may hold a response open.
  await queue.return();
  if (failures.length > 0) throw failures[0];
}
