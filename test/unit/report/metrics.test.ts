import { expect, test } from "bun:test";
import { NO_TIME } from "../../../src/copy/page-result.ts";
import { renderMetrics } from "../../../src/report/metrics.ts";
import { advanceProgress, INITIAL_PROGRESS } from "../../../src/report/progress.ts";
import { snapshotRun } from "../../../src/report/progress-snapshot.ts";
import { RateHistory } from "../../../src/report/rate-history.ts";
import type { BackfillEvent } from "../../../src/run/events.ts";
import { RunProgress } from "../../../src/run/run-progress.ts";
import { readMetrics } from "../../support/metrics.ts";

const RUN = {
  version: "0.2.0",
  engine: "client",
  database: "d",
  target: 'odd "name"\\',
  isDryRun: false,
  startedAtMs: 0,
};
const USE = { residentBytes: 1, cpuSeconds: 1 };

/** The events of a run of Langfuse v4 over two months, in which phases come back: the traces of the experiments, and the counting. */
function eventsOfTwoMonths(): BackfillEvent[] {
  const events: BackfillEvent[] = [
    {
      kind: "months",
      months: [
        { partition: "202511", rows: 1000 },
        { partition: "202510", rows: 1000 },
      ],
    },
  ];
  for (const partition of ["202511", "202510"]) {
    events.push({ kind: "month", partition, isOneOfSeveral: true });
    const progress = new RunProgress((event) => events.push(event));
    progress.planTraces(100);
    progress.handle({ kind: "traces", rows: 100, bytes: 1_000 });
    progress.finishTraces();
    for (const [phase, rows] of [
      ["roots", 100],
      ["observations", 1000],
    ] as const) {
      const page = { plannedRows: rows } as Parameters<RunProgress["copyPage"]>[0];
      const done = { rows, leftOut: 10, superseded: 0, withoutTrace: 0, bytes: rows * 10 };
      progress.begin(phase, rows, 0);
      progress.copyPage(page, { ...done, rows: rows / 2 }, NO_TIME);
      progress.finishPage(page, { ...done, skipped: [] });
      events.push(
        { kind: "verified", rows: 0, totalRows: rows },
        { kind: "verified", rows, totalRows: rows },
      );
    }
    progress.handle({ kind: "traces", rows: 50, bytes: 500 });
    events.push({
      kind: "month-ended",
      partition,
      outcome: "done",
      rows: 1080,
      durationMs: 1,
      isOneOfSeveral: true,
    });
  }
  return events;
}

test("every series is there once, counters never sink, and the share of the run never goes back", () => {
  let state = INITIAL_PROGRESS;
  let done = 0;
  const counters = new Map<string, number>();
  const history = new RateHistory(0);
  let nowMs = 0;
  for (const event of eventsOfTwoMonths()) {
    nowMs += 1_000;
    state = advanceProgress(state, event, nowMs);
    const snapshot = snapshotRun(state, nowMs);
    history.sample(snapshot, nowMs);
    expect(snapshot.done).toBeGreaterThanOrEqual(done);
    done = snapshot.done;
    const values = readMetrics(renderMetrics(snapshot, RUN, USE, { nowMs, wallMs: nowMs }));
    const series = values.map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`);
    expect(series).toEqual([...new Set(series)]);
    for (const [i, { type, value }] of values.entries()) {
      const name = series[i] ?? "";
      if (type !== "COUNTER") continue;
      expect(value).toBeGreaterThanOrEqual(counters.get(name) ?? 0);
      counters.set(name, value);
    }
  }
  expect(done).toBe(1);
  const sumOf = (name: string): number =>
    [...counters].reduce((sum, [series, value]) => sum + (series.startsWith(`${name} `) ? value : 0), 0);
  expect(sumOf("clickhouse_backfill_rows_read_total")).toBe(2 * (150 + 100 + 1000));
  expect(sumOf("clickhouse_backfill_rows_inserted_total")).toBe(2 * (90 + 990));
  const moved = history.points.reduce((sum, { rowsPerSecond }) => sum + rowsPerSecond, 0);
  expect(Math.round(moved)).toBe(2 * (150 + 100 + 1000));
});

test("labels keep their quotes and backslashes", () => {
  const values = readMetrics(
    renderMetrics(snapshotRun(INITIAL_PROGRESS, 0), RUN, USE, { nowMs: 0, wallMs: 0 }),
  );
  const info = values.find(({ name }) => name === "clickhouse_backfill_build_info");
  expect(info?.labels["target"]).toBe(RUN.target);
});
