import type { QueryParams } from "../clickhouse/server.ts";
import { TransportError } from "../clickhouse/server-errors.ts";
import type { Side } from "./cell.ts";
import {
  CELL_SQL,
  type ComparedColumn,
  digestSql,
  type JsonHash,
  KEY_DIGEST,
  microsSql,
  withoutJson,
} from "./compared-rows.ts";

/** What is compared of a row: digests as text in hexadecimal. */
export interface RowDigest {
  /** Of all compared columns. */
  readonly all: string;
  /** Of all but a JSON column; the same as `all` where there is none. */
  readonly withoutJson: string;
  /** Of the time of the row's version, in microseconds since 1970. */
  readonly versionMicros: bigint;
  /** Expected rows: whether `all` decides about the JSON. Rows of the target: whether a run writes such a `source`. */
  readonly isCertain: boolean;
}

/** The rows of both sides that have one key. Several of a side: the target's sorting key does not tell them apart. */
export interface RowPair {
  /** The digest of the key. */
  readonly key: string;
  /** The row's project and day, as text. */
  readonly cell: string;
  readonly expected: readonly RowDigest[];
  readonly actual: readonly RowDigest[];
}

/** Rows of a side, as a subquery; `isCertain` is an expression on its row `r`. */
export interface PairedRows {
  readonly side: Side;
  readonly sql: string;
  readonly params: QueryParams;
  readonly isCertain: string;
}

/**
 * A query of the pairs that are not plainly equal, which is one row of each side with the same digest. Only these come back, so that this
 * program's memory follows the differences and not the rows. `where` is a condition on a row `r` of either side.
 */
export function pairsSql(
  sides: readonly PairedRows[],
  columns: readonly ComparedColumn[],
  where: string,
  json: JsonHash,
): string {
  const digests = `${digestSql(columns, json)} AS whole, ${digestSql(withoutJson(columns))} AS rest`;
  const selects = sides.map(({ side, sql, isCertain }) => {
    const isExpected = side === "expected" ? 1 : 0;
    return `SELECT ${KEY_DIGEST} AS row_key, ${CELL_SQL} AS cell, toUInt8(${isExpected}) AS is_expected,
      ${digests}, ${microsSql("event_ts")} AS version, toUInt8(${isCertain}) AS is_certain
    FROM (${sql}) AS r WHERE ${where}`;
  });
  const rows = "groupArray((is_expected, whole, rest, version, is_certain))";
  return `SELECT hex(row_key), any(cell),
      arrayMap(row -> [toString(row.1), hex(row.2), hex(row.3), toString(row.4), toString(row.5)], ${rows})
    FROM (${selects.join(" UNION ALL ")}) GROUP BY row_key
    HAVING count() != 2 OR min(is_expected) = max(is_expected) OR min(whole) != max(whole)`;
}

/** Reads a row of such a query. Throws a TransportError where it is none. */
export function rowPair([key, cell, rows]: readonly unknown[]): RowPair {
  if (typeof key !== "string" || typeof cell !== "string" || !Array.isArray(rows)) throw noDigest();
  const expected: RowDigest[] = [];
  const actual: RowDigest[] = [];
  for (const row of rows as readonly unknown[]) {
    if (!Array.isArray(row)) throw noDigest();
    const [isExpected, all, rest, version, isCertain] = row.map(String);
    if (
      all === undefined ||
      rest === undefined ||
      isCertain === undefined ||
      !/^-?\d+$/.test(version ?? "")
    ) {
      throw noDigest();
    }
    const digest = {
      all,
      withoutJson: rest,
      versionMicros: BigInt(version ?? ""),
      isCertain: isCertain === "1",
    };
    (isExpected === "1" ? expected : actual).push(digest);
  }
  return { key, cell, expected, actual };
}

function noDigest(): TransportError {
  return new TransportError("No digest came back");
}
