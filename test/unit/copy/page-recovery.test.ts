import { expect, test } from "bun:test";
import { BlockChannel } from "../../../src/clickhouse/block-channel.ts";
import { OpenInsert } from "../../../src/clickhouse/open-insert.ts";
import { ServerError } from "../../../src/clickhouse/server-errors.ts";
import { InsertFailure } from "../../../src/copy/insert-sequence.ts";
import { InsertSize } from "../../../src/copy/insert-size.ts";
import { type PageMode, PageRecovery } from "../../../src/copy/page-recovery.ts";
import { createSharedRateLimit } from "../../../src/throttle/rate-limit.ts";
import { LongPauseError, Throttle } from "../../../src/throttle/throttle.ts";

const BLOCK_ROWS = 8;

test.each([
  { rows: [8], modes: ["open", "careful"] },
  // The last block of a page did not fill the INSERT, so one of the next page followed: nothing smaller can be hoped for.
  { rows: [7, 8], modes: ["open", "careful"] },
  { rows: [8, 8], modes: ["open", "open"] },
])("an INSERT of $rows rows that is too large is followed by $modes", async ({ rows, modes }) => {
  const insertSize = new InsertSize(1_000);
  const recovery = new PageRecovery({
    retry: { maxRetries: 0, onRetry: () => {}, signal: new AbortController().signal },
    throttle: new Throttle(createSharedRateLimit()),
    maxWaitMs: 0,
    onWait: () => {},
    onSplit: () => {},
    target: "`events`",
    insertSize,
    blockRows: BLOCK_ROWS,
  });
  const seen: PageMode[] = [];
  const outcome = await recovery.run("Copying", "a page", async (mode) => {
    seen.push(mode);
    if (seen.length === modes.length) return "copied";
    throw new InsertFailure(
      await insertOf(rows),
      new ServerError(241, 500, "Code: 241. DB::Exception: Memory limit exceeded"),
    );
  });
  expect(outcome).toBe("copied");
  expect(seen).toEqual([...modes]);
});

/** An INSERT that was sent blocks of so many rows. */
async function insertOf(blocks: readonly number[]): Promise<OpenInsert> {
  const channel = new BlockChannel();
  const read = (async () => {
    for await (const _ of channel);
    return blocks.reduce((sum, rows) => sum + rows, 0);
  })();
  const insert = new OpenInsert(channel, read);
  for (const rows of blocks) await insert.write([Buffer.alloc(rows)], rows);
  insert.end();
  await insert.acknowledged;
  return insert;
}

test("a page that a long pause has cut is copied again once the run goes on, and that is no retry", async () => {
  const throttle = new Throttle(createSharedRateLimit());
  throttle.pause();
  const recovery = new PageRecovery({
    retry: {
      maxRetries: 0,
      onRetry: () => {
        throw new Error("A pause is no failure");
      },
      signal: new AbortController().signal,
    },
    throttle,
    maxWaitMs: 0,
    onWait: () => {},
    onSplit: () => {},
    target: "`events`",
    insertSize: new InsertSize(1_000),
    blockRows: BLOCK_ROWS,
  });
  let attempts = 0;
  const outcome = recovery.run("Copying", "a page", async () => {
    attempts += 1;
    if (attempts === 1) throw new LongPauseError();
    return "copied";
  });
  await Bun.sleep(1);
  expect(attempts).toBe(1);
  throttle.resume();
  expect(await outcome).toBe("copied");
  expect(attempts).toBe(2);
});
