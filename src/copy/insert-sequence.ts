import type { OpenInsert } from "../clickhouse/open-insert.ts";

/** How long an INSERT stays open for more blocks. */
export interface InsertLimits {
  readonly maxBytes: number;
  /** Load balancers and the server itself cut what is open for long. */
  readonly maxOpenMs: number;
  /** After this long without a block it ends, so that what was sent counts. */
  readonly maxIdleMs: number;
}

/** The limits of a run, beside the number of rows. */
export const INSERT_LIMITS: InsertLimits = {
  maxBytes: 256 * 2 ** 20,
  maxOpenMs: 30_000,
  maxIdleMs: 5_000,
};

/** What the sequence depends on. */
export interface SequenceContext {
  /** Begins an INSERT. */
  readonly open: () => OpenInsert;
  /** The most rows of an INSERT, at the moment. */
  readonly maxRows: () => number;
  /** A stop: the current INSERT ends after its last block. */
  readonly stop: AbortSignal;
  readonly limits: InsertLimits;
}

/**
 * The INSERTs of one pipeline, one after another: each is opened by the first block that finds none open, carries blocks of
 * several pages in turn, and ends after a block when it is full, old or idle, or when it is told to end. The next one is
 * opened when the one before is acknowledged.
 */
export class InsertSequence {
  readonly #context: SequenceContext;
  #current: OpenInsert | null = null;
  #openedMs = 0;
  #isWriting = false;
  #isEndAsked = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Resolves, never rejects, once no INSERT is under way. */
  #settled: Promise<void> = Promise.resolve();

  constructor(context: SequenceContext) {
    this.#context = context;
    context.stop.addEventListener("abort", () => this.endCurrent());
  }

  /**
   * Sends a block, and resolves to the INSERT that carries it once the block's memory can be reused. One block at a time.
   * Rejects with an InsertFailure.
   */
  async write(parts: readonly Buffer[], rows: number): Promise<OpenInsert> {
    const insert = this.#current ?? (await this.#open());
    clearTimeout(this.#timer);
    this.#isWriting = true;
    try {
      await insert.write(parts, rows);
    } catch (error) {
      this.#forget(insert);
      throw new InsertFailure(insert, error);
    } finally {
      this.#isWriting = false;
    }
    this.#endOrWait(insert);
    return insert;
  }

  /** Announces a block that is held back: an INSERT that waits for it is not idle. */
  expectBlock(): void {
    if (this.#current === null || this.#isWriting) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.endCurrent(), this.#openLeftMs());
  }

  /** Ends the current INSERT, if there is one, after the block that is being sent. */
  endCurrent(): void {
    this.#isEndAsked = true;
    if (this.#current !== null && !this.#isWriting) this.#end(this.#current);
  }

  async #open(): Promise<OpenInsert> {
    await this.#settled;
    const insert = this.#context.open();
    this.#current = insert;
    this.#openedMs = performance.now();
    this.#isEndAsked = false;
    this.#settled = insert.acknowledged.catch(() => this.#forget(insert));
    return insert;
  }

  #endOrWait(insert: OpenInsert): void {
    if (insert !== this.#current) return;
    const { maxRows, stop, limits } = this.#context;
    const leftMs = this.#openLeftMs();
    const isFull = insert.rows >= maxRows() || insert.bytes >= limits.maxBytes;
    if (isFull || leftMs <= 0 || this.#isEndAsked || stop.aborted) {
      this.#end(insert);
      return;
    }
    this.#timer = setTimeout(() => this.endCurrent(), Math.min(leftMs, limits.maxIdleMs));
  }

  #openLeftMs(): number {
    return Math.max(0, this.#openedMs + this.#context.limits.maxOpenMs - performance.now());
  }

  #end(insert: OpenInsert): void {
    this.#forget(insert);
    insert.end();
  }

  #forget(insert: OpenInsert): void {
    if (insert !== this.#current) return;
    clearTimeout(this.#timer);
    this.#current = null;
  }
}

/** An INSERT failed; the cause says why. Every page with a block in it must be copied again. */
export class InsertFailure extends Error {
  override readonly name: string = "InsertFailure";
  readonly insert: OpenInsert;

  constructor(insert: OpenInsert, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.insert = insert;
  }
}
