import { describe, expect, test } from "bun:test";
import { NO_TIME } from "../../../src/copy/page-result.ts";
import {
  advanceProgress,
  INITIAL_PROGRESS,
  type ProgressSnapshot,
  type ProgressState,
} from "../../../src/report/progress.ts";
import { snapshotProgress, snapshotRun } from "../../../src/report/progress-snapshot.ts";
import type { Waiting } from "../../../src/report/waiting.ts";
import type { BackfillEvent } from "../../../src/run/events.ts";

type Timed = readonly [atMs: number, event: BackfillEvent];

const planned = (totalRows: number, doneRows: number): BackfillEvent => ({
  kind: "planned",
  phase: "observations",
  totalRows,
  doneRows,
});
const rows = (count: number, bytes = count * 100, keptRows = count, spent = NO_TIME): BackfillEvent => ({
  kind: "rows",
  phase: "observations",
  rows: count,
  bytes,
  keptRows,
  insertedRows: keptRows,
  spent,
});

function stateAfter(events: readonly Timed[]): ProgressState {
  return events.reduce((state, [atMs, event]) => advanceProgress(state, event, atMs), INITIAL_PROGRESS);
}

function snapshotAfter(events: readonly Timed[], nowMs: number): ProgressSnapshot {
  const snapshot = snapshotProgress(stateAfter(events), nowMs);
  if (snapshot === null) throw new Error("No phase has begun");
  return snapshot;
}

function waitingAfter(events: readonly Timed[], nowMs: number): Waiting | null {
  return snapshotRun(stateAfter(events), nowMs).waiting;
}

test("there is nothing to show before a phase begins", () => {
  expect(snapshotProgress(INITIAL_PROGRESS, 5)).toBeNull();
  expect(snapshotProgress(stateAfter([[0, planned(10, 0)]]), 5)).toBeNull();
});

describe("time left", () => {
  test("follows from the rate of this run; rows of earlier runs count for the position only", () => {
    expect(
      snapshotAfter(
        [
          [0, planned(10_000, 4_000)],
          [1000, rows(0)],
          [3000, rows(2_000)],
        ],
        3000,
      ),
    ).toEqual({
      phase: "observations",
      position: 6_000,
      read: 6_000,
      limit: null,
      month: null,
      total: 10_000,
      rowsPerSecond: 1_000,
      bytesPerSecond: 100_000,
      remainingMs: 4_000,
    });
  });

  test("is unknown while nothing moves", () => {
    expect(
      snapshotAfter(
        [
          [0, planned(10, 0)],
          [0, rows(0)],
        ],
        0,
      ),
    ).toMatchObject({ rowsPerSecond: 0, remainingMs: null });
    expect(
      snapshotAfter(
        [
          [0, planned(10, 0)],
          [0, rows(0)],
        ],
        9000,
      ),
    ).toMatchObject({ remainingMs: null });
  });

  test("is 0 at the end, also when there were more rows than planned", () => {
    expect(
      snapshotAfter(
        [
          [0, planned(10, 0)],
          [0, rows(0)],
          [1000, rows(12)],
        ],
        1000,
      ),
    ).toMatchObject({
      position: 12,
      total: 12,
      remainingMs: 0,
    });
  });
});

describe("the position", () => {
  test("is what is kept; the time left follows what is read, which moves evenly", () => {
    const events: Timed[] = [
      [0, planned(10_000, 1_000)],
      [1000, rows(0)],
      [3000, rows(4_000, 400_000, 500)],
    ];
    expect(snapshotAfter(events, 3000)).toMatchObject({
      position: 1_500,
      read: 5_000,
      total: 10_000,
      rowsPerSecond: 2_000,
      remainingMs: 2_500,
    });
  });
});

describe("a wait", () => {
  const retry = (delayMs: number): BackfillEvent => ({
    kind: "retry",
    operation: "Copying",
    attempt: 2,
    maxRetries: 3,
    delayMs,
    message: "broken",
  });
  const merges = (delayMs: number): BackfillEvent => ({
    kind: "wait",
    reason: "merges",
    operation: "Inserting",
    delayMs,
    message: "too many parts",
  });
  const begun: Timed[] = [
    [0, planned(100, 0)],
    [0, rows(10)],
  ];

  test("shows the longest one, counts down, and ends when its time is over", () => {
    const events: Timed[] = [...begun, [1000, retry(2000)], [1000, merges(8000)]];
    expect(waitingAfter(events, 2000)).toEqual({
      what: "waiting for merges",
      reason: "too many parts",
      leftMs: 7000,
      forMs: 1000,
      count: 2,
    });
    expect(waitingAfter(events, 4000)).toMatchObject({ leftMs: 5000, count: 1 });
    expect(waitingAfter(events, 9000)).toBeNull();
  });

  test("is over when rows move, and not when none do", () => {
    const waiting: Timed[] = [...begun, [1000, retry(60_000)]];
    expect(waitingAfter([...waiting, [2000, rows(10)]], 2000)).toMatchObject({
      what: "retry 2 of 3",
    });
    expect(waitingAfter([...waiting, [2000, rows(11)]], 2000)).toBeNull();
  });

  test("for a silent server lasts until it responds", () => {
    const quiet: BackfillEvent = { kind: "quiet", operation: "traces", sinceMs: 20_000, limitMs: 300_000 };
    expect(waitingAfter([...begun, [25_000, quiet]], 30_000)).toEqual({
      what: "no response from the server",
      reason: "waiting for traces",
      leftMs: null,
      forMs: 25_000,
      count: 1,
    });
  });
});

