import { type Condition, type KeyColumn, keyRangeCondition } from "../clickhouse/key-range-sql.ts";
import { canBoundSql } from "../plan/pages.ts";
import type { VerifyScope } from "./scope.ts";

/** The beginning of the target's sorting key. */
const TARGET_KEY: readonly KeyColumn[] = [
  { sql: "t.project_id", type: "String" },
  { sql: "t.start_time", type: "DateTime64(6)" },
];

/** A range of the target, and the rows that it had when it was planned, old versions included. */
export interface TargetRange {
  readonly after: readonly string[] | null;
  readonly upTo: readonly string[] | null;
  readonly rows: number;
}

/** The condition that selects a range of the target `t`. */
export function targetRangeCondition({ after, upTo }: Pick<TargetRange, "after" | "upTo">): Condition {
  return keyRangeCondition(TARGET_KEY, after, upTo);
}

/**
 * Splits the month of the target into ranges of about `queryRows` rows, without gaps: by project and, within it, by day. Rejects with an
 * OperationError.
 */
export async function planTargetRanges(scope: VerifyScope): Promise<TargetRange[]> {
  const { server, target, inMonth, queryRows, retry } = scope;
  const sql = `SELECT t.project_id AS p, count(), toString(max(CAST(t.start_time AS DateTime64(6)))), ${canBoundSql("p")}
    FROM ${target} AS t WHERE ${inMonth.sql} GROUP BY p, toDate(t.start_time) AS day ORDER BY p, day`;
  const groups = await server.query(`Planning ranges of ${target}`, { sql, params: inMonth.params }, retry);
  const ranges: TargetRange[] = [];
  let after: string[] | null = null;
  let rows = 0;
  let last: unknown[] | null = null;
  const end = (upTo: string[] | null): void => {
    ranges.push({ after, upTo, rows });
    after = upTo;
    rows = 0;
  };
  for (const group of groups) {
    const [project, , time, canBound] = last ?? [];
    const isFull = rows > 0 && rows + Number(group[1]) > queryRows;
    if (isFull && Number(canBound) === 1) end([String(project), String(time)]);
    rows += Number(group[1]);
    last = group;
  }
  end(null);
  return ranges;
}
