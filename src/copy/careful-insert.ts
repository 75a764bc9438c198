import { pause } from "../abortable.ts";
import { type WaitNotice, waitForMerges } from "../clickhouse/merge-wait.ts";
import { backoffMs, OperationError, type RetryPolicy, withRetry } from "../clickhouse/retry.ts";
import type { Server } from "../clickhouse/server.ts";
import { type Refusal, refusalOf, TransportError } from "../clickhouse/server-errors.ts";
import { identifier } from "../clickhouse/sql.ts";
import type { ResolvedMapping } from "../mapping/resolve-mapping.ts";
import type { RowEnricher } from "./enrich/row-enricher.ts";
import type { EventBlock } from "./event-block.ts";
import { EventBlockCutter, type RowRange, slicesOf } from "./event-block-cutter.ts";
import { InsertSize } from "./insert-size.ts";
import { describeRow, identifyRow, type RejectedRow } from "./rejected-row.ts";

/** What inserting batches requires. */
export interface InsertContext {
  readonly server: Server;
  readonly mapping: ResolvedMapping;
  /** The quoted table. */
  readonly target: string;
  readonly batchRows: number;
  /** How long an insert waits for merges; 0: it does not. */
  readonly maxWaitMs: number;
  /** Whether the run goes on when a row cannot be inserted. */
  readonly skipBadRows: boolean;
  /** Of the server: days of keys are its days. */
  readonly timeZone: string;
  /** Its signal ends the copy after the requests in flight. */
  readonly retry: RetryPolicy;
  readonly onWait: (notice: WaitNotice) => void;
  readonly onSplit: (notice: SplitNotice) => void;
}

/** A batch, or a part of one, is sent in halves: it is too large, or to find the row that the server rejects. */
export interface SplitNotice {
  readonly reason: Refusal["reason"];
  readonly operation: string;
  /** The server's own words. */
  readonly message: string;
}

/** Requests go on after a stop: batches in flight finish. Stopping at once ends the thread. */
const NEVER = new AbortController().signal;

/**
 * This many rejected rows in succession are no accident: the error is not about single rows, and a whole month must not be
 * skipped row by row.
 */
const MAX_REFUSED_IN_SUCCESSION = 20;

/** The state of a batch. */
interface Outcome {
  readonly where: string;
  readonly bad: RejectedRow[];
  wasTooLarge: boolean;
  isSearched: boolean;
  largestStoredRows: number;
}

/**
 * Inserts batches, one at a time, each as one Native block and one INSERT: retries, waits for merges, and bisects a batch that is too
 * large or holds a row that the server rejects.
 */
export class CarefulInserter {
  readonly #sending: InsertContext;
  readonly #insertSql: string;
  readonly #size: InsertSize;
  readonly #enricher: () => RowEnricher;
  #cutter: EventBlockCutter | null = null;
  #refusedInSuccession = 0;

  /** `enricher` makes one for the parts of batches. */
  constructor(sending: InsertContext, enricher: () => RowEnricher) {
    this.#sending = sending;
    this.#insertSql = insertStatement(sending.target, sending.mapping);
    this.#size = new InsertSize(sending.batchRows);
    this.#enricher = enricher;
  }

  /** Rows that the next batch should have at most. */
  get maxRows(): number {
    return this.#size.rows;
  }

  /**
   * Inserts a batch and returns the rows that the server rejects; none unless such rows are skipped. All others are
   * acknowledged then. `where` is the key range, for messages. Rejects with an OperationError, or with
   * the reason of the retry policy's signal.
   */
  async send(batch: EventBlock, where: string): Promise<RejectedRow[]> {
    const outcome: Outcome = {
      where,
      bad: [],
      wasTooLarge: false,
      isSearched: false,
      largestStoredRows: 0,
    };
    await this.#sendRows(batch, { from: 0, to: batch.rows }, 0, outcome);
    if (!this.#sending.skipBadRows) this.#stopAtBadRow(outcome);
    if (outcome.wasTooLarge) this.#size.shrink(outcome.largestStoredRows);
    else this.#size.grow();
    return outcome.bad;
  }

  async #sendRows(batch: EventBlock, range: RowRange, depth: number, outcome: Outcome): Promise<void> {
    const rows = range.to - range.from;
    const operation = `Inserting ${rows} ${rows === 1 ? "row" : "rows"} into ${this.#sending.target}, ${outcome.where}`;
    const body = rows === batch.rows ? batch.body() : this.#cut(batch, range);
    const refusal = await this.#insert(operation, body, rows);
    if (refusal === null) {
      this.#refusedInSuccession = 0;
      outcome.largestStoredRows = Math.max(outcome.largestStoredRows, rows);
      if (!this.#sending.skipBadRows) this.#stopAtBadRow(outcome);
    } else if (rows === 1) {
      this.#refuse(batch, range, refusal, outcome);
    } else {
      await this.#announceSplit(operation, refusal, depth, outcome);
      const middle = range.from + Math.ceil(rows / 2);
      await this.#sendRows(batch, { from: range.from, to: middle }, depth + 1, outcome);
      await this.#sendRows(batch, { from: middle, to: range.to }, depth + 1, outcome);
    }
  }

  #cut(batch: EventBlock, range: RowRange): Buffer[] {
    this.#cutter ??= new EventBlockCutter(this.#sending.mapping, this.#enricher());
    return this.#cutter.body(batch, range);
  }

