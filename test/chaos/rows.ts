import { readFileSync } from "node:fs";
import { compareTables, describeComparison, rowHashOf } from "../../scripts/testbed/compare.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import { TIME_OF_WRITING } from "../support/reference-v4.ts";
import { BrokenPromise } from "./judge.ts";
import type { World } from "./world.ts";

/** Of the target, how many expected rows were compared. Throws a BrokenPromise that lists the differences. */
export async function expectRows(world: World, target: string, expected: string): Promise<number> {
  const actual = world.layout === "v4" ? await withoutTimesOfWriting(world, target) : target;
  const pair = { database: world.database, actual, expected };
  // Every row that is stored must be right, and FINAL must show each once.
  for (const mode of ["set", "final"] as const) {
    const comparison = await compareTables(world.server, pair, mode);
    if (comparison.differingRows > 0) {
      throw new BrokenPromise(`Compared as ${mode}: ${describeComparison(pair, comparison)}`);
    }
  }
  return Number(await world.server.query(`SELECT count() FROM ${identifier(expected)}`, world));
}

/** A copy of the target in which rows that an item of a dataset run reaches have the times of the reference. */
async function withoutTimesOfWriting({ server, database }: World, target: string): Promise<string> {
  const copy = `${target}_timeless`;
  const replaced = ["created_at", "updated_at", "event_ts"].map(
    (time) => `if(notEmpty(experiment_item_root_span_id), ${TIME_OF_WRITING}, ${time}) AS ${time}`,
  );
  await server.command(`CREATE TABLE ${identifier(copy)} AS ${identifier(target)}`, { database });
  await server.command(
    `INSERT INTO ${identifier(copy)} SELECT * REPLACE (${replaced.join(", ")}) FROM ${identifier(target)}`,
    { database, settings: { optimize_on_insert: 0 } },
  );
  return copy;
}

/** The expected events before and after rows came into the source. */
export interface LateTables {
  readonly target: string;
  readonly before: string;
  readonly after: string;
}

const KEY = "(project_id, type, toDate(start_time), span_id)";

/**
 * What holds although the source was written to: every row of the target is one of before or after, every row that did
 * not change is there, and of the new ones no more are missing than were reported (null: the report was
 * lost to a kill). Resolves to the number of expected rows; throws a BrokenPromise.
 */
export async function expectRowsDespiteLate(
  { server, database }: World,
  tables: LateTables,
  reportedLate: number | null,
  keepsKeys: boolean,
): Promise<number> {
  const hash = await rowHashOf(server, database, tables.before);
  const side = (table: string, n: number): string =>
    `SELECT ${hash} AS hash, ${n} AS side FROM ${identifier(table)}`;
  const [row] = await server.queryJson<{ strange: number; missing: number; late: number; rows: number }>(
    `WITH counts AS (
       SELECT hash, countIf(side = 0) > 0 AS actual, countIf(side = 1) > 0 AS before, countIf(side = 2) > 0 AS after
       FROM (${side(tables.target, 0)} UNION ALL ${side(tables.before, 1)} UNION ALL ${side(tables.after, 2)})
       GROUP BY hash
     ) SELECT countIf(actual AND NOT before AND NOT after) AS strange,
       countIf(NOT actual AND before AND after) AS missing,
       countIf(NOT actual AND NOT before AND after) AS late, countIf(before OR after) AS rows FROM counts`,
    { database },
  );
  if (row === undefined) throw new Error("The comparison yielded no row");
  const gone = keepsKeys ? await keysWithoutRow(server, database, tables) : 0;
  const isTold = reportedLate === null || row.late <= reportedLate;
  if (row.strange > 0 || row.missing > 0 || gone > 0 || !isTold) {
    throw new BrokenPromise(
      `Of the target ${row.strange} rows are wrong, ${row.missing} missing, ${gone} keys missing; ` +
        `${row.late} late rows are not in it, ${reportedLate} were reported`,
    );
  }
  return row.rows;
}

async function keysWithoutRow(
  server: World["server"],
  database: string,
  { target, before }: LateTables,
): Promise<number> {
  const sql = `SELECT count() FROM ${identifier(before)} WHERE ${KEY} NOT IN (SELECT ${KEY} FROM ${identifier(target)})`;
  return Number(await server.query(sql, { database }));
}

/** Throws a BrokenPromise unless the file names exactly the rows of the reference that the condition refuses, once each. */
export async function expectSkipped(world: World, refused: string, path: string): Promise<number> {
  const text = readFileSync(path, "utf8");
  const lines = text.split("\n").filter((line) => line !== "");
  const named = lines.map((line) => {
    const { key } = JSON.parse(line) as { key: Readonly<Record<string, string>> };
    const hex = (field: string): string =>
      key[`${field}_hex`] ?? Buffer.from(key[field] ?? "").toString("hex");
    return [hex("project_id"), hex("type"), key["date"], hex("id")].join("/").toLowerCase();
  });
  const hexOf = (column: string): string => `lower(hex(toString(${column})))`;
  const sql = `SELECT concat(${hexOf("project_id")}, '/', ${hexOf("type")}, '/', toString(toDate(start_time)), '/',
    ${hexOf("span_id")}) AS key FROM ${identifier(world.expected)} WHERE ${refused}`;
  const wanted = (await world.server.queryJson<{ key: string }>(sql, world)).map(({ key }) => key);
  if (named.sort().join("\n") !== wanted.sort().join("\n")) {
    throw new BrokenPromise(`Skipped were\n${named.join("\n")}\nand not\n${wanted.join("\n")}`);
  }
  return wanted.length;
}
