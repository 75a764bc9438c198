import type { Condition } from "../clickhouse/key-range-sql.ts";
import { TransportError } from "../clickhouse/server-errors.ts";
import { describeRange, type SortingKey, WHOLE_KEY_SPACE } from "../plan/key-range.ts";
import { planPages } from "../plan/pages.ts";
import { PHASE_KEYS, rangeCondition } from "../plan/source-key.ts";
import { inParallel } from "../run/in-parallel.ts";
import type { CellKey, Fingerprint, Side } from "./cell.ts";
import { type Cells, describeSpan, spansOf } from "./cells.ts";
import {
  type CellSpan,
  type ComparedColumn,
  type ComparedRows,
  DAY_SQL,
  digestSql,
  expectedRows,
  SPAN_COLUMNS,
  spanCondition,
  targetRows,
} from "./compared-rows.ts";
import type { ComparedRange, ComparisonLedger, ComparisonState } from "./comparison-ledger.ts";
import type { VerifyScope } from "./scope.ts";
import { planTargetRanges, targetRangeCondition } from "./target-ranges.ts";

/** A query of fingerprints. */
interface Task {
  readonly side: Side;
  readonly operation: string;
  readonly rows: ComparedRows;
  readonly plannedRows: number;
}

/** Where the state of a comparison of all cells is kept. */
export interface KeptComparison {
  readonly ledger: ComparisonLedger;
  /** Says what is compared. */
  readonly subject: string;
}

/**
 * Reads both sides once, range by range, and adds the fingerprints of their cells; dataset runs aside. Goes on with what an interrupted
 * comparison has kept. Returns how many ranges there were. Rejects with an OperationError, or with the signal's reason.
 */
export async function addFingerprints(
  scope: VerifyScope,
  cells: Cells,
  { ledger, subject }: KeptComparison,
  onPlanned: (rows: number) => void,
): Promise<number> {
  const kept = ledger.load(subject);
  for (const { expected, actual, ...key } of kept?.cells ?? []) {
    cells.add("expected", key, expected);
    cells.add("actual", key, actual);
  }
  const ranges = kept?.ranges ?? (await planRanges(scope));
  const done = new Set(kept?.ranges.filter(({ isDone }) => isDone));
  const rowsOf = (some: Iterable<ComparedRange>): number =>
    [...some].reduce((sum, { rows }) => sum + rows, 0);
  onPlanned(rowsOf(ranges));
  scope.onRows(rowsOf(done));
  const state = (): ComparisonState => ({
    ranges: ranges.map((range) => ({ ...range, isDone: done.has(range) })),
    cells: cells.all(),
  });
  const left = ranges.filter((range) => !done.has(range));
  await inParallel(left, scope.parallelQueries, async (range) => {
    const task = rangeTask(scope, range);
    for (const { key, fingerprint } of await fingerprints(scope, task)) {
      cells.add(task.side, key, fingerprint);
    }
    done.add(range);
    ledger.save(subject, state);
    scope.onRows(range.rows);
  });
  return ranges.length;
}

/** The same of some cells alone. */
export async function addFingerprintsOf(
  scope: VerifyScope,
  cells: Cells,
  only: readonly CellKey[],
): Promise<number> {
  const tasks = spansOf(only).flatMap((span) => spanTasks(scope, span));
  await inParallel(tasks, scope.parallelQueries, async (task) => {
    for (const { key, fingerprint } of await fingerprints(scope, task)) {
      cells.add(task.side, key, fingerprint);
    }
  });
  return tasks.length;
}

async function planRanges(scope: VerifyScope): Promise<(ComparedRange & { isDone: boolean })[]> {
  const ranges: (ComparedRange & { isDone: boolean })[] = [];
  for (const { enrichment, plan } of scope.phases) {
    for await (const { range, plannedRows } of planPages(plan, [WHOLE_KEY_SPACE])) {
      const [after, upTo] = [boundOf(range.after), boundOf(range.upTo)];
      ranges.push({
        side: "expected",
        phase: enrichment.phase,
        after,
        upTo,
        rows: plannedRows,
        isDone: false,
      });
    }
  }
  for (const { after, upTo, rows } of await planTargetRanges(scope)) {
    ranges.push({ side: "actual", phase: null, after, upTo, rows, isDone: false });
  }
  return ranges;
}

function boundOf(key: SortingKey | null): string[] | null {
  return key === null ? null : [key.projectId, key.type, key.date, key.id];
}

function keyOf(bound: readonly string[] | null): SortingKey | null {
  if (bound === null) return null;
  const [projectId = "", type = "", date = "", id = ""] = bound;
  return { projectId, type, date, id };
}

function rangeTask(scope: VerifyScope, { side, phase, after, upTo, rows: plannedRows }: ComparedRange): Task {
  const { columns, target } = scope;
  if (phase === null) {
    const conditions = targetConditions(scope, targetRangeCondition({ after, upTo }));
    const from = after === null ? "the first key" : after.map((value) => JSON.stringify(value)).join(", ");
    const operation = `Reading ${target}, from ${from}`;
    return { side, operation, rows: targetRows(target, columns, conditions), plannedRows };
  }
  const known = scope.phases.find(({ enrichment }) => enrichment.phase === phase);
  if (known === undefined) throw new TypeError(`No phase ${phase} is compared`);
  const range = { after: keyOf(after), upTo: keyOf(upTo) };
  const condition = rangeCondition(PHASE_KEYS[phase], range);
  return {
    side,
    operation: `Reading ${known.plan.table}, ${describeRange(range)}`,
    rows: expectedRows(known.mapping, known.enrichment, condition, columns),
    plannedRows,
  };
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

/** Of a row `r`. Cells with JSON that is the same and stored in another way seem to differ: their rows are compared by its text. */
export function fingerprintSql(columns: readonly ComparedColumn[]): string {
  return digestSql(columns, "stored");
}

async function fingerprints(
  { server, retry, columns, settings }: VerifyScope,
  { operation, rows }: Task,
): Promise<{ key: CellKey; fingerprint: Fingerprint }[]> {
  const sql = `SELECT hex(r.project_id) AS project, toString(${DAY_SQL}) AS day, count() AS row_count,
      toString(sum(${fingerprintSql(columns)}))
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
