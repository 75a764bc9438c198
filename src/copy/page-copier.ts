import type { BufferPool } from "../bytes/buffer-pool.ts";
import { Scratch } from "../bytes/scratch.ts";
import type { Block } from "../clickhouse/native/block.ts";
import type { OpenInsert } from "../clickhouse/open-insert.ts";
import { OperationError } from "../clickhouse/retry.ts";
import { describeRange } from "../plan/key-range.ts";
import { LongPauseError, type Throttle } from "../throttle/throttle.ts";
import { CarefulInserter, type InsertContext, insertStatement } from "./careful-insert.ts";
import type { RowEnricher } from "./enrich/row-enricher.ts";
import { EventBlock } from "./event-block.ts";
import { INSERT_LIMITS, InsertFailure, InsertSequence } from "./insert-sequence.ts";
import { InsertSize } from "./insert-size.ts";
import { type PageMode, PageRecovery } from "./page-recovery.ts";
import { type CopiedPage, NO_TIME, type PageResult, type TimeSpent } from "./page-result.ts";
import type { PageReader, PageToCopy } from "./read-page.ts";
import type { RejectedRow } from "./rejected-row.ts";
import type { RowFilter } from "./row-filter.ts";

/** What copying pages requires. */
export interface PageCopying extends InsertContext {
  /** The quoted table that pages are read from. */
  readonly source: string;
  readonly dryRun: boolean;
  /** The most rows of an INSERT statement. Where it is no more than a batch, each batch is an INSERT of its own. */
  readonly insertRows: number;
  /** The server reads JSON columns that come as paths. */
  readonly takesJsonPaths: boolean;
  /** Holds batches back. */
  readonly throttle: Throttle;
  /** Views copy what is inserted into the target, so that the rows in a response show no short INSERT. */
  readonly targetHasViews: boolean;
}

/** What a copier of pages consists of. */
export interface PageParts {
  readonly reader: PageReader;
  /** Null: all rows are copied. */
  readonly filter: RowFilter | null;
  /** Makes an enricher; one may be in the middle of a block while another bisects a batch. */
  readonly enricher: () => RowEnricher;
  /** Where the buffers of blocks come back to. */
  readonly buffers: BufferPool;
}

/** Receives the progress of a page. */
export interface PageListener {
  /**
   * Called after each batch with what is done of the page, from zero again after a failed attempt, and with the time that the
   * pipeline has spent since the call before.
   */
  onProgress(done: PageResult, spent: TimeSpent): void;
  /** Called once the page is read and all but its last batch are sent: the copier can read another page. */
  onRead(): void;
}

/** A page while it is copied. */
interface PageInProgress {
  readonly page: PageToCopy;
  readonly listener: PageListener;
  readonly mode: PageMode;
  readonly done: { -readonly [Count in keyof PageResult]: number } & { readonly skipped: RejectedRow[] };
  /** Rejects when the page's last batch so far could not be sent. */
  sent: Promise<void>;
  /** Aborts the attempt. */
  readonly signal: AbortSignal;
  /** The INSERTs that carry the page's blocks. */
  readonly inserts: Set<OpenInsert>;
}

/** Requests go on after a stop; stopping at once ends the thread. */
const NEVER = new AbortController().signal;

/**
 * Copies pages. Reading, enriching and inserting overlap, across pages too; one page is read and one batch is sent at a
 * time.
 */
export class PageCopier {
  readonly #copying: PageCopying;
  readonly #reader: PageReader;
  readonly #filter: RowFilter | null;
  readonly #enricher: RowEnricher;
  readonly #buffers: BufferPool;
  readonly #users = new Map<Block, number>();
  readonly #sender: CarefulInserter;
  readonly #inserts: InsertSequence;
  readonly #insertSize: InsertSize;
  readonly #recovery: PageRecovery;
  /** No page follows: each page's last block ends its INSERT. */
  #isDrained = false;
  /** Since it was reported last. */
  #spent: { -readonly [Part in keyof TimeSpent]: number } = { ...NO_TIME };
  #filling: EventBlock;
  #sending: EventBlock;
  /** Resolve, never reject, once the current page is read, and once the batch in flight is stored or has failed. */
  #read: Promise<void> = Promise.resolve();
  #sent: Promise<void> = Promise.resolve();
  /** Why a batch failed for good; the run is about to end. */
  #failure: OperationError | null = null;

