import { TransportError } from "../clickhouse/errors.ts";
import { withRetry } from "../clickhouse/retry.ts";
import { identifier } from "../clickhouse/sql.ts";
import { compareKeys, describeRange, type KeyRange, type SortingKey } from "../plan/key-range.ts";
import { type PlanScope, planPages } from "../plan/pages.ts";
import { rangeCondition } from "../plan/source-key.ts";

/** A range that was copied, and how many rows were read there: those that are acknowledged, and skipped ones. */
export interface CopiedRange {
  readonly range: KeyRange;
  readonly rows: number;
  /** No row was read before; milliseconds since 1970, by the server's clock. */
  readonly readSinceMs: number;
}

/** A range of which the source holds more rows than were read, although they were there in time. */
export interface MissedRange {
  readonly range: KeyRange;
  readonly sourceRows: number;
  readonly copiedRows: number;
}

/** What counting the source has shown. */
export interface ProofResult {
  /** In key order; none: everything is copied. */
  readonly missed: readonly MissedRange[];
  /** Rows whose newest version came when their page was read already. */
  readonly lateRows: number;
  /** Rows that were read and that the source does not hold any more. */
  readonly goneRows: number;
}

/** What is counted, and how. */
export interface ProofScope extends PlanScope {
  /** Columns of the source with times of writing: a row whose times are all before a moment was there by then. */
  readonly timeColumns: readonly string[];
  readonly parallelQueries: number;
  /** Rows that one query counts, about. */
  readonly queryRows: number;
}

/**
 * Between the time that a row carries and its arrival in the table lie the clocks of those who write and their batching:
 * a row that was this young when its page was read may have come just after, and is late then and not missed.
 */
const ARRIVAL_MARGIN_MS = 60_000;

/**
 * Counts what the source holds of the copied ranges (newest versions, not deleted) and compares it with what was read.
 * Rows that carry a time later than the reading of their page are late; any that are too many besides were missed. Where
 * a count differs the range is bisected, down to the pages. Rejects with a StepError, or with the signal's reason.
 */
export async function proveCopied(scope: ProofScope, copied: readonly CopiedRange[]): Promise<ProofResult> {
  const proof = new PartitionProof(scope);
  const spans = spansOf(inKeyOrder(copied), scope.queryRows);
  const work = spans.values();
  const failures: unknown[] = [];
  const run = async (): Promise<void> => {
    for (const span of work) {
      if (failures.length > 0) return;
      await proof.check(span).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: scope.parallelQueries }, run));
  if (failures.length > 0) throw failures[0];
  return proof.result();
}

/** Ranges that follow each other, in key order. */
type Span = readonly [CopiedRange, ...CopiedRange[]];

/** Rows by the greatest of their times. */
interface Counts {
  rows: number;
  /** Later than the reading of the range. */
  late: number;
  /** Late ones, and those that were young at the reading. */
  young: number;
}

class PartitionProof {
  readonly #scope: ProofScope;
  readonly #missed: MissedRange[] = [];
  #lateRows = 0;
  #goneRows = 0;

  constructor(scope: ProofScope) {
    this.#scope = scope;
  }

