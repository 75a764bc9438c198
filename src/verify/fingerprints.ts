import type { Condition } from "../clickhouse/key-range-sql.ts";
import { TransportError } from "../clickhouse/server-errors.ts";
import { describeRange, WHOLE_KEY_SPACE } from "../plan/key-range.ts";
import { planPages } from "../plan/pages.ts";
import { PHASE_KEYS, rangeCondition } from "../plan/source-key.ts";
import { inParallel } from "../run/in-parallel.ts";
import { type CellKey, type Cells, describeSpan, type Fingerprint, type Side, spansOf } from "./cells.ts";
import {
  type CellSpan,
  type ComparedRows,
  DAY_SQL,
  digestSql,
  expectedRows,
  SPAN_COLUMNS,
  spanCondition,
  targetRows,
} from "./compared-rows.ts";
import type { VerifyScope } from "./scope.ts";
import { planTargetRanges } from "./target-ranges.ts";

/** A query of fingerprints. */
interface Task {
  readonly side: Side;
  readonly operation: string;
  readonly rows: ComparedRows;
  readonly plannedRows: number;
}

/**
 * Reads both sides once, range by range, and adds the fingerprints of their cells; dataset runs aside. `only`: of these cells alone.
 * Returns how many ranges there were. Rejects with an OperationError, or with the signal's reason.
 */
export async function addFingerprints(
  scope: VerifyScope,
  cells: Cells,
  only: readonly CellKey[] | null,
  onPlanned: (rows: number) => void,
): Promise<number> {
  const tasks =
    only === null
      ? [...(await expectedTasks(scope)), ...(await targetTasks(scope))]
      : spansOf(only).flatMap((span) => spanTasks(scope, span));
  onPlanned(tasks.reduce((sum, { plannedRows }) => sum + plannedRows, 0));
  await inParallel(tasks, scope.parallelQueries, async (task) => {
    for (const { key, fingerprint } of await fingerprints(scope, task))
      cells.add(task.side, key, fingerprint);
    scope.onRows(task.plannedRows);
  });
  return tasks.length;
}

async function expectedTasks({ phases, columns }: VerifyScope): Promise<Task[]> {
  const tasks: Task[] = [];
  for (const { mapping, enrichment, plan } of phases) {
    for await (const { range, plannedRows } of planPages(plan, [WHOLE_KEY_SPACE])) {
      const condition = rangeCondition(PHASE_KEYS[enrichment.phase], range);
      tasks.push({
        side: "expected",
        operation: `Reading ${plan.table}, ${describeRange(range)}`,
        rows: expectedRows(mapping, enrichment, condition, columns),
        plannedRows,
      });
    }
  }
  return tasks;
}

async function targetTasks(scope: VerifyScope): Promise<Task[]> {
  const ranges = await planTargetRanges(scope);
  return ranges.map(({ condition, rows }, i) => ({
    side: "actual",
    operation: `Reading ${scope.target}, range ${i + 1} of ${ranges.length}`,
    rows: targetRows(scope.target, scope.columns, targetConditions(scope, condition)),
    plannedRows: rows,
  }));
}

/** The queries of a span of cells. */
function spanTasks(scope: VerifyScope, span: CellSpan): Task[] {
  const operation = `Comparing ${describeSpan(span)}`;
  const expected = scope.phases.map(({ mapping, enrichment }): Task => {
    const condition = spanCondition(SPAN_COLUMNS[enrichment.phase], span);
    const rows = expectedRows(mapping, enrichment, condition, scope.columns);
    return { side: "expected", operation, rows, plannedRows: 0 };
  });
  const conditions = targetConditions(scope, spanCondition(SPAN_COLUMNS.target, span));
  const rows = targetRows(scope.target, scope.columns, conditions);
  return [...expected, { side: "actual", operation, rows, plannedRows: 0 }];
}

/** The conditions that select a part of the target's month; what dataset runs name is compared apart. */
export function targetConditions({ inMonth, experiments }: VerifyScope, part: Condition): Condition[] {
  if (experiments === null) return [inMonth, part];
  const named = `SELECT i.project_id, i.trace_id FROM ${experiments.tables.items} AS i FINAL`;
  return [inMonth, part, { sql: `(t.project_id, t.trace_id) NOT IN (${named})`, params: {} }];
}

async function fingerprints(
  { server, retry, columns, settings }: VerifyScope,
  { operation, rows }: Task,
): Promise<{ key: CellKey; fingerprint: Fingerprint }[]> {
  const sql = `SELECT hex(r.project_id) AS project, toString(${DAY_SQL}) AS day, count() AS row_count,
      toString(sum(${digestSql(columns)}))
    FROM (${rows.sql}) AS r GROUP BY project, day`;
  const statement = { kind: "count", sql, params: rows.params, settings } as const;
  return await server.query(operation, statement, retry, (response) =>
    response.map(([projectHex, dayMicros, count, sum]) => {
      const rowCount = Number(count);
      if (!Number.isSafeInteger(rowCount) || !/^\d+$/.test(String(sum))) {
        throw new TransportError("No fingerprint came back");
      }
      return {
        key: { projectHex: String(projectHex), dayMicros: String(dayMicros) },
        fingerprint: { rows: rowCount, sum: BigInt(String(sum)) },
      };
    }),
  );
}
