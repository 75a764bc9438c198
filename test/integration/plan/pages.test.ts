import { beforeAll, describe, expect, test } from "bun:test";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import { Server } from "../../../src/clickhouse/server.ts";
import { qualifiedTable } from "../../../src/clickhouse/sql.ts";
import { compareKeys, describeRange, type KeyRange, type SortingKey } from "../../../src/plan/key-range.ts";
import { countRows, greatestKey, type Page, type PlanScope, planPages } from "../../../src/plan/pages.ts";
import { OBSERVATIONS_KEY, rangeCondition } from "../../../src/plan/source-key.ts";
import { ODD_IDS, PROJECT_IDS, TYPES } from "../../support/data/oddities.ts";
import { chooseSeed, type Random, randomFrom } from "../../support/data/random.ts";
import type { Text } from "../../support/data/row-binary.ts";
import { encodeBlock, fixed } from "../../unit/native/slow-codec.ts";

const PARTITION = "202503";
const random = randomFrom(chooseSeed());
let testing: TestServer;
let server: Server;
let database: string;

interface KeyRow {
  readonly project: Text;
  readonly type: Text;
  /** Day of March 2025. */
  readonly day: number;
  readonly id: Text;
}

beforeAll(async () => {
  testing = await testServer();
  database = await testing.createDatabase("plan");
  server = new Server({ url: testing.url, user: testing.user, password: testing.password, database });
});

/** Makes a table of observations' keys; rows arrive in several parts. */
async function makeTable(name: string, rows: readonly KeyRow[]): Promise<void> {
  await testing.command(
    `CREATE TABLE ${name} (id String, project_id String, type LowCardinality(String), start_time DateTime64(3))
     ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(start_time) PRIMARY KEY (project_id, type, toDate(start_time))
     ORDER BY (project_id, type, toDate(start_time), id) SETTINGS index_granularity = 64, max_bytes_to_merge_at_max_space_in_pool = 1`,
    { database },
  );
  const bytes = (text: Text): string => Buffer.from(text).toString("latin1");
  for (const part of [rows.filter((_, i) => i % 3 > 0), rows.filter((_, i) => i % 3 === 0)]) {
    if (part.length === 0) continue;
    const body = encodeBlock([
      { name: "id", type: "String", values: part.map(({ id }) => bytes(id)) },
      { name: "project_id", type: "String", values: part.map(({ project }) => bytes(project)) },
      { name: "type", type: "String", values: part.map(({ type }) => bytes(type)) },
      {
        name: "start_time",
        type: "DateTime64(3)",
        values: part.map(({ day }) => fixed(Date.UTC(2025, 2, day, 12), 8)),
      },
    ]);
    await testing.insertRaw(`INSERT INTO ${name} (id, project_id, type, start_time) FORMAT Native`, body, {
      database,
      // Repeated keys must stay: old versions are rows of the plan.
      settings: { optimize_on_insert: 0 },
    });
  }
}

function scopeOf(table: string, pageRows: number): PlanScope {
  return {
    server,
    table: qualifiedTable(database, table),
    key: OBSERVATIONS_KEY,
    partition: PARTITION,
    pageRows,
    retry: { maxRetries: 0, onRetry: () => {}, signal: new AbortController().signal },
  };
}

