/**
 * Runs `work` on all items, several at a time; items are taken one by one, in their order. Rejects with the first failure, after those in
 * flight have ended; none is begun after it.
 */
export async function inParallel<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  parallel: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  // A generator queues the requests for its next item.
  const queue = (async function* () {
    yield* items;
  })();
  const failures: unknown[] = [];
  const run = async (): Promise<void> => {
    for (;;) {
      const next = await queue.next();
      if (next.done === true || failures.length > 0) return;
      await work(next.value);
    }
  };
  const fail = (error: unknown): void => void failures.push(error);
  await Promise.all(Array.from({ length: parallel }, () => run().catch(fail)));
  // After a failure some items are left: their source may hold a response open.
  await queue.return();
  if (failures.length > 0) throw failures[0];
}
