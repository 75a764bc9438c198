import { describe, expect, test } from "bun:test";
import type { MonthsSnapshot, ProgressSnapshot, RunSnapshot } from "../../../src/report/progress.ts";
import {
  renderProgressBar,
  renderProgressLine,
  renderRunLine,
  renderRunScreen,
} from "../../../src/report/progress-line.ts";
import { runStateOf } from "../../../src/report/run-state.ts";
import type { Waiting } from "../../../src/report/waiting.ts";

const LARGE: ProgressSnapshot = {
  phase: "observations",
  position: 1_132_345_678,
  total: 2_500_000_000,
  rowsPerSecond: 285_123,
  bytesPerSecond: 412_345_678,
  remainingMs: 4_797_000,
  read: 1_132_595_678,
  limit: "inserting",
  month: null,
};
const SMALL: ProgressSnapshot = {
  phase: "traces",
  position: 1_500,
  total: 20_000,
  rowsPerSecond: 750.4,
  bytesPerSecond: 1_200_000,
  remainingMs: 24_650,
  read: null,
  limit: "inserting",
  month: null,
};
const STALLED: ProgressSnapshot = { ...SMALL, rowsPerSecond: 0, bytesPerSecond: 0, remainingMs: null };
const DONE: ProgressSnapshot = { ...SMALL, position: 20_000, remainingMs: 0 };
const EMPTY: ProgressSnapshot = { ...STALLED, position: 0, total: 0 };

const MERGES: Waiting = {
  what: "waiting for merges",
  reason:
    "Code: 252. DB::Exception: Too many parts (3001 with average size of 1.2 MiB).\nMerges are processing slower than inserts",
  leftMs: 7_400,
  forMs: 600,
  count: 3,
};
const QUIET: Waiting = {
  what: "no response from the server",
  reason: "waiting for rows of a page",
  leftMs: null,
  forMs: 34_000,
  count: 1,
};

/** A run whose figures are these. */
function runOf(figures: ProgressSnapshot | null, more: Partial<RunSnapshot> = {}): RunSnapshot {
  const throttle = { pausedFor: [], rate: null, workers: null };
  const nothing = {
    months: null,
    month: null,
    waiting: null,
    throttle,
    retries: 0,
    lastError: null,
    allMonths: [],
    done: 0,
    phases: [],
    mishaps: [],
    movedAtMs: null,
  };
  return { figures, ...nothing, ...more };
}

const MONTHS: MonthsSnapshot = {
  months: ["202411", "202410", "202409"].map((partition, i) => ({
    partition,
    rows: 1_000_000,
    outcome: i === 0 ? "done" : i === 1 ? "running" : "pending",
    copiedRows: 0,
    durationMs: 0,
  })),
  ended: 1,
  fraction: 0.483,
  remainingMs: 9_000_000,
};

describe("the state of a run", () => {
  test.each<[string, RunSnapshot]>([
    ["starting", runOf(null)],
    ["loading traces", runOf(SMALL)],
    ["limited by inserting", runOf(LARGE)],
    ["copying", runOf({ ...LARGE, limit: null })],
    ["counting the source to compare it with what was read", runOf({ ...LARGE, phase: "verification" })],
    ["comparing the target with its sources", runOf({ ...LARGE, phase: "comparison" })],
    [
      "throttled (at most 20MB a second, 2 workers)",
      runOf(
        { ...LARGE, limit: "throttled" },
        { throttle: { pausedFor: [], rate: { unit: "bytes", perSecond: 20e6 }, workers: 2 } },
      ),
    ],
    [
      "paused: by the operator; too many parts",
      runOf(LARGE, {
        waiting: MERGES,
        throttle: { pausedFor: ["by the operator", "too many parts"], rate: null, workers: null },
      }),
    ],
    [
      "waiting for merges, again in 8s (3 pipelines): Code: 252. DB::Exception: Too many parts (3001 with average size of 1.2 MiB). Merges are processing slower than inserts",
      runOf(LARGE, { waiting: MERGES }),
    ],
    ["no response from the server for 34s: waiting for rows of a page", runOf(LARGE, { waiting: QUIET })],
  ])("%s", (text, snapshot) => {
    expect(runStateOf(snapshot, 200).text).toBe(text);
    for (let length = 1; length < 200; length++) {
      expect(runStateOf(snapshot, length).text.length).toBeLessThanOrEqual(length);
    }
  });

  test("follows the figures of a line, and the months follow it", () => {
    expect(renderRunLine(runOf({ ...SMALL, month: "202410" }, { months: MONTHS }))).toBe(
      "202410 traces: 1,500 of 20,000, 7.5%, 750 rows/s, 1.2 MB/s, 25s left; loading traces; 1 of 3 months, 48.3% of all rows, 2h 30m 00s left",
    );
  });

  test("has a line of the screen, under those of the months and of the phase, at every width", () => {
    const snapshot = runOf({ ...LARGE, month: "202410" }, { months: MONTHS });
    expect([60, 80, 200].map((columns) => renderRunScreen(snapshot, columns))).toMatchInlineSnapshot(`
      [
        [
          "months 1/3  [=========>           ]  48.3%  2h 30m 00s left",
          "202410 observations: limited by inserting",
          "1.13B/2.50B  45.2%  285k rows/s  1h 19m 57s left",
        ],
        [
          "months 1/3  [==================>                      ]  48.3%  2h 30m 00s left",
          "202410 observations: limited by inserting",
          "[=====>         ]  1.13B/2.50B  45.2%  285k rows/s  412.3 MB/s  1h 19m 57s left",
        ],
        [
          "months 1/3  [===========================>                                ]  48.3%  2h 30m 00s left",
          "202410 observations: limited by inserting",
          "[==========================>                                 ]  1,132,345,678/2,500,000,000  45.2%  1,132,595,678 read  285,123 rows/s  412.3 MB/s  1h 19m 57s left",
        ],
      ]
    `);
    for (let columns = 1; columns <= 250; columns++) {
      for (const line of renderRunScreen(snapshot, columns)) {
        expect(line.length).toBeLessThan(Math.max(columns, 1));
      }
    }
  });
});

