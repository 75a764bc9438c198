import type { Block } from "../clickhouse/native/block.ts";
import type { BufferPool } from "../clickhouse/native/buffer-pool.ts";
import { withRetry } from "../clickhouse/retry.ts";
import { selectBlocks } from "../clickhouse/select-blocks.ts";
import type { QuerySettings } from "../clickhouse/server.ts";
import { identifier } from "../clickhouse/sql.ts";
import { describeRange, type KeyRange } from "../plan/key-range.ts";
import { rangeCondition } from "../plan/source-key.ts";
import type { TraceStore } from "../traces/store.ts";
import type { BadRow } from "./bad-row.ts";
import { Batch } from "./batch.ts";
import { BatchSender, type BatchSending } from "./batch-sender.ts";
import { Enricher } from "./enrich/enricher.ts";

/** What copying pages needs. */
export interface PageCopying extends BatchSending {
  /** The quoted table. */
  readonly source: string;
  readonly partition: string;
  readonly dryRun: boolean;
  /** The server reads JSON columns that come as paths. */
  readonly takesJsonPaths: boolean;
  readonly pageSettings: QuerySettings;
}

/** What was copied of a page. */
export interface PageResult {
  readonly rows: number;
  readonly withoutTrace: number;
  /** Size of the page's observations as they came over the wire. */
  readonly bytes: number;
}

/** A page that is copied: `rows` counts all of its observations. */
export interface CopiedPage extends PageResult {
  /** Rows that are not in the target, since no batch can carry them. */
  readonly skipped: readonly BadRow[];
}

/** What is done of a page while it is copied. */
interface PageInProgress {
  rows: number;
  withoutTrace: number;
  bytes: number;
  readonly skipped: BadRow[];
}

/** Copies one page after another: fetching the next block, enriching and inserting overlap. */
export class PageCopier {
  readonly #copying: PageCopying;
  readonly #enricher: Enricher;
  readonly #buffers: BufferPool;
  readonly #users = new Map<Block, number>();
  readonly #sender: BatchSender;
  #filling: Batch;
  #sending: Batch;

  /** Blocks get their buffers from `buffers`. */
  constructor(copying: PageCopying, store: TraceStore, buffers: BufferPool) {
    this.#copying = copying;
    this.#buffers = buffers;
    this.#enricher = new Enricher(store, copying.mapping.tagsBecomeMetadata);
    this.#filling = new Batch(copying.mapping, copying.takesJsonPaths);
    this.#sending = new Batch(copying.mapping, copying.takesJsonPaths);
    this.#sender = new BatchSender(copying, store);
  }

  /**
   * Copies a page and returns when the server has acknowledged all of its rows but the skipped ones. `onProgress` is told, after each batch,
   * what of the page is done; after a failed attempt it begins anew. Rejects with a StepError that names the step and the
   * range, or with the reason of the retry policy's signal.
   */
  async copy(range: KeyRange, onProgress: (done: PageResult) => void): Promise<CopiedPage> {
    const { retry, source } = this.#copying;
    const step = `Copying ${source}, ${describeRange(range)}`;
    return await withRetry(step, retry, () => this.#attempt(range, onProgress));
  }

  async #attempt(range: KeyRange, onProgress: (done: PageResult) => void): Promise<CopiedPage> {
    let sent: Promise<void> = Promise.resolve();
    const done: PageInProgress = { rows: 0, withoutTrace: 0, bytes: 0, skipped: [] };
    const send = async (): Promise<void> => {
      await sent;
      [this.#filling, this.#sending] = [this.#sending, this.#filling];
      sent = this.#send(this.#sending, range, done, onProgress);
      // Looked at when the next batch is ready or the page ends; until then its failure must not count as unhandled.
      sent.catch(() => {});
    };
    try {
      for await (const block of this.#blocks(range)) {
        this.#retain(block);
        for (let from = 0; from < block.rows; ) {
          const to = this.#filling.take(block, from, this.#sender.maxRows, this.#enricher);
          if (to === from) await send();
          else this.#retain(block);
          from = to;
        }
        // The next block is likely to be as large; if it will not fit, nothing is gained by waiting for it.
        if (this.#filling.isFullFor(block.rows, this.#sender.maxRows)) await send();
        this.#release(block);
      }
      if (this.#filling.rows > 0) await send();
      await sent;
      return done;
    } finally {
      await sent.catch(() => {});
      this.#filling.reset();
      this.#sending.reset();
      this.#users.clear();
    }
  }

  #blocks(range: KeyRange): AsyncIterable<Block> {
    const { server, mapping, source, partition, pageSettings, retry } = this.#copying;
    const condition = rangeCondition(range);
    const items = [...mapping.copied, ...mapping.helpers];
    const sql = `SELECT ${items.map(({ name, sql }) => `${sql} AS ${identifier(name)}`).join(", ")}
      FROM ${source} AS o FINAL WHERE o._partition_id = {partition:String} AND ${condition.sql}`;
    const params = { ...condition.params, partition };
    return selectBlocks(server, { sql, params, settings: pageSettings }, this.#buffers, retry.signal);
  }

  async #send(
    batch: Batch,
    range: KeyRange,
    done: PageInProgress,
    onProgress: (done: PageResult) => void,
  ): Promise<void> {
    // A dry run encodes what it does not send: that is where odd data would show.
    if (this.#copying.dryRun) batch.body();
    else done.skipped.push(...(await this.#sender.send(batch, describeRange(range))));
    done.rows += batch.rows;
    done.withoutTrace += batch.withoutTrace;
    done.bytes += batch.sourceBytes;
    for (const { block } of batch.slices) this.#release(block);
    batch.reset();
    const { rows, withoutTrace, bytes } = done;
    onProgress({ rows, withoutTrace, bytes });
  }

  #retain(block: Block): void {
    this.#users.set(block, (this.#users.get(block) ?? 0) + 1);
  }

  #release(block: Block): void {
    const users = (this.#users.get(block) ?? 0) - 1;
    if (users > 0) {
      this.#users.set(block, users);
      return;
    }
    this.#users.delete(block);
    this.#buffers.release(block.bytes);
  }
}
