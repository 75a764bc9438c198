import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Server } from "../../../src/clickhouse/server.ts";
import { qualifiedTable } from "../../../src/clickhouse/sql.ts";
import { type CopiedRange, type ProofScope, proveCopied } from "../../../src/pipeline/partition-proof.ts";
import { type KeyRange, WHOLE_KEY_SPACE } from "../../../src/plan/key-range.ts";
import { countRows, type PlanScope, planPages } from "../../../src/plan/pages.ts";
import { chooseSeed, randomFrom } from "../../support/data/random.ts";
import { observationsTable } from "../../support/schema.ts";
import { type TestServer, testServer } from "../../support/server.ts";

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
  database = await testing.createDatabase("proof");
  server = new Server({ url: testing.url, user: testing.user, password: testing.password, database });
});

afterAll(() => server.close());

/** Makes a table with rows of two projects, each in two versions, of which the proof must count one. */
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

function scopeOf(table: string): ProofScope & PlanScope {
  return {
    server,
    table: qualifiedTable(database, table),
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

describe("what was read is compared with what the source holds:", () => {
  test("nothing is missing", async () => {
    await makeTable("whole");
    const copied = await copyOf("whole");
    expect(sum(copied)).toBe(ROWS);
    const clean = { missed: [], lateRows: 0, goneRows: 0 };
    expect(await proveCopied(scopeOf("whole"), copied)).toEqual(clean);
    // As an earlier run left it: one range, larger than a query counts.
    const earlier = [{ range: WHOLE_KEY_SPACE, rows: ROWS, readSinceMs: READ_MS }];
    expect(await proveCopied(scopeOf("whole"), earlier)).toEqual(clean);
    expect(await proveCopied(scopeOf("whole"), [])).toEqual(clean);
  });

  test("the pages that lack rows are found, however many", async () => {
    await makeTable("lacking");
    const copied = await copyOf("lacking");
    const random = randomFrom(chooseSeed());
    const lacking = copied.map((page) => (random.chance(0.2) ? { ...page, rows: page.rows - 1 } : page));
    const { missed } = await proveCopied(scopeOf("lacking"), lacking);
    const expected = lacking.filter((page, i) => page.rows !== copied[i]?.rows);
    expect(expected.length).toBeGreaterThan(0);
    expect(missed).toBeArrayOfSize(expected.length);
    for (const { range, rows } of expected) {
      expect(missed).toContainEqual({ range, sourceRows: rows + 1, copiedRows: rows });
    }
  });

  test("an earlier run's range that lacks rows is found as a whole", async () => {
    const earlier = { range: WHOLE_KEY_SPACE, rows: ROWS - 2, readSinceMs: READ_MS };
    expect((await proveCopied(scopeOf("whole"), [earlier])).missed).toEqual([
      { range: WHOLE_KEY_SPACE, sourceRows: ROWS, copiedRows: ROWS - 2 },
    ]);
  });
});

describe("rows that came when their page was read", () => {
  test("are late, and those that came before are missed", async () => {
    await makeTable("growing");
    const copied = await copyOf("growing");
    await write("growing", ROWS, ROWS + 7, READ_MS + 1);
    expect(await proveCopied(scopeOf("growing"), copied)).toEqual({ missed: [], lateRows: 7, goneRows: 0 });
    // Young at the reading: they may have come after it all the same.
    await write("growing", ROWS + 7, ROWS + 10, READ_MS - MINUTE_MS + 1);
    expect(await proveCopied(scopeOf("growing"), copied)).toEqual({ missed: [], lateRows: 10, goneRows: 0 });
    await write("growing", ROWS + 10, ROWS + 11, READ_MS - MINUTE_MS);
    const { missed } = await proveCopied(scopeOf("growing"), copied);
    expect(missed).toHaveLength(1);
  });

  test("are neither when they were young and read", async () => {
    await testing.command(observationsTable("young", { mergesOff: true }), { database });
    await write("young", 0, 50, READ_MS - 1);
    const copied = [{ range: WHOLE_KEY_SPACE, rows: 50, readSinceMs: READ_MS }];
    expect(await proveCopied(scopeOf("young"), copied)).toEqual({ missed: [], lateRows: 0, goneRows: 0 });
  });

  test("are late as new versions, and gone as deletions", async () => {
    await makeTable("changing");
    const copied = await copyOf("changing");
    await write("changing", 10, 14, READ_MS + 5);
    await write("changing", 20, 23, READ_MS + 5, 1);
    expect(await proveCopied(scopeOf("changing"), copied)).toEqual({ missed: [], lateRows: 4, goneRows: 3 });
  });
});

test("each page is measured by the time of its own reading", async () => {
  await makeTable("slow");
  const copied = await copyOf("slow");
  await write("slow", ROWS, ROWS + 20, READ_MS + 10 * MINUTE_MS);
  const hourLater = copied.map((page) => ({ ...page, readSinceMs: READ_MS + 60 * MINUTE_MS }));
  const { missed } = await proveCopied(scopeOf("slow"), hourLater);
  expect(missed.reduce((rows, { sourceRows, copiedRows }) => rows + sourceRows - copiedRows, 0)).toBe(20);
});

test("rows that came between the readings of two pages, and were read, do not stand in for missed ones", async () => {
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
  const { missed } = await proveCopied({ ...scope, queryRows: 2 * ROWS }, read);
  expect(missed).toEqual([{ range: lacking.range, sourceRows: lacking.rows, copiedRows: lacking.rows - 20 }]);
});