/** In how many of the ranges each row is, as rows by count, and how many rows each range has. */
async function coverage(
  table: string,
  ranges: readonly KeyRange[],
): Promise<{ perRow: Record<string, number>; perRange: number[] }> {
  const perRow: Record<string, number> = {};
  const perRange: number[] = [];
  // A condition has eight parameters, and all of them stand in the URL: one query for a few ranges.
  const conditions = ranges.map((range, i) => {
    const { sql, params } = rangeCondition(OBSERVATIONS_KEY, range);
    const renamed = sql.replaceAll(/\{(after|upto)(\d)/g, `{r${i}$1$2`);
    return {
      sql: renamed,
      params: Object.fromEntries(Object.entries(params).map(([name, value]) => [`r${i}${name}`, value])),
    };
  });
  const sums = new Map<string, number>();
  for (let from = 0; from < conditions.length; from += 40) {
    const some = conditions.slice(from, from + 40);
    const params = Object.assign({}, ...some.map((condition) => condition.params)) as Record<string, string>;
    const flags = some.map(({ sql }) => `toUInt8(${sql})`).join(", ");
    const rows = await server.allRows(
      {
        sql: `SELECT hex(project_id) AS p, hex(type) AS t, toDate(start_time) AS d, hex(id) AS i, count(), [${flags}] AS flags
          FROM ${qualifiedTable(database, table)} AS o WHERE o._partition_id = '${PARTITION}' GROUP BY p, t, d, i, flags`,
        params,
      },
      new AbortController().signal,
    );
    for (const [p, t, d, i, count, flags] of rows) {
      const key = `${p}/${t}/${d}/${i}/${count}`;
      const hits = (flags as number[]).map(Number);
      sums.set(key, (sums.get(key) ?? 0) + hits.reduce((sum, hit) => sum + hit, 0));
      hits.forEach((hit, k) => {
        perRange[from + k] = (perRange[from + k] ?? 0) + hit * Number(count);
      });
    }
  }
  for (const [key, times] of sums) perRow[times] = (perRow[times] ?? 0) + Number(key.split("/").at(-1));
  return { perRow, perRange };
}

/** Pages follow each other without gaps from the beginning of each range to its end, and none is empty of keys. */
function expectGapless(pages: readonly Page[], ranges: readonly KeyRange[]): void {
  let next = 0;
  for (const range of ranges) {
    let after = range.after;
    for (;;) {
      const page = pages[next++]?.range;
      if (page === undefined) throw new Error("Pages end early");
      expect(page.after).toEqual(after);
      const holdsKeys = page.after === null || page.upTo === null || compareKeys(page.after, page.upTo) < 0;
      expect(holdsKeys, describeRange(page)).toBe(true);
      after = page.upTo;
      if (
        after === range.upTo ||
        (after !== null && range.upTo !== null && compareKeys(after, range.upTo) === 0)
      )
        break;
    }
  }
  expect(next).toBe(pages.length);
}

function oddRows(random: Random): KeyRow[] {
  const rows: KeyRow[] = [];
  for (let i = 0; i < 3000; i++) {
    rows.push({
      project: random.pick(PROJECT_IDS),
      type: random.pick(TYPES),
      day: random.pick([1, 2, 17, 31]),
      id: random.chance(0.5) ? random.pick(ODD_IDS) : random.hex(8),
    });
  }
  // Two groups that must be split, one of them of odd ids only.
  for (let i = 0; i < 3000; i++) rows.push({ project: "huge", type: "SPAN", day: 5, id: random.uuid() });
  for (let i = 0; i < 1000; i++) {
    rows.push({
      project: "odd",
      type: "SPAN",
      day: 5,
      id: Buffer.concat([Buffer.from(random.pick(ODD_IDS)), Buffer.from([i & 255, i >> 8])]),
    });
  }
  return rows;
}

describe("pages", () => {
  let rows: KeyRow[];

  beforeAll(async () => {
    rows = oddRows(random);
    await makeTable("odd", rows);
    await testing.command(
      `INSERT INTO odd SELECT toString(number), 'next month', 'SPAN', toDateTime64('2025-04-01 00:00:00', 3) FROM numbers(10)`,
      { database },
    );
  });

  for (const pageRows of [20, 300, 100_000]) {
    test(`of about ${pageRows} rows hold every row exactly once`, async () => {
      const whole = [{ after: null, upTo: null }];
      const pages = await Array.fromAsync(planPages(scopeOf("odd", pageRows), whole));
      expectGapless(pages, whole);
      const { perRow, perRange } = await coverage(
        "odd",
        pages.map(({ range }) => range),
      );
      expect(perRow).toEqual({ 1: rows.length });
      expect(perRange.reduce((sum, count) => sum + count, 0)).toBe(rows.length);
      expect(pages.reduce((sum, page) => sum + page.plannedRows, 0)).toBeGreaterThanOrEqual(rows.length);
    });
  }

  test("of what is left hold every row of it exactly once", async () => {
    const valid = rows.filter(({ project, type, id }) =>
      [project, type, id].every((text) =>
        Buffer.from(text).equals(Buffer.from(Buffer.from(text).toString())),
      ),
    );
    for (let round = 0; round < 6; round++) {
      const keys = Array.from({ length: 2 + random.below(6) }, () => keyOf(random.pick(valid))).sort(
        compareKeys,
      );
      const ranges: KeyRange[] = [];
      keys.forEach((after, i) => {
        const upTo = keys[i + 1] ?? null;
        if (i % 2 === 0 && (upTo === null || compareKeys(after, upTo) < 0)) ranges.push({ after, upTo });
      });
      const pages = await Array.fromAsync(planPages(scopeOf("odd", 100), ranges));
      expectGapless(pages, ranges);
      const wanted = await coverage("odd", ranges);
      const actual = await coverage(
        "odd",
        pages.map(({ range }) => range),
      );
      expect(actual.perRow).toEqual(wanted.perRow);
      expect(await countRows(scopeOf("odd", 1), ranges[0] as KeyRange)).toBe(wanted.perRange[0] ?? -1);
    }
  });

  test("leave no empty range where what is left ends within a small group", async () => {
    const group = Array.from({ length: 40 }, (_, i) => ({
      project: "p",
      type: "t",
      day: 1,
      id: `id ${10 + i}`,
    }));
    await makeTable("small", group);
    for (let end = 0; end < 40; end += 3) {
      const range = { after: null, upTo: keyOf(group[end] as KeyRow) };
      const pages = await Array.fromAsync(planPages(scopeOf("small", 1), [range]));
      expectGapless(pages, [range]);
    }
  });

  test("stay in order where ids are greater than all characters", async () => {
    const group = Array.from({ length: 200 }, (_, i) => ({
      project: "p",
      type: "t",
      day: 1,
      id: `\u{10FFFF}${i}`,
    }));
    const next = Array.from({ length: 50 }, (_, i) => ({ project: "q", type: "t", day: 1, id: `${i}` }));
    await makeTable("greatest", [...group, ...next]);
    const whole = [{ after: null, upTo: null }];
    const pages = await Array.fromAsync(planPages(scopeOf("greatest", 30), whole));
    expectGapless(pages, whole);
    const { perRow } = await coverage(
      "greatest",
      pages.map(({ range }) => range),
    );
    expect(perRow).toEqual({ 1: 250 });
  });

  test("are about equal in a huge group, and no more than 32", async () => {
    await testing.command(
      `CREATE TABLE huge (id String, project_id String, type LowCardinality(String), start_time DateTime64(3))
       ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(start_time) PRIMARY KEY (project_id, type, toDate(start_time))
       ORDER BY (project_id, type, toDate(start_time), id)`,
      { database },
    );
    await testing.command(
      "INSERT INTO huge SELECT toString(generateUUIDv4()), 'p', 'SPAN', toDateTime64('2025-03-05 12:00:00', 3) FROM numbers(200000)",
      { database },
    );
    for (const [pageRows, expectedPages] of [
      [20_000, 10],
      [1000, 32],
    ] as const) {
      const pages = await Array.fromAsync(
        planPages(scopeOf("huge", pageRows), [{ after: null, upTo: null }]),
      );
      expect(pages).toHaveLength(expectedPages);
      const { perRange } = await coverage(
        "huge",
        pages.map(({ range }) => range),
      );
      const mean = 200_000 / expectedPages;
      for (const count of perRange) {
        expect(count).toBeGreaterThan(mean / 2);
        expect(count).toBeLessThan(mean * 2);
      }
    }
  });

  test("have about the requested size where groups are small", async () => {
    const groups = Array.from({ length: 3000 }, (_, i) => ({
      project: `p${i % 500}`,
      type: "t",
      day: 1 + (i % 28),
      id: `${i}`,
    }));
    await makeTable("groups", groups);
    const pages = await Array.fromAsync(planPages(scopeOf("groups", 100), [{ after: null, upTo: null }]));
    const { perRange } = await coverage(
      "groups",
      pages.map(({ range }) => range),
    );
    expect(Math.max(...perRange)).toBeLessThanOrEqual(100);
    expect(pages.length).toBeLessThan(40);
    expect(pages.map(({ plannedRows }) => plannedRows)).toEqual(perRange);
  });

  test("of a table without rows are one that is open on both sides", async () => {
    await makeTable("empty", []);
    const pages = await Array.fromAsync(planPages(scopeOf("empty", 100), [{ after: null, upTo: null }]));
    expect(pages).toEqual([{ range: { after: null, upTo: null }, plannedRows: 0 }]);
    expect(await greatestKey(scopeOf("empty", 1))).toBeNull();
  });

  test("end at the greatest key", async () => {
    await makeTable("last", [
      { project: "a", type: "z", day: 30, id: "z" },
      { project: "b'\\\n", type: "a", day: 2, id: "\0" },
      { project: "b'\\\n", type: "a", day: 2, id: "" },
    ]);
    expect(await greatestKey(scopeOf("last", 1))).toEqual({
      projectId: "b'\\\n",
      type: "a",
      date: "2025-03-02",
      id: "\0",
    });
  });
});

function keyOf({ project, type, day, id }: KeyRow): SortingKey {
  return {
    projectId: project.toString(),
    type: type.toString(),
    date: `2025-03-${String(day).padStart(2, "0")}`,
    id: id.toString(),
  };
}