  /** Copies what `reader` reads, but for rows that `filter` leaves out; null: it leaves none out. */
  constructor(copying: PageCopying, { reader, filter, enricher, buffers }: PageParts) {
    this.#copying = copying;
    this.#reader = reader;
    this.#filter = filter;
    this.#buffers = buffers;
    this.#enricher = enricher();
    // One batch is sent at a time.
    const bodies = new Scratch();
    this.#filling = new EventBlock(copying.mapping, copying.takesJsonPaths, bodies);
    this.#sending = new EventBlock(copying.mapping, copying.takesJsonPaths, bodies);
    this.#sender = new CarefulInserter(copying, enricher);
    const { server, target, mapping, retry, insertRows, batchRows, targetHasViews } = copying;
    const insertSql = insertStatement(target, mapping);
    this.#insertSize = new InsertSize(insertRows);
    this.#inserts = new InsertSequence({
      // An INSERT is never cut by a stop: it ends after a block, and is acknowledged.
      open: () => {
        const insert = server.openInsert({ sql: insertSql }, { isSealed: targetHasViews }, NEVER);
        insert.acknowledged.then(
          () => this.#insertSize.grow(),
          // Its pages learn of the failure.
          () => {},
        );
        return insert;
      },
      maxRows: () => this.#insertSize.rows,
      stop: retry.signal,
      limits: INSERT_LIMITS,
    });
    this.#recovery = new PageRecovery({ ...copying, insertSize: this.#insertSize, blockRows: batchRows });
  }

  /** Declares that no page follows, so that INSERTs do not wait for more blocks. */
  drain(): void {
    this.#isDrained = true;
    this.#inserts.endCurrent();
  }

  /** Ends the INSERT that is open, if there is one: the run pauses. */
  endInserts(): void {
    this.#inserts.endCurrent();
  }

  /**
   * Copies a page, and resolves once the server has acknowledged all of its rows but the skipped ones. May be called while the
   * page before is being copied: it is read next. Rejects with an OperationError that names the operation and the
   * range, or with the reason of the retry policy's signal.
   */
  async copy(page: PageToCopy, listener: PageListener): Promise<CopiedPage> {
    const where = describeRange(page.range);
    try {
      return await this.#recovery.run(`Copying ${this.#copying.source}, ${where}`, where, (mode) =>
        this.#attempt(page, listener, mode),
      );
    } catch (error) {
      // No other page may begin an INSERT once the run is about to end.
      if (error instanceof OperationError) this.#failure ??= error;
      throw error;
    }
  }

  async #attempt(toCopy: PageToCopy, listener: PageListener, mode: PageMode): Promise<CopiedPage> {
    const done: PageInProgress["done"] = {
      rows: 0,
      leftOut: 0,
      superseded: 0,
      withoutTrace: 0,
      bytes: 0,
      skipped: [],
    };
    const { retry, throttle } = this.#copying;
    const page: PageInProgress = {
      page: toCopy,
      listener,
      mode,
      done,
      signal: AbortSignal.any([retry.signal, throttle.letGo]),
      sent: Promise.resolve(),
      inserts: new Set(),
    };
    const { promise, resolve: endReading } = Promise.withResolvers<void>();
    const before = this.#read;
    this.#read = promise;
    await before;
    try {
      await this.#readPage(page);
    } catch (error) {
      // Requests in flight finish before the error is reported.
      await page.sent.catch(() => {});
      // A response that is cut for a long pause fails with an error of its own.
      throw page.signal.reason instanceof LongPauseError ? page.signal.reason : error;
    } finally {
      endReading();
    }
    listener.onRead();
    await page.sent;
    if (this.#isDrained) this.#inserts.endCurrent();
    for (const insert of page.inserts) {
      await insert.acknowledged.catch((error: unknown) => {
        throw new InsertFailure(insert, error);
      });
    }
    return done;
  }

  /** Reads a page and sends its batches. The last one is in flight when it resolves. */
  async #readPage(page: PageInProgress): Promise<void> {
    try {
      const { throttle } = this.#copying;
      let idleSinceMs = throttle.workMs;
      for await (const block of this.#reader.blocks(page.page, page.signal)) {
        const beganMs = throttle.workMs;
        const insertingMs = this.#spent.insertingMs;
        this.#spent.readingMs += beganMs - idleSinceMs;
        this.#retain(block);
        try {
          await this.#take(block, page);
        } finally {
          this.#release(block);
        }
        idleSinceMs = throttle.workMs;
        // Negative where the time was reported in between.
        const waitedMs = Math.max(0, this.#spent.insertingMs - insertingMs);
        this.#spent.enrichingMs += Math.max(0, idleSinceMs - beganMs - waitedMs);
      }
      if (this.#filling.rows > 0) await this.#send(page);
    } finally {
      // Empty unless something went wrong.
      this.#empty(this.#filling);
    }
  }

  async #take(block: Block, page: PageInProgress): Promise<void> {
    const filter = this.#filter;
    if (filter === null) {
      await this.#takeRows(block, 0, block.rows, page);
    } else {
      filter.select(block);
      page.done.rows += filter.datasetRunRows + filter.supersededRows;
      page.done.leftOut += filter.datasetRunRows;
      page.done.superseded += filter.supersededRows;
      for (let run = 0; run < filter.runs; run++) {
        await this.#takeRows(block, filter.from(run), filter.to(run), page);
      }
    }
    if (this.#filling.isNearlyFull(this.#sender.maxRows)) await this.#send(page);
  }

  async #takeRows(block: Block, first: number, to: number, page: PageInProgress): Promise<void> {
    for (let from = first; from < to; ) {
      // Batches may have shrunk since it was filled.
      if (this.#filling.isFull(this.#sender.maxRows)) await this.#send(page);
      this.#retain(block);
      from = this.#filling.take({ block, from, to }, this.#sender.maxRows, this.#enricher);
    }
  }

  /** Sends the filled batch once the one before is stored. Rejects when that one was of this page, or failed for good. */
  async #send(page: PageInProgress): Promise<void> {
    const { throttle } = this.#copying;
    const waitsSinceMs = throttle.workMs;
    await this.#sent;
    await page.sent;
    this.#spent.insertingMs += throttle.workMs - waitsSinceMs;
    if (this.#failure !== null) throw this.#failure;
    [this.#filling, this.#sending] = [this.#sending, this.#filling];
    page.sent = this.#insert(this.#sending, page);
    this.#sent = page.sent.catch(() => {});
  }

  async #insert(batch: EventBlock, page: PageInProgress): Promise<void> {
    const { done, listener } = page;
    try {
      await this.#admit(batch, page);
      // A dry run encodes what it does not send, since odd data shows there.
      if (this.#copying.dryRun) batch.body();
      else if (page.mode === "open" && this.#copying.insertRows > this.#copying.batchRows)
        page.inserts.add(await this.#inserts.write(batch.body(), batch.rows));
      else done.skipped.push(...(await this.#sender.send(batch, describeRange(page.page.range))));
      done.rows += batch.rows;
      done.withoutTrace += batch.withoutTrace;
      done.bytes += batch.sourceBytes;
    } catch (error) {
      if (error instanceof OperationError) this.#failure = error;
      throw error;
    } finally {
      this.#empty(batch);
    }
    const { skipped: _, ...counts } = done;
    const spent = this.#spent;
    this.#spent = { ...NO_TIME };
    listener.onProgress(counts, spent);
  }

  /** Waits until the throttle lets a batch through. */
  async #admit(batch: EventBlock, page: PageInProgress): Promise<void> {
    const { throttle } = this.#copying;
    const sinceMs = throttle.workMs;
    this.#inserts.expectBlock();
    await throttle.admit(batch.rows, batch.sourceBytes, page.signal);
    this.#spent.throttledMs += throttle.workMs - sinceMs;
  }

  /** Releases the blocks of a batch. */
  #empty(batch: EventBlock): void {
    for (const { block } of batch.slices) this.#release(block);
    batch.reset();
  }

  #retain(block: Block): void {
    this.#users.set(block, (this.#users.get(block) ?? 0) + 1);
  }

  #release(block: Block): void {
    const users = this.#users.get(block);
    // Two blocks in one buffer would be rows that are silently wrong.
    if (users === undefined) throw new Error("A block was given back twice");
    if (users > 1) {
      this.#users.set(block, users - 1);
      return;
    }
    this.#users.delete(block);
    this.#buffers.release(block.bytes);
  }
}
