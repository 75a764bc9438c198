import { TransportError } from "../clickhouse/server-errors.ts";
import { identifier } from "../clickhouse/sql.ts";
import { compareKeys, describeRange, type KeyRange, type SortingKey } from "../plan/key-range.ts";
import { type PlanScope, planPages } from "../plan/pages.ts";
import { rangeCondition } from "../plan/source-key.ts";
import { inParallel, type Throttling } from "./in-parallel.ts";

/** A range that was copied, and how many rows were read there: those that are acknowledged, and skipped ones. */
export interface CopiedRange {
  readonly range: KeyRange;
  readonly rows: number;
  /** No row was read before; milliseconds since 1970, by the server's clock. */
  readonly readSinceMs: number;
}

/** A range of which the source holds more rows than were read, although they were there when it was read. */
export interface MissingRange {
  readonly range: KeyRange;
  readonly sourceRows: number;
  readonly copiedRows: number;
}

/** What counting the source has shown. */
export interface VerificationResult {
  /** In key order; none: everything is copied. */
  readonly missing: readonly MissingRange[];
  /** Rows that were not read, since they were written after their page was read. */
  readonly lateRows: number;
  /** Rows that were read, and may have been written again since. */
  readonly rewrittenRows: number;
  /** Rows that were read and that the source does not hold any more. */
  readonly goneRows: number;
}

/** What is counted, and how. */
export interface VerificationScope extends PlanScope {
  /** Columns of the source with times of writing: a row whose times are all before a moment was there by then. */
  readonly timeColumns: readonly string[];
  readonly parallelQueries: number;
  /** Rows that one query counts, about. */
  readonly queryRows: number;
  /** Called with the rows of each range that is verified. */
  readonly onVerified?: (rows: number) => void;
  readonly throttling?: Throttling;
}

/**
 * Between the time that a row carries and its arrival in the table lie the clocks of those who write and their batching:
 * a row that was this young when its page was read may have come just after, and is late then and not missing.
 */
export const ARRIVAL_MARGIN_MS = 60_000;

/**
 * Counts what the source holds of the copied ranges (newest versions, not deleted) and compares it with what was read.
 * Of rows that are too many, those that carry a time after the reading of their page are late; any others are missing. A time in the
 * future says nothing of when its row was written. Where a count differs the range is bisected, down to the pages. Rejects with an OperationError, or with the signal's reason.
 */
export async function verifyCounts(
  scope: VerificationScope,
  copied: readonly CopiedRange[],
): Promise<VerificationResult> {
  const verification = new CountVerification(scope);
  const groups = groupsOf(inKeyOrder(copied), scope.queryRows);
  await inParallel(groups, scope.parallelQueries, (group) => verification.check(group), scope.throttling);
  return verification.result();
}

/** Ranges that follow each other, in key order. */
type RangeGroup = readonly [CopiedRange, ...CopiedRange[]];

/** Rows by the greatest of their times. */
interface Counts {
  rows: number;
  /** With a time between the reading of the range and now. */
  late: number;
  /** The same, and those that were young at the reading. */
  young: number;
}

class CountVerification {
  readonly #scope: VerificationScope;
  readonly #missing: MissingRange[] = [];
  #lateRows = 0;
  #rewrittenRows = 0;
  #goneRows = 0;

  constructor(scope: VerificationScope) {
    this.#scope = scope;
  }

  result(): VerificationResult {
    return {
      missing: inKeyOrder(this.#missing),
      lateRows: this.#lateRows,
      rewrittenRows: this.#rewrittenRows,
      goneRows: this.#goneRows,
    };
  }

  async check(group: RangeGroup): Promise<void> {
    const { rows, late, young } = await this.#count(group);
    const copiedRows = rowsOf(group);
    const inTime = rows - late;
    // Rows that are late for one page may have been read with another: sums of pages would hide as many missing ones.
    if (group.length > 1 && (inTime !== copiedRows || late > 0)) {
      const middle = Math.ceil(group.length / 2);
      for (const half of [group.slice(0, middle), group.slice(middle)]) {
        if (isGroup(half)) await this.check(half);
      }
      return;
    }
    const certain = rows - young;
    if (certain > copiedRows) {
      this.#missing.push({ range: group[0].range, sourceRows: inTime, copiedRows });
      this.#verified(rows);
      return;
    }
    const notRead = Math.max(0, rows - copiedRows);
    this.#lateRows += notRead;
    this.#rewrittenRows += Math.max(0, late - notRead);
    this.#goneRows += Math.max(0, copiedRows - rows);
    this.#verified(rows);
  }

  #verified(rows: number): void {
    this.#scope.onVerified?.(rows);
  }

  async #count(group: RangeGroup): Promise<Counts> {
    const range = rangeOf(group);
    const readSinceMs = Math.min(...group.map((copied) => copied.readSinceMs));
    // What earlier runs copied is one range, however large.
    const isLarge = group.length === 1 && group[0].rows > 2 * this.#scope.queryRows;
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
    const { server, table, key, partition, timeColumns, retry } = this.#scope;
    const condition = rangeCondition(key, range);
    // Clocks of writers may be somewhat ahead of the server's.
    const now = `(now64(3) + INTERVAL ${ARRIVAL_MARGIN_MS / 1000} SECOND)`;
    const isAfter = (parameter: string): string => {
      const times = timeColumns.map((column) => `${key.alias}.${identifier(column)}`);
      const since = `fromUnixTimestamp64Milli({${parameter}:Int64})`;
      return `countIf(${times.map((time) => `${time} > ${since} AND ${time} <= ${now}`).join(" OR ")})`;
    };
    const sql = `SELECT count(), ${isAfter("read")}, ${isAfter("young")}
      FROM ${table} AS ${key.alias} FINAL WHERE ${key.alias}._partition_id = {partition:String} AND ${condition.sql}`;
    const params = {
      ...condition.params,
      partition,
      read: readSinceMs,
      young: readSinceMs - ARRIVAL_MARGIN_MS,
    };
    const operation = `Counting ${table}, ${describeRange(range)}`;
    return await server.query(operation, { kind: "count", sql, params }, retry, ([row]) => {
      const [rows = Number.NaN, late = Number.NaN, young = Number.NaN] = (row ?? []).map(Number);
      if (!Number.isSafeInteger(rows - late) || !Number.isSafeInteger(young)) {
        throw new TransportError("No numbers came back");
      }
      return { rows, late, young };
    });
  }
}

/** Neighbours that one query counts. */
function groupsOf(sorted: readonly CopiedRange[], queryRows: number): RangeGroup[] {
  const groups: [CopiedRange, ...CopiedRange[]][] = [];
  let rows = 0;
  for (const next of sorted) {
    const group = groups.at(-1);
    const previous = group?.at(-1);
    const follows = previous !== undefined && sameKey(previous.range.upTo, next.range.after);
    if (group === undefined || !follows || rows + next.rows > queryRows) {
      groups.push([next]);
      rows = next.rows;
    } else {
      group.push(next);
      rows += next.rows;
    }
  }
  return groups;
}

function isGroup(ranges: readonly CopiedRange[]): ranges is RangeGroup {
  return ranges.length > 0;
}

function rangeOf(group: RangeGroup): KeyRange {
  return { after: group[0].range.after, upTo: (group.at(-1) ?? group[0]).range.upTo };
}

function rowsOf(group: RangeGroup): number {
  return group.reduce((sum, { rows }) => sum + rows, 0);
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
