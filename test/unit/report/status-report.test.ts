import { expect, test } from "bun:test";
import { renderStatus } from "../../../src/commands/status.ts";
import type { DirectoryStatus, LiveRunJson } from "../../../src/control/status-json.ts";

const RUN: LiveRunJson = {
  pid: 4_194_304,
  host: "backfill-1",
  since: "2026-01-31T06:42:58.256Z",
  months: ["202511", "202510"],
  server: "https://clickhouse.example.org:8443",
  database: "default",
  target: "events_full",
  engine: "client",
  version: "1.2.3",
  memory_bytes: 3e8,
  done_percent: 18.1,
  progress: {
    month: "202510",
    phase: "observations",
    kept_rows: 2_499_999_999,
    read_rows: 2_499_999_999,
    max_rate: null,
    workers: 4,
    total_rows: 2_500_000_000,
    percent: 99.9,
    rows_per_second: 250_000,
    bytes_per_second: 300e6,
    eta_seconds: 3_600,
    state: "inserting",
    reason: "limited by inserting",
    retries: 0,
    last_error: null,
    months: { ended: 1, total: 20, percent: 18.1, eta_seconds: 400_000, list: [] },
  },
  phases: [],
  errors: [],
  ended: null,
};

const STATUS: DirectoryStatus = {
  directory: ".",
  runs: [RUN],
  checkpoints: [
    {
      month: "202511",
      phase: "observations",
      state: "finished",
      rows: 2_500_000_000,
      updated: "2026-01-31T06:43:29.812Z",
      pid: null,
      host: null,
      since: null,
    },
    {
      month: "202510",
      phase: "experiments",
      state: "interrupted",
      rows: 12,
      updated: "2026-01-31T06:44:04.943Z",
      pid: 77,
      host: "backfill-1",
      since: "2026-01-31T06:42:58.256Z",
    },
  ],
};

test("a live run of billions of rows fits a terminal of 80 columns", () => {
  const text = renderStatus(STATUS);
  expect(text).toMatchInlineSnapshot(`
    "Process 4194304 on backfill-1, since 2026-01-31 06:42:58 UTC
      into       default.events_full at https://clickhouse.example.org:8443
      engine     client
      months     1 of 20 ended, 18.1% of all rows, 111h 06m 40s left
      202510     observations: 2,499,999,999 of 2,500,000,000, 99.9%
      speed      250,000 rows/s, 300.0 MB/s, 1h 00m 00s left
      state      limited by inserting

    Month   Phase         State            Rows kept  Updated (UTC)        Process
    202511  observations  finished     2,500,000,000  2026-01-31 06:43:29
    202510  experiments   interrupted             12  2026-01-31 06:44:04  77 on backfill-1
    "
  `);
  const [live = ""] = text.split("\n\n");
  expect(live.split("\n").filter((line) => line.length > 80)).toEqual([]);
});
