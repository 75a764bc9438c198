import { type CompareMode, expectSameRows, type TablePair } from "../../scripts/testbed/compare.ts";
import type { TestServer } from "../../scripts/testbed/server.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import { WRITING_TIMES } from "./reference-v4-columns.ts";

/** Rows of experiments, which no other row can be: a root span's id is never empty. */
const IS_OF_EXPERIMENT = "experiment_item_root_span_id != ''";
const ALWAYS = "toDateTime64('2000-01-01 00:00:00', 6)";

/**
 * Throws an error that tells of the differences unless the tables hold the same rows in all columns. In rows of experiments
 * the three times of writing only have to be no earlier than the run's start.
 */
export async function expectSameV4Rows(
  server: TestServer,
  pair: TablePair,
  mode: CompareMode,
  startedAt: Date,
): Promise<void> {
  const { database, actual, expected } = pair;
  const views = { database, actual: `${actual}_timeless`, expected: `${expected}_timeless` };
  const replaced = WRITING_TIMES.map((time) => `if(${IS_OF_EXPERIMENT}, ${ALWAYS}, ${time}) AS ${time}`);
  const final = mode === "final" ? " FINAL" : "";
  for (const [table, view] of [
    [actual, views.actual],
    [expected, views.expected],
  ] as const) {
    const rows = `SELECT * REPLACE (${replaced.join(", ")}) FROM ${identifier(table)}${final}`;
    await server.command(`CREATE OR REPLACE VIEW ${identifier(view)} AS ${rows}`, { database });
  }
  // The views have collapsed the rows already.
  await expectSameRows(server, views, mode === "final" ? "multiset" : mode);
  const early = `least(${WRITING_TIMES.join(", ")}) < fromUnixTimestamp64Milli(${startedAt.getTime()})`;
  const count = await server.query(
    `SELECT count() FROM ${identifier(actual)} WHERE ${IS_OF_EXPERIMENT} AND ${early}`,
    { database },
  );
  if (Number(count) > 0) {
    throw new Error(
      `${count.trim()} rows of experiments in ${actual} claim to be written before the run began`,
    );
  }
}