test("the verification of counts is a phase of its own", () => {
  const events: Timed[] = [
    [0, planned(100, 0)],
    [0, rows(100)],
    [1000, { kind: "verified", rows: 0, totalRows: 100 }],
    [3000, { kind: "verified", rows: 50, totalRows: 100 }],
  ];
  expect(snapshotAfter(events, 3000)).toMatchObject({
    phase: "verification",
    position: 50,
    read: null,
    total: 100,
    remainingMs: 2000,
  });
});

describe("the rate", () => {
  /** 100 rows/s for a minute, then 1000 rows/s for a minute, reported ten times a second. */
  const twoSpeeds: Timed[] = [[0, planned(1_000_000, 0)]];
  for (let tick = 0; tick <= 1200; tick += 1) {
    const second = tick / 10;
    twoSpeeds.push([tick * 100, rows(second <= 60 ? 100 * second : 6000 + 1000 * (second - 60))]);
  }

  test("is that of the last 30 s", () => {
    expect(snapshotAfter(twoSpeeds.slice(0, 602), 60_000).rowsPerSecond).toBeCloseTo(100, 0);
    expect(snapshotAfter(twoSpeeds, 120_000).rowsPerSecond).toBeCloseTo(1000, 0);
  });

  test("falls during a stall, to 0 after the window", () => {
    expect(snapshotAfter(twoSpeeds, 130_000).rowsPerSecond).toBeCloseTo(667, -1);
    expect(snapshotAfter(twoSpeeds, 180_000)).toMatchObject({ rowsPerSecond: 0, remainingMs: null });
  });

  test("needs few samples however many events there are", () => {
    expect(stateAfter(twoSpeeds).samples.length).toBeLessThan(40);
  });
});

test("traces and observations are phases of their own", () => {
  const events: Timed[] = [
    [0, planned(100, 50)],
    [0, { kind: "traces", loaded: 0, reused: 0, total: 40, bytes: 0 }],
    [2000, { kind: "traces", loaded: 30, reused: 0, total: 40, bytes: 6_000_000 }],
  ];
  expect(snapshotAfter(events, 2000)).toEqual({
    phase: "traces",
    position: 30,
    read: null,
    limit: null,
    month: null,
    total: 40,
    rowsPerSecond: 15,
    bytesPerSecond: 3_000_000,
    remainingMs: (10 / 15) * 1000,
  });
  expect(snapshotAfter([...events, [3000, rows(1)]], 3000)).toMatchObject({
    phase: "observations",
    position: 51,
    rowsPerSecond: 0,
  });
});

test("other events change nothing", () => {
  const state = stateAfter([
    [0, planned(10, 0)],
    [0, rows(1)],
  ]);
  expect(advanceProgress(state, { kind: "notice", message: "" }, 9)).toBe(state);
});

describe("what limits", () => {
  const after = (readingMs: number, enrichingMs: number, insertingMs: number, throttledMs = 0) =>
    snapshotAfter(
      [
        [0, planned(100, 0)],
        [0, rows(0)],
        [1000, rows(10, 0, 0, { readingMs, enrichingMs, insertingMs, throttledMs })],
      ],
      1000,
    ).limit;

  test("is what the pipelines spend most of their time on", () => {
    expect(after(5, 3, 2)).toBe("reading");
    expect(after(2, 3, 2)).toBe("enriching");
    expect(after(2, 3, 4)).toBe("inserting");
    expect(after(0, 0, 0)).toBeNull();
  });

  test("is the throttle where that holds back a good part of it", () => {
    expect(after(1, 1, 8, 7)).toBe("throttled");
    expect(after(1, 1, 8, 1)).toBe("inserting");
  });
});

describe("several months", () => {
  const MONTHS = [
    { partition: "202502", rows: 300 },
    { partition: "202501", rows: 100 },
  ];
  const begun: Timed[] = [
    [0, { kind: "months", months: MONTHS }],
    [0, { kind: "month", partition: "202502", isOneOfSeveral: true }],
    [0, planned(200, 0)],
    [0, rows(0)],
    [1000, rows(100)],
  ];
  const ended: Timed = [
    2000,
    {
      kind: "month-ended",
      partition: "202502",
      outcome: "done",
      rows: 200,
      durationMs: 2000,
      isOneOfSeveral: true,
    },
  ];
  const monthsAfter = (events: readonly Timed[], nowMs: number) =>
    snapshotRun(stateAfter(events), nowMs).months;

  test("have one progress, by the rows that the source has of each", () => {
    expect(monthsAfter(begun, 1000)).toMatchObject({ ended: 0, fraction: 150 / 400, remainingMs: 2500 });
    expect(monthsAfter([...begun, ended], 2000)).toMatchObject({
      ended: 1,
      fraction: 300 / 400,
      months: [
        { partition: "202502", outcome: "done", copiedRows: 200 },
        { partition: "202501", outcome: "pending" },
      ],
    });
  });

  test("begin with figures of their own", () => {
    const next: Timed = [3000, { kind: "month", partition: "202501", isOneOfSeveral: true }];
    const snapshot = snapshotRun(stateAfter([...begun, ended, next]), 3000);
    expect(snapshot).toMatchObject({ figures: null, month: "202501" });
  });

  test("are not spoken of where there is one", () => {
    expect(monthsAfter([[0, { kind: "months", months: MONTHS.slice(0, 1) }]], 0)).toBeNull();
  });
});
