import { expect, test } from "bun:test";
import { type ReportSubject, renderFinalReport } from "../../../src/report/final-report.ts";
import type { BackfillReport } from "../../../src/run/report.ts";

const SUBJECT: ReportSubject = {
  partition: "202501",
  tables: { source: "observations", traces: "traces", target: "events" },
  skipFilePath: null,
};
const REPORT: BackfillReport = {
  outcome: "done",
  phases: [
    {
      phase: "observations",
      rows: 12_345_678,
      leftOut: 0,
      superseded: 0,
      withoutTrace: 12,
      bytes: 98_765_432_109,
      skipped: 0,
    },
  ],
  observationsRead: 12_345_678,
  eventsInserted: 12_345_678,
  tracesLoaded: 1_234_567,
  observationsWithoutTrace: 12,
  retries: 1,
  rowsSkipped: 0,
  batchesHalved: 0,
  waitedMs: 0,
  lateRows: 0,
  rewrittenRows: 0,
  durationMs: 3_723_456,
  bytesRead: 98_765_432_109,
  warnings: [],
  months: [],
};

test("the report of a finished run has all figures", () => {
  expect(renderFinalReport(REPORT, SUBJECT)).toMatchInlineSnapshot(`
    "Partition 202501 is done: observations copied into events.
      Observations read                         12,345,678
      Events inserted                           12,345,678
      Traces loaded                              1,234,567
      Observations whose trace was not found            12
      Retries                                            1
      Duration                                  1h 02m 03s
      Observations per second                 3,316 rows/s
      Data per second                            26.5 MB/s
    "
  `);
});

test("the report of a dry run says that nothing was inserted", () => {
  expect(
    renderFinalReport({ ...REPORT, outcome: "dry-run", eventsInserted: 0, durationMs: 850 }, SUBJECT),
  ).toMatchInlineSnapshot(`
    "Dry run of partition 202501: nothing was inserted into events, no checkpoint was written.
    Its duration and rates are those of reading and enriching: inserts are not part of them, and mostly take longer.
      Observations read                              12,345,678
      Events inserted                                         0
      Traces loaded                                   1,234,567
      Observations whose trace was not found                 12
      Retries                                                 1
      Duration, without inserts                          850 ms
      Observations per second                 14,524,327 rows/s
      Data per second                            116,194.6 MB/s
    "
  `);
});

test("the report of an empty partition says so", () => {
  expect(renderFinalReport({ ...REPORT, outcome: "nothing-to-do" }, SUBJECT)).toMatchInlineSnapshot(`
    "Nothing to do: partition 202501 of observations holds no observations.
    observations is empty.
    "
  `);
});

test("the report of a month that was finished earlier says so", () => {
  expect(renderFinalReport({ ...REPORT, outcome: "already-finished" }, SUBJECT)).toMatchInlineSnapshot(`
    "Partition 202501 was finished by an earlier run; nothing was inserted.
    --restart copies it again.
    "
  `);
});

test("a run that took no time has no infinite rate", () => {
  expect(renderFinalReport({ ...REPORT, durationMs: 0 }, SUBJECT)).toContain(" 0 rows/s\n");
});

test("figures that are usually zero are shown only where they are not", () => {
  const report = {
    ...REPORT,
    rowsSkipped: 1,
    batchesHalved: 1234,
    waitedMs: 65_000,
    lateRows: 20,
    rewrittenRows: 1,
  };
  expect(renderFinalReport(report, { ...SUBJECT, skipFilePath: "bad.jsonl" })).toMatchInlineSnapshot(`
    "Partition 202501 is done: observations copied into events.
    1 row is not in it, since no insert could carry them: see bad.jsonl.
    20 rows were written to the source after their page was read, and are not in it.
    1 row was written again after their page was read, and may be in it as they were.
    To copy them as they are now, run with --restart when nobody writes to the month.
      Observations read                         12,345,678
      Events inserted                           12,345,678
      Traces loaded                              1,234,567
      Observations whose trace was not found            12
      Retries                                            1
      Rows skipped                                       1
      Batches halved                                 1,234
      Rows written too late                             20
      Rows written again                                 1
      Time waited for merges                        1m 05s
      Duration                                  1h 02m 03s
      Observations per second                 3,316 rows/s
      Data per second                            26.5 MB/s
    "
  `);
});

test("of Langfuse v4", () => {
  const [observations] = REPORT.phases;
  if (observations === undefined) throw new Error("The report has no phase");
  const report: BackfillReport = {
    ...REPORT,
    phases: [
      { ...observations, phase: "roots", rows: 400, leftOut: 21, superseded: 40 },
      { ...observations, rows: 2_804, leftOut: 289 },
      { ...observations, phase: "experiments", rows: 363, superseded: 11 },
    ],
    observationsRead: 2_804,
    eventsInserted: 3_206,
  };
  expect(renderFinalReport(report, SUBJECT)).toMatchInlineSnapshot(`
    "Partition 202501 is done: observations copied into events.
      Traces read                                    400
        left to the experiments                       21
        replaced by newer versions                    40
      Observations read                            2,804
        left to the experiments                      289
      Rows of dataset runs read                      363
        replaced by newer versions                    11
      Events inserted                              3,206
      Traces loaded                            1,234,567
      Observations whose trace was not found          12
      Retries                                          1
      Duration                                1h 02m 03s
      Rows per second                           1 rows/s
      Data per second                          26.5 MB/s
    "
  `);
});
