import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { observationsTable } from "../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import { Server } from "../../../src/clickhouse/server.ts";
import { qualifiedTable } from "../../../src/clickhouse/sql.ts";
import { type KeyRange, WHOLE_KEY_SPACE } from "../../../src/plan/key-range.ts";
import { countRows, type PlanScope, planPages } from "../../../src/plan/pages.ts";
import { OBSERVATIONS_KEY } from "../../../src/plan/source-key.ts";
import {
  type CopiedRange,
  type VerificationScope,
  verifyCounts,
} from "../../../src/run/count-verification.ts";
import { chooseSeed, randomFrom } from "../../support/data/random.ts";

const PARTITION = "202511";
const ROWS = 3_000;
const MINUTE_MS = 60_000;
/** When the pages were read. */
const READ_MS = Date.UTC(2025, 11, 1);

let testing: TestServer;
let server: Server;
let database: string;

beforeAll(async () => {
  testing = await testServer();
  database = await testing.createDatabase("verification");
  server = new Server({ url: testing.url, user: testing.user, password: testing.password, database });
});

afterAll(() => server.close());

/** Makes a table with rows of two projects, each in two versions, of which the verification must count one. */
async function makeTable(name: string): Promise<void> {
  await testing.command(observationsTable(name, { mergesOff: true }), { database });
  for (const day of [5, 6]) await write(name, 0, ROWS, Date.UTC(2025, 10, day));
}

/** Writes versions of rows `from` to `to` (exclusive), which carry the time. */
async function write(name: string, from: number, to: number, atMs: number, isDeleted = 0): Promise<void> {
  await testing.command(
    `INSERT INTO ${name} (id, trace_id, project_id, type, start_time, created_at, updated_at, event_ts, is_deleted)
     SELECT 'id ' || number, 't', if(number % 3 = 0, 'a', 'b'), 'SPAN', '2025-11-03', '2025-11-05', '2025-11-05',
       fromUnixTimestamp64Milli({at:Int64}), {deleted:UInt8} FROM numbers({from:UInt64}, {rows:UInt64})`,
    { database, params: { at: atMs, deleted: isDeleted, from, rows: to - from } },
  );
}

function scopeOf(table: string): VerificationScope & PlanScope {
  return {
    server,
    table: qualifiedTable(database, table),
    key: OBSERVATIONS_KEY,
    partition: PARTITION,
    pageRows: 100,
    retry: { maxRetries: 0, onRetry: () => {}, signal: new AbortController().signal },
    timeColumns: ["event_ts", "created_at", "updated_at"],
    parallelQueries: 3,
    queryRows: 700,
  };
}

/** The table's pages as copied ranges, in any order; each key has two versions. */
async function copyOf(table: string): Promise<CopiedRange[]> {
  const scope = scopeOf(table);
  const copied: CopiedRange[] = [];
  for await (const { range } of planPages(scope, [WHOLE_KEY_SPACE])) {
    copied.push({ range, rows: (await countRows(scope, range)) / 2, readSinceMs: READ_MS });
  }
  expect(copied.length).toBeGreaterThan(20);
  return randomFrom(chooseSeed()).shuffle(copied);
}

function sum(copied: readonly CopiedRange[]): number {
  return copied.reduce((rows, range) => rows + range.rows, 0);
}

const CLEAN = { missing: [], lateRows: 0, rewrittenRows: 0, goneRows: 0 };

describe("what was read is compared with what the source holds:", () => {
  test("nothing is missing", async () => {
    await makeTable("whole");
    const copied = await copyOf("whole");
    expect(sum(copied)).toBe(ROWS);
    expect(await verifyCounts(scopeOf("whole"), copied)).toEqual(CLEAN);
    // As an earlier run left it: one range, larger than a query counts.
    const earlier = [{ range: WHOLE_KEY_SPACE, rows: ROWS, readSinceMs: READ_MS }];
    expect(await verifyCounts(scopeOf("whole"), earlier)).toEqual(CLEAN);
    expect(await verifyCounts(scopeOf("whole"), [])).toEqual(CLEAN);
  });

  test("the pages that lack rows are found, however many", async () => {
    await makeTable("lacking");
    const copied = await copyOf("lacking");
    const random = randomFrom(chooseSeed());
    const lacking = copied.map((page) => (random.chance(0.2) ? { ...page, rows: page.rows - 1 } : page));
    const { missing } = await verifyCounts(scopeOf("lacking"), lacking);
    const expected = lacking.filter((page, i) => page.rows !== copied[i]?.rows);
    expect(expected.length).toBeGreaterThan(0);
    expect(missing).toBeArrayOfSize(expected.length);
    for (const { range, rows } of expected) {
      expect(missing).toContainEqual({ range, sourceRows: rows + 1, copiedRows: rows });
    }
  });

  test("an earlier run's range that lacks rows is found as a whole", async () => {
    const earlier = { range: WHOLE_KEY_SPACE, rows: ROWS - 2, readSinceMs: READ_MS };
    expect((await verifyCounts(scopeOf("whole"), [earlier])).missing).toEqual([
      { range: WHOLE_KEY_SPACE, sourceRows: ROWS, copiedRows: ROWS - 2 },
    ]);
  });
});

