import { randomUUID } from "node:crypto";
import type { RetryPolicy } from "../clickhouse/retry.ts";
import { Server } from "../clickhouse/server.ts";
import { identifier, literal, qualifiedTable } from "../clickhouse/sql.ts";
import { compareKeys, type KeyRange } from "../plan/key-range.ts";
import { canBoundSql } from "../plan/pages.ts";
import { MONTHLY_PHASES, type MonthlyPhase } from "../plan/phases.ts";
import { endOfGroup, PHASE_KEYS } from "../plan/source-key.ts";
import { type RunLedgers, runBackfill } from "../run/backfill.ts";
import type { BackfillOptions } from "../run/backfill-options.ts";
import { inKeyOrder } from "../run/count-verification.ts";
import type { BackfillEvent } from "../run/events.ts";
import { connect } from "../run/preflight/connect.ts";
import { rangesLedger } from "../run/ranges-ledger.ts";
import type { BackfillReport } from "../run/report.ts";
import { asRunError } from "../run/run-error.ts";
import { spansOf } from "./cells.ts";
import { type CellSpan, SPAN_COLUMNS, spanCondition } from "./compared-rows.ts";
import type { Example } from "./differences.ts";
import { type DifferingDay, type DifferingRange, dayMicrosOf } from "./differing-range.ts";

/**
 * Copies parts of a month again, whatever was copied before, and nothing else; it deletes nothing. The checkpoint of the month stays as it
 * is. Rejects with a RunError when that fails, and with the signal's reason when it is stopped.
 */
export async function copyRanges(
  options: BackfillOptions,
  ranges: readonly DifferingRange[],
  emit: (event: BackfillEvent) => void,
  stop: AbortSignal,
): Promise<BackfillReport> {
  const days = ranges.filter((range) => range.phase === "month");
  const traces = ranges.flatMap((range) => (range.phase === "experiments" ? [range.range] : []));
  const monthly = new Map<MonthlyPhase, KeyRange[]>();
  if (days.length > 0) {
    for (const [phase, keys] of await sourceRanges(options, days, emit, stop)) monthly.set(phase, keys);
  }
  const ledgers: RunLedgers = {
    monthly: new Map([...monthly].map(([phase, keys]) => [phase, rangesLedger(keys)] as const)),
    openExperiments: traces.length === 0 ? null : () => rangesLedger(traces),
  };
  return await runBackfill(options, ledgers, emit, stop);
}

/** The key ranges of the sources that the rows of some days come from; a phase that the sources have no rows for has none. */
async function sourceRanges(
  options: BackfillOptions,
  days: readonly DifferingDay[],
  emit: (event: BackfillEvent) => void,
  stop: AbortSignal,
): Promise<Map<MonthlyPhase, KeyRange[]>> {
  const { connection, maxRetries } = options;
  const retry: RetryPolicy = {
    maxRetries,
    onRetry: (notice) => emit({ kind: "retry", ...notice }),
    signal: stop,
  };
  const server = new Server(connection, { queryIdPrefix: randomUUID().slice(0, 8) });
  try {
    await connect(server, options, retry);
    const ranges = new Map<MonthlyPhase, KeyRange[]>();
    const spans = spansOf(days.map(({ projectHex, day }) => ({ projectHex, dayMicros: dayMicrosOf(day) })));
    for (const phase of MONTHLY_PHASES) {
      const groups = new Map<string, KeyRange>();
      for (const span of spans) {
        for (const range of await groupsOf(server, options, phase, span, retry)) {
          groups.set(JSON.stringify(range), range);
        }
      }
      ranges.set(phase, joined([...groups.values()]));
    }
    return ranges;
  } catch (error) {
    stop.throwIfAborted();
    throw asRunError(error);
  } finally {
    server.close();
  }
}

/** The (project, type, day) groups of the source that have rows of a span: days of its key are days of the server's time zone. */
async function groupsOf(
  server: Server,
  { connection: { database }, tables, partition }: BackfillOptions,
  phase: MonthlyPhase,
  span: CellSpan,
  retry: RetryPolicy,
): Promise<KeyRange[]> {
  const key = PHASE_KEYS[phase];
  const table = qualifiedTable(database, phase === "roots" ? tables.traces : tables.source);
  const rows = spanCondition(SPAN_COLUMNS[phase], span);
  const type = key.type === null ? "''" : `toString(${key.type})`;
  const sql = `SELECT DISTINCT ${key.projectId} AS p, ${type} AS kind, toString(${key.date}) AS day, toString(${key.date} - 1) AS before,
      ${canBoundSql("p")} AND ${canBoundSql("kind")}
    FROM ${table} AS ${key.alias} WHERE ${key.alias}._partition_id = {partition:String} AND ${rows.sql}
    ORDER BY p, kind, day`;
  const params = { ...rows.params, partition };
  const groups = await server.query(`Reading the groups of ${table}`, { sql, params }, retry);
  return groups.map((group): KeyRange => {
    const [project = "", kind = "", date = "", before = "", canBound] = group.map(String);
    // What cannot be named is copied with everything else.
    if (canBound !== "1") return { after: null, upTo: null };
    const upTo = endOfGroup(project, kind, date);
    return { after: before < date ? endOfGroup(project, kind, before) : null, upTo };
  });
}

/** The ranges in key order, those joined to one that follow each other; an open one has all others within it. */
function joined(ranges: readonly KeyRange[]): KeyRange[] {
  if (ranges.some(({ after, upTo }) => after === null && upTo === null)) return [{ after: null, upTo: null }];
  const result: KeyRange[] = [];
  for (const { range } of inKeyOrder(ranges.map((range) => ({ range })))) {
    const last = result.at(-1);
    const follows = last?.upTo != null && range.after !== null && compareKeys(last.upTo, range.after) === 0;
    if (last !== undefined && follows) result[result.length - 1] = { after: last.after, upTo: range.upTo };
    else result.push(range);
  }
  return result;
}

/** The statement by which a person may delete rows that the sources do not explain; null where there are none. */
export function deleteStatement(
  database: string,
  target: string,
  examples: readonly Example[],
): string | null {
  const keys = examples
    .filter(({ kind }) => kind === "unexpected")
    .map(({ key }) => `(${Object.values(key).map(literal).join(", ")})`);
  if (keys.length === 0) return null;
  const names = Object.keys(examples[0]?.key ?? {}).map((name) =>
    name === "start_time" ? `toString(${identifier(name)})` : identifier(name),
  );
  return `DELETE FROM ${qualifiedTable(database, target)} WHERE (${names.join(", ")}) IN (${keys.join(", ")})`;
}