test("a line has the figures in full", () => {
  expect([LARGE, SMALL, STALLED, DONE, EMPTY].map(renderProgressLine)).toMatchInlineSnapshot(`
    [
      "observations: 1,132,345,678 of 2,500,000,000, 45.2%, 1,132,595,678 read, 285,123 rows/s, 412.3 MB/s, 1h 19m 57s left",
      "traces: 1,500 of 20,000, 7.5%, 750 rows/s, 1.2 MB/s, 25s left",
      "traces: 1,500 of 20,000, 7.5%, 0 rows/s, 0.0 MB/s, -- left",
      "traces: 20,000 of 20,000, 100.0%, 750 rows/s, 1.2 MB/s, 0s left",
      "traces: 0 of 0, 100.0%, 0 rows/s, 0.0 MB/s, 0s left",
    ]
  `);
});

test("a bar at 80 columns has short figures", () => {
  expect(
    [LARGE, SMALL, STALLED, DONE, EMPTY].map((snapshot) => renderProgressBar(snapshot, 80)),
  ).toMatchInlineSnapshot(`
    [
      "[=====>         ]  1.13B/2.50B  45.2%  285k rows/s  412.3 MB/s  1h 19m 57s left",
      "[>                        ]  1,500/20,000  7.5%  750 rows/s  1.2 MB/s  25s left",
      "[=>                          ]  1,500/20,000  7.5%  0 rows/s  0.0 MB/s  -- left",
      "[=======================]  20,000/20,000  100.0%  750 rows/s  1.2 MB/s  0s left",
      "[===================================]  0/0  100.0%  0 rows/s  0.0 MB/s  0s left",
    ]
  `);
});

test("a bar at 200 columns has the figures in full", () => {
  expect([LARGE, SMALL].map((snapshot) => renderProgressBar(snapshot, 200))).toMatchInlineSnapshot(`
    [
      "[==========================>                                 ]  1,132,345,678/2,500,000,000  45.2%  1,132,595,678 read  285,123 rows/s  412.3 MB/s  1h 19m 57s left",
      "[===>                                                        ]  1,500/20,000  7.5%  750 rows/s  1.2 MB/s  25s left",
    ]
  `);
});

test("a narrow bar drops figures", () => {
  expect([72, 60, 50, 40, 20].map((columns) => renderProgressBar(LARGE, columns))).toMatchInlineSnapshot(`
    [
      "1.13B/2.50B  45.2%  285k rows/s  412.3 MB/s  1h 19m 57s left",
      "1.13B/2.50B  45.2%  285k rows/s  1h 19m 57s left",
      "1.13B/2.50B  45.2%  285k rows/s  1h 19m 57s left",
      "45.2%  285k rows/s  1h 19m 57s left",
      "45.2%",
    ]
  `);
});

describe("no bar reaches the last column", () => {
  test.each([LARGE, SMALL, STALLED, DONE, EMPTY])("%#", (snapshot) => {
    for (let columns = 1; columns <= 250; columns += 1) {
      expect(renderProgressBar(snapshot, columns).length).toBeLessThan(columns);
    }
  });
});
