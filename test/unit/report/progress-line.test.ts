import { describe, expect, test } from "bun:test";
import type { ProgressSnapshot } from "../../../src/report/progress.ts";
import { renderProgressBar, renderProgressLine } from "../../../src/report/progress-line.ts";
import type { Waiting } from "../../../src/report/waiting.ts";

const LARGE: ProgressSnapshot = {
  phase: "observations",
  position: 1_132_345_678,
  total: 2_500_000_000,
  rowsPerSecond: 285_123,
  bytesPerSecond: 412_345_678,
  remainingMs: 4_797_000,
  read: 1_132_595_678,
  waiting: null,
};
const SMALL: ProgressSnapshot = {
  phase: "traces",
  position: 1_500,
  total: 20_000,
  rowsPerSecond: 750.4,
  bytesPerSecond: 1_200_000,
  remainingMs: 24_650,
  read: null,
  waiting: null,
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

describe("a wait", () => {
  const merging = { ...LARGE, waiting: MERGES };

  test("follows the figures of a line, with what is waited for, how long and why", () => {
    expect(renderProgressLine(merging)).toEndWith(
      "1h 19m 57s left; waiting for merges, again in 8s (3 pipelines): Code: 252. DB::Exception: Too many parts (3001 with average size of 1.2 MiB). Merges are processing slower than inserts",
    );
    expect(renderProgressLine({ ...LARGE, waiting: QUIET })).toEndWith(
      "; no response from the server for 34s: waiting for rows of a page",
    );
  });

  test("takes the place of the rates in a bar, and fits every width", () => {
    expect(renderProgressBar(merging, 80)).toBe(
      "observations  1.13B/2.50B  45.2%  waiting for merges, again in 8s (3 pipelines…",
    );
    for (let columns = 1; columns <= 200; columns++) {
      expect(renderProgressBar(merging, columns).length).toBeLessThan(Math.max(columns, 1));
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
      "1.13B/2.50B  45.2%  285k rows/s  412.3 MB/s  1h 19m 57s left",
      "traces  [>                ]  1,500/20,000  7.5%  750 rows/s  1.2 MB/s  25s left",
      "traces  [>                   ]  1,500/20,000  7.5%  0 rows/s  0.0 MB/s  -- left",
      "traces  [===============]  20,000/20,000  100.0%  750 rows/s  1.2 MB/s  0s left",
      "traces  [===========================]  0/0  100.0%  0 rows/s  0.0 MB/s  0s left",
    ]
  `);
});

test("a bar at 200 columns has the figures in full", () => {
  expect([LARGE, SMALL].map((snapshot) => renderProgressBar(snapshot, 200))).toMatchInlineSnapshot(`
    [
      "observations  [==========================>                                 ]  1,132,345,678/2,500,000,000  45.2%  1,132,595,678 read  285,123 rows/s  412.3 MB/s  1h 19m 57s left",
      "traces  [===>                                                        ]  1,500/20,000  7.5%  750 rows/s  1.2 MB/s  25s left",
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
