import { pause } from "../abortable.ts";
import type { WaitNotice } from "../clickhouse/merge-wait.ts";
import type { OpenInsert } from "../clickhouse/open-insert.ts";
import { backoffMs, OperationError, type RetryPolicy } from "../clickhouse/retry.ts";
import { awaitsMerges, isServerFailure, isTransient, refusalOf } from "../clickhouse/server-errors.ts";
import { LongPauseError, type Throttle } from "../throttle/throttle.ts";
import type { SplitNotice } from "./careful-insert.ts";
import { InsertFailure } from "./insert-sequence.ts";
import type { InsertSize } from "./insert-size.ts";

/** How a page is copied: within open INSERTs, or block by block, each an INSERT of its own. */
export type PageMode = "open" | "careful";

/** What recovering a page requires. */
export interface Recovery {
  readonly retry: RetryPolicy;
  readonly throttle: Pick<Throttle, "pass">;
  /** How long inserts wait for merges; 0: they do not. */
  readonly maxWaitMs: number;
  readonly onWait: (notice: WaitNotice) => void;
  readonly onSplit: (notice: SplitNotice) => void;
  /** The quoted table. */
  readonly target: string;
  /** The rows of an INSERT, which shrink after a failure for its size. */
  readonly insertSize: InsertSize;
  /** The rows of a block: fewer blocks cannot make a smaller INSERT smaller. */
  readonly blockRows: number;
}

const FIRST_WAIT_MS = 1_000;

/**
 * Copies pages again until they succeed: errors that pass are retried with backoff, merges are waited for, an INSERT that was too
 * large is followed by smaller ones, and a page with a value that the server rejects takes the careful path. Each pipeline has
 * one.
 */
export class PageRecovery {
  readonly #recovery: Recovery;
  /** Failed INSERTs that one of their pages has handled. */
  readonly #handled = new WeakSet<OpenInsert>();

  constructor(recovery: Recovery) {
    this.#recovery = recovery;
  }

  /**
   * Runs `attempt` until it succeeds. `where` is the key range, for messages. Rejects with an OperationError, or with the reason of
   * the retry policy's signal.
   */
  async run<Result>(
    operation: string,
    where: string,
    attempt: (mode: PageMode) => Promise<Result>,
  ): Promise<Result> {
    const { retry } = this.#recovery;
    const state = { retries: 0, waits: 0, waitingSinceMs: null as number | null, halvings: 0 };
    let mode: PageMode = "open";
    for (;;) {
      retry.signal.throwIfAborted();
      try {
        return await attempt(mode);
      } catch (error) {
        retry.signal.throwIfAborted();
        if (error instanceof OperationError) throw error;
        if (error instanceof LongPauseError) {
          await this.#recovery.throttle.pass(retry.signal);
          continue;
        }
        if (!(error instanceof InsertFailure)) {
          await this.#retry(operation, error, state);
          continue;
        }
        const inserting = `Inserting into ${this.#recovery.target}, ${where}`;
        const { cause, insert } = error;
        const refusal = refusalOf(cause);
        if (awaitsMerges(cause) && this.#recovery.maxWaitMs > 0) {
          await this.#wait(inserting, cause, state);
        } else if (refusal?.reason === "data") {
          this.#announce({ reason: "data", operation: inserting, message: refusal.error.message }, insert);
          mode = "careful";
        } else if (refusal?.reason === "size") {
          if (isSmallest(insert, this.#recovery.blockRows)) mode = "careful";
          else this.#shrink(insert);
          this.#announce({ reason: "size", operation: inserting, message: refusal.error.message }, insert);
          // What used up the memory or the time may be other queries.
          await pause(backoffMs(state.halvings++, Math.random()), retry.signal);
        } else {
          await this.#retry(inserting, cause, state);
        }
      }
    }
  }

  async #retry(operation: string, error: unknown, state: { retries: number }): Promise<void> {
    const { maxRetries, onRetry, signal } = this.#recovery.retry;
    // A bug stays one, with its own message and stack.
    if (!isServerFailure(error)) throw error;
    if (state.retries >= maxRetries || !isTransient(error)) throw new OperationError(operation, error);
    const delayMs = backoffMs(state.retries++, Math.random());
    onRetry({ operation, attempt: state.retries, maxRetries, delayMs, message: error.message });
    await pause(delayMs, signal);
  }

  async #wait(
    operation: string,
    error: Error,
    state: { waits: number; waitingSinceMs: number | null },
  ): Promise<void> {
    const { maxWaitMs, onWait, retry } = this.#recovery;
    state.waitingSinceMs ??= performance.now();
    const leftMs = maxWaitMs - (performance.now() - state.waitingSinceMs);
    if (leftMs <= 0) {
      throw new OperationError(
        `${operation}: after ${maxWaitMs / 60_000} minutes the table still has too many parts`,
        error,
      );
    }
    const delayMs = Math.min(backoffMs(state.waits++, Math.random(), FIRST_WAIT_MS), Math.ceil(leftMs));
    onWait({ reason: "merges", operation, delayMs, message: error.message });
    await pause(delayMs, retry.signal);
  }

  #shrink(insert: OpenInsert): void {
    if (this.#handled.has(insert)) return;
    this.#recovery.insertSize.shrink(Math.max(this.#recovery.blockRows, Math.floor(insert.rows / 2)));
  }

  /** Announces once what happened to an INSERT that carries several pages. */
  #announce(notice: SplitNotice, insert: OpenInsert): void {
    if (this.#handled.has(insert)) return;
    this.#handled.add(insert);
    this.#recovery.onSplit(notice);
  }
}

/** Whether no INSERT of blocks of `blockRows` rows is surely smaller: one is ended only after the block that fills it. */
function isSmallest(insert: OpenInsert, blockRows: number): boolean {
  return insert.rows < 2 * blockRows;
}
