import { TransportError } from "../clickhouse/errors.ts";
import type { Block } from "../clickhouse/native/block.ts";
import { BufferPool } from "../clickhouse/native/buffer-pool.ts";
import { type RetryPolicy, withRetry } from "../clickhouse/retry.ts";
import { selectBlocks } from "../clickhouse/select-blocks.ts";
import type { QuerySettings, Server } from "../clickhouse/server.ts";
import { identifier } from "../clickhouse/sql.ts";
import type { ResolvedMapping } from "../mapping/resolve.ts";
import { describeRange, type KeyRange } from "../plan/key-range.ts";
import { rangeCondition } from "../plan/source-key.ts";
import type { TraceStore } from "../traces/store.ts";
import { Batch } from "./batch.ts";
import { Enricher } from "./enrich/enricher.ts";

/** What copying pages needs. */
export interface PageCopying {
  readonly server: Server;
  readonly mapping: ResolvedMapping;
  /** The quoted tables. */
  readonly source: string;
  readonly target: string;
  readonly partition: string;
  readonly batchRows: number;
  readonly dryRun: boolean;
  readonly pageSettings: QuerySettings;
  readonly writeSettings: QuerySettings;
  /** Its signal asks for an end after the batches in flight. */
  readonly retry: RetryPolicy;
}

/** What was copied of a page. */
export interface PageResult {
  readonly rows: number;
  readonly withoutTrace: number;
  /** Size of the page's observations as they came over the wire. */
  readonly bytes: number;
}

/** Blocks of two batches, the one that is arriving, and one to spare. */
const SPARE_BUFFERS = 4;
/** Requests go on when a stop is asked for: batches in flight finish. Stopping at once ends the thread. */
const NEVER = new AbortController().signal;

/** Copies one page after another: fetching the next block, enriching and inserting overlap. */
export class PageCopier {
  readonly #copying: PageCopying;
  readonly #enricher: Enricher;
  readonly #buffers = new BufferPool(SPARE_BUFFERS);
  readonly #users = new Map<Block, number>();
  readonly #insertSql: string;
  #filling: Batch;
  #sending: Batch;

  constructor(copying: PageCopying, store: TraceStore) {
    this.#copying = copying;
    this.#enricher = new Enricher(store, copying.mapping.tagsBecomeMetadata);
    this.#filling = new Batch(copying.mapping);
    this.#sending = new Batch(copying.mapping);
    this.#insertSql = insertStatement(copying.target, copying.mapping);
  }

  /**
   * Copies a page and returns when the server has acknowledged all of its batches. `onProgress` is told, after each batch,
   * what of the page is done; after a failed attempt it begins anew. Rejects with a StepError that names the step and the
   * range, or with the reason of the retry policy's signal.
   */
  async copy(range: KeyRange, onProgress: (done: PageResult) => void): Promise<PageResult> {
    const { retry, source } = this.#copying;
    const step = `Copying ${source}, ${describeRange(range)}`;
    return await withRetry(step, retry, () => this.#attempt(range, onProgress));
  }

  async #attempt(range: KeyRange, onProgress: (done: PageResult) => void): Promise<PageResult> {
    let sent: Promise<void> = Promise.resolve();
    const done = { rows: 0, withoutTrace: 0, bytes: 0 };
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
          const to = this.#filling.take(block, from, this.#copying.batchRows, this.#enricher);
          if (to === from) await send();
          else this.#retain(block);
          from = to;
        }
        // The next block is likely to be as large; if it will not fit, nothing is gained by waiting for it.
        if (this.#filling.isFullFor(block.rows, this.#copying.batchRows)) await send();
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
    done: { rows: number; withoutTrace: number; bytes: number },
    onProgress: (done: PageResult) => void,
  ): Promise<void> {
    const { dryRun, retry, target } = this.#copying;
    const body = batch.body();
    const step = `Inserting ${batch.rows} rows into ${target}, ${describeRange(range)}`;
    if (!dryRun) await withRetry(step, retry, () => this.#insert(body, batch.rows));
    done.rows += batch.rows;
    done.withoutTrace += batch.withoutTrace;
    done.bytes += batch.sourceBytes;
    for (const block of batch.blocks()) this.#release(block);
    batch.reset();
    onProgress(done);
  }

  async #insert(body: Buffer[], rows: number): Promise<void> {
    const { server, writeSettings } = this.#copying;
    const written = await server.insert({ sql: this.#insertSql, settings: writeSettings }, body, NEVER);
    // An insert whose data the server saw end early is acknowledged all the same. Rows that materialized views write count
    // too and could hide missing ones, but a batch is one block, which is stored whole or not at all: then views write none.
    if (written < rows) throw new TransportError(`The server stored ${written} of ${rows} rows`);
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

function insertStatement(target: string, mapping: ResolvedMapping): string {
  const names = [...mapping.copied.map(({ name }) => name), ...mapping.made.map(({ column }) => column.name)];
  return `INSERT INTO ${target} (${names.map(identifier).join(", ")}) FORMAT Native`;
}