  /** Resolves to null once the rows are stored, or to the server's refusal. */
  async #insert(operation: string, body: Buffer[], rows: number): Promise<Refusal | null> {
    const { retry, maxWaitMs, onWait } = this.#sending;
    const wait = { maxWaitMs, onWait, signal: retry.signal };
    try {
      return await withRetry(operation, retry, async () => {
        try {
          await waitForMerges(operation, wait, () => this.#insertOnce(body, rows));
          return null;
        } catch (error) {
          // Halves come next instead of the same rows; a single row has none, and some of its errors may pass.
          const refusal = rows > 1 ? refusalOf(error) : null;
          if (refusal === null) throw error;
          return refusal;
        }
      });
    } catch (error) {
      const refusal = error instanceof OperationError ? refusalOf(error.cause) : null;
      if (refusal === null) throw error;
      return refusal;
    }
  }

  async #insertOnce(body: Buffer[], rows: number): Promise<void> {
    const { server } = this.#sending;
    const written = await server.insert({ sql: this.#insertSql }, body, NEVER);
    // The server acknowledges data that ends early. Rows that materialized views write count too and could hide missing
    // ones, but one block is stored whole or not at all, and then views write nothing.
    if (written < rows) throw new TransportError(`The server stored ${written} of ${rows} rows`);
  }

  async #announceSplit(
    operation: string,
    { reason, error }: Refusal,
    depth: number,
    outcome: Outcome,
  ): Promise<void> {
    const { onSplit, retry } = this.#sending;
    if (reason === "size") {
      outcome.wasTooLarge = true;
      onSplit({ reason, operation, message: error.message });
      // What used up the memory or the time may be other queries.
      await pause(backoffMs(depth, Math.random()), retry.signal);
    } else if (!outcome.isSearched) {
      outcome.isSearched = true;
      onSplit({ reason, operation, message: error.message });
    }
  }

  #refuse(batch: EventBlock, range: RowRange, { error }: Refusal, outcome: Outcome): void {
    const [slice] = slicesOf(batch.slices, range);
    if (slice === undefined) throw new RangeError(`A batch of ${batch.rows} rows has no row ${range.from}`);
    const row = identifyRow(slice.block, slice.from, this.#sending.timeZone);
    outcome.bad.push({ row, code: error.code, message: error.message });
    this.#refusedInSuccession++;
    if (this.#refusedInSuccession < MAX_REFUSED_IN_SUCCESSION) return;
    throw new OperationError(
      `Inserting into ${this.#sending.target}, ${outcome.where}: ${this.#refusedInSuccession} rows in succession were rejected, with none stored in between, so the cause is not a single row and none of them is skipped; the last one is ${describeRow(row)}`,
      error,
    );
  }

  /** Called once another row succeeded; otherwise a general failure would be blamed on this row. */
  #stopAtBadRow({ bad: [first], where }: Outcome): void {
    if (first === undefined) return;
    throw new OperationError(
      `Inserting into ${this.#sending.target}, ${where}: the server rejects the row ${describeRow(first.row)}`,
      new Error(
        `${first.message}\nCorrect the row or the target, or give --skip-bad-rows <file> to record such rows and go on; then run the same command again.`,
      ),
    );
  }
}

/** The INSERT of event blocks, by the names of the columns that the mapping fills. */
export function insertStatement(target: string, mapping: ResolvedMapping): string {
  const names = [
    ...mapping.copied.map(({ name }) => name),
    ...mapping.derived.map(({ column }) => column.name),
  ];
  return `INSERT INTO ${target} (${names.map(identifier).join(", ")}) FORMAT Native`;
}
