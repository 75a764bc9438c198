import { expect } from "bun:test";
import { expectSameRows } from "../../scripts/testbed/compare.ts";
import type { TestServer } from "../../scripts/testbed/server.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import { TIME_OF_WRITING } from "./reference-v4.ts";

const TIMES = ["created_at", "updated_at", "event_ts"];
/** Clocks of the client and the server may differ by this much. */
const CLOCK_MARGIN_MS = 5_000;

/**
 * Throws unless a target, as FINAL shows it, has the rows of the reference: every column in both directions, but for the times of writing of
 * rows that an item reaches, which must not be before `sinceMs`. Makes the table `<target>_timeless`.
 */
export async function expectV4Rows(
  server: TestServer,
  { database, target, expected }: { database: string; target: string; expected: string },
  sinceMs: number,
): Promise<void> {
  const isReached = "notEmpty(experiment_item_root_span_id)";
  const isEarly = TIMES.map((time) => `toUnixTimestamp64Milli(${time}) < ${sinceMs - CLOCK_MARGIN_MS}`).join(
    " OR ",
  );
  const early = await server.query(
    `SELECT count() FROM ${identifier(target)} FINAL WHERE ${isReached} AND (${isEarly})`,
    { database },
  );
  expect(Number(early)).toBe(0);
  const timeless = `${target}_timeless`;
  await server.command(`CREATE TABLE ${identifier(timeless)} AS ${identifier(target)}`, { database });
  const replaced = TIMES.map((time) => `if(${isReached}, ${TIME_OF_WRITING}, ${time}) AS ${time}`);
  await server.command(
    `INSERT INTO ${identifier(timeless)} SELECT * REPLACE (${replaced.join(", ")}) FROM ${identifier(target)} FINAL`,
    { database },
  );
  await expectSameRows(server, { database, actual: timeless, expected }, "final");
}