  result(): ProofResult {
    return { missed: inKeyOrder(this.#missed), lateRows: this.#lateRows, goneRows: this.#goneRows };
  }

  async check(span: Span): Promise<void> {
    const { rows, late, young } = await this.#count(span);
    const copiedRows = rowsOf(span);
    const inTime = rows - late;
    // Rows that are late for one page may have been read with another: sums of pages would hide as many missed ones.
    if (span.length > 1 && (inTime !== copiedRows || late > 0)) {
      const middle = Math.ceil(span.length / 2);
      for (const half of [span.slice(0, middle), span.slice(middle)]) {
        if (isSpan(half)) await this.check(half);
      }
      return;
    }
    const certain = rows - young;
    if (certain > copiedRows) {
      this.#missed.push({ range: span[0].range, sourceRows: inTime, copiedRows });
      return;
    }
    this.#lateRows += late + Math.max(0, inTime - copiedRows);
    // A row that was read and has a newer version now counts as late.
    this.#goneRows += Math.max(0, copiedRows - rows);
  }

  async #count(span: Span): Promise<Counts> {
    const range = rangeOf(span);
    const readSinceMs = Math.min(...span.map((copied) => copied.readSinceMs));
    // What earlier runs copied is one range, however large.
    const isLarge = span.length === 1 && span[0].rows > 2 * this.#scope.queryRows;
    if (!isLarge) return await this.#countRange(range, readSinceMs);
    const sum: Counts = { rows: 0, late: 0, young: 0 };
    for await (const page of planPages({ ...this.#scope, pageRows: this.#scope.queryRows }, [range])) {
      const counts = await this.#countRange(page.range, readSinceMs);
      sum.rows += counts.rows;
      sum.late += counts.late;
      sum.young += counts.young;
    }
    return sum;
  }

  async #countRange(range: KeyRange, readSinceMs: number): Promise<Counts> {
    const { server, table, partition, timeColumns, retry } = this.#scope;
    const condition = rangeCondition(range);
    const times = timeColumns.map((column) => `o.${identifier(column)}`).join(", ");
    const newest = timeColumns.length > 1 ? `greatest(${times})` : times;
    const isAfter = (parameter: string): string =>
      `countIf(${newest} > fromUnixTimestamp64Milli({${parameter}:Int64}))`;
    const sql = `SELECT count(), ${isAfter("read")}, ${isAfter("young")}
      FROM ${table} AS o FINAL WHERE o._partition_id = {partition:String} AND ${condition.sql}`;
    const params = {
      ...condition.params,
      partition,
      read: readSinceMs,
      young: readSinceMs - ARRIVAL_MARGIN_MS,
    };
    return await withRetry(`Counting ${table}, ${describeRange(range)}`, retry, async () => {
      const [row] = await server.allRows({ kind: "count", sql, params }, retry.signal);
      const [rows = Number.NaN, late = Number.NaN, young = Number.NaN] = (row ?? []).map(Number);
      if (!Number.isSafeInteger(rows - late) || !Number.isSafeInteger(young)) {
        throw new TransportError("No numbers came back");
      }
      return { rows, late, young };
    });
  }
}

/** Neighbours that one query counts. */
function spansOf(sorted: readonly CopiedRange[], queryRows: number): Span[] {
  const spans: [CopiedRange, ...CopiedRange[]][] = [];
  let rows = 0;
  for (const next of sorted) {
    const span = spans.at(-1);
    const previous = span?.at(-1);
    const follows = previous !== undefined && sameKey(previous.range.upTo, next.range.after);
    if (span === undefined || !follows || rows + next.rows > queryRows) {
      spans.push([next]);
      rows = next.rows;
    } else {
      span.push(next);
      rows += next.rows;
    }
  }
  return spans;
}

function isSpan(ranges: readonly CopiedRange[]): ranges is Span {
  return ranges.length > 0;
}

function rangeOf(span: Span): KeyRange {
  return { after: span[0].range.after, upTo: (span.at(-1) ?? span[0]).range.upTo };
}

function rowsOf(span: Span): number {
  return span.reduce((sum, { rows }) => sum + rows, 0);
}

function sameKey(upTo: SortingKey | null, after: SortingKey | null): boolean {
  return upTo !== null && after !== null && compareKeys(upTo, after) === 0;
}

/** Disjoint ranges in the order of their keys. */
export function inKeyOrder<Item extends { readonly range: KeyRange }>(items: readonly Item[]): Item[] {
  return [...items].sort((a, b) => compareBounds(a.range.after, b.range.after));
}

/** Compares lower bounds: an open one comes first. */
function compareBounds(a: SortingKey | null, b: SortingKey | null): number {
  if (a === null || b === null) return Number(a !== null) - Number(b !== null);
  return compareKeys(a, b);
}