describe("rows that came when their page was read", () => {
  test("are late, and those that came before are missing", async () => {
    await makeTable("growing");
    const copied = await copyOf("growing");
    await write("growing", ROWS, ROWS + 7, READ_MS + 1);
    expect(await verifyCounts(scopeOf("growing"), copied)).toEqual({ ...CLEAN, lateRows: 7 });
    // Young at the reading: they may have come after it all the same.
    await write("growing", ROWS + 7, ROWS + 10, READ_MS - MINUTE_MS + 1);
    expect(await verifyCounts(scopeOf("growing"), copied)).toEqual({ ...CLEAN, lateRows: 10 });
    await write("growing", ROWS + 10, ROWS + 11, READ_MS - MINUTE_MS);
    const { missing } = await verifyCounts(scopeOf("growing"), copied);
    expect(missing).toHaveLength(1);
  });

  test("are neither when they were young and read", async () => {
    await testing.command(observationsTable("young", { mergesOff: true }), { database });
    await write("young", 0, 50, READ_MS - 1);
    const copied = [{ range: WHOLE_KEY_SPACE, rows: 50, readSinceMs: READ_MS }];
    expect(await verifyCounts(scopeOf("young"), copied)).toEqual(CLEAN);
  });

  test("are written again as new versions, and gone as deletions", async () => {
    await makeTable("changing");
    const copied = await copyOf("changing");
    await write("changing", 10, 14, READ_MS + 5);
    await write("changing", 20, 23, READ_MS + 5, 1);
    expect(await verifyCounts(scopeOf("changing"), copied)).toEqual({
      ...CLEAN,
      rewrittenRows: 4,
      goneRows: 3,
    });
  });
});

test("a time in the future says nothing of when its row was written", async () => {
  await testing.command(observationsTable("future", { mergesOff: true }), { database });
  await write("future", 0, 5, Date.now() + 5 * 365 * 24 * 60 * MINUTE_MS);
  const copied = [{ range: WHOLE_KEY_SPACE, rows: 5, readSinceMs: READ_MS }];
  expect(await verifyCounts(scopeOf("future"), copied)).toEqual(CLEAN);
  // One that was not read is missing, whatever its time.
  const { missing } = await verifyCounts(scopeOf("future"), [
    { ...copied[0], range: WHOLE_KEY_SPACE, rows: 4, readSinceMs: READ_MS },
  ]);
  expect(missing).toEqual([{ range: WHOLE_KEY_SPACE, sourceRows: 5, copiedRows: 4 }]);
});

test("each page is measured by the time of its own reading", async () => {
  await makeTable("slow");
  const copied = await copyOf("slow");
  await write("slow", ROWS, ROWS + 20, READ_MS + 10 * MINUTE_MS);
  const hourLater = copied.map((page) => ({ ...page, readSinceMs: READ_MS + 60 * MINUTE_MS }));
  const { missing } = await verifyCounts(scopeOf("slow"), hourLater);
  expect(missing.reduce((rows, { sourceRows, copiedRows }) => rows + sourceRows - copiedRows, 0)).toBe(20);
});

test("rows that came between the readings of two pages, and were read, do not stand in for missing ones", async () => {
  await makeTable("exchanged");
  const copied = await copyOf("exchanged");
  await write("exchanged", ROWS, ROWS + 20, READ_MS + 5 * MINUTE_MS);
  const scope = scopeOf("exchanged");
  const pages: { range: KeyRange; rows: number; came: number }[] = [];
  for (const { range, rows } of copied) {
    // Rows that came have one version, all others two.
    const came = (await countRows(scope, range)) - 2 * rows;
    pages.push({ range, rows: rows + came, came });
  }
  const lacking = pages.find(({ came, rows }) => came === 0 && rows > 20);
  if (lacking === undefined) throw new Error("No page without rows that came");
  const read = pages.map(({ range, rows, came }) => ({
    range,
    rows: range === lacking.range ? rows - 20 : rows,
    readSinceMs: came > 0 ? READ_MS + 10 * MINUTE_MS : READ_MS,
  }));
  expect(sum(read)).toBe(ROWS);
  // One query counts them all.
  const { missing } = await verifyCounts({ ...scope, queryRows: 2 * ROWS }, read);
  expect(missing).toEqual([
    { range: lacking.range, sourceRows: lacking.rows, copiedRows: lacking.rows - 20 },
  ]);
});
