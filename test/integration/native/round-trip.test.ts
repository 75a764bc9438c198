import { beforeAll, describe, expect, test } from "bun:test";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import type { Block } from "../../../src/clickhouse/native/block.ts";
import { identifier } from "../../../src/clickhouse/sql.ts";
import { chooseSeed, type Random, randomFrom } from "../../support/data/random.ts";
import { assemble, blockOf, columnData } from "../../unit/native/assemble.ts";
import { decodeBlocks } from "../../unit/native/slow-codec.ts";

/** A column of each type with an expression over `n` for it; together they have NULLs, empty values, and much of everything. */
const COLUMNS: readonly [type: string, sql: string][] = [
  ["UInt32", "n"],
  ["String", "repeat(char(n % 251), n % 7 * (n % 90))"],
  ["Nullable(String)", "if(n % 3 = 0, NULL, concat('value ', n))"],
  ["LowCardinality(String)", "['', 'SPAN', concat('type ', intDiv(n, 3))][n % 3 + 1]"],
  [
    "LowCardinality(Nullable(String))",
    "[NULL, '', 'a', concat('type ', intDiv(n, 5))][n % 4 + 1]::Nullable(String)",
  ],
  ["DateTime64(3)", "toDateTime64('2025-03-01 00:00:00', 3) + n / 7"],
  ["DateTime64(6, 'UTC')", "toDateTime64('1965-03-01 00:00:00', 6, 'UTC') + n / 7"],
  ["Nullable(DateTime64(3))", "if(n % 2 = 0, NULL, toDateTime64('2025-03-01 00:00:00', 3) - n)"],
  ["Bool", "n % 3 = 0"],
  ["UInt8", "n % 256"],
  ["Nullable(UInt16)", "if(n % 5 = 0, NULL, n % 65536)"],
  ["UInt64", "sipHash64(n)"],
  ["Decimal(18, 12)", "toDecimal64(n, 12) / 7"],
  ["FixedString(16)", "sipHash128(n)"],
  ["UUID", "reinterpretAsUUID(sipHash128(n))"],
  ["Enum8('a' = 1, 'it\\'s, (b)' = 2)", "n % 2 + 1"],
  ["Map(LowCardinality(String), String)", "map('a', toString(n), concat('k', n % 700), '', '', 'x')"],
  [
    "Map(LowCardinality(String), UInt64)",
    "if(n % 4 = 0, map(), map('input', n, 'output', 18446744073709551615))",
  ],
  [
    "Map(LowCardinality(String), Decimal(18, 12))",
    "if(n % 4 < 2, map(), map('total', toDecimal64(n, 12) / 3))",
  ],
  [
    "Map(String, String)",
    "arrayMap(i -> (toString(i), repeat('v', i * n % 40)), range(n % 5))::Map(String, String)",
  ],
  ["Array(String)", "arrayMap(i -> repeat('e', i * n % 200), range(n % 4))"],
  ["Array(Array(String))", "arrayMap(i -> arrayMap(k -> toString(k * n), range(i)), range(n % 4))"],
  ["Array(Nullable(String))", "arrayMap(i -> if(i % 2 = 0, NULL, toString(i * n)), range(n % 6))"],
  ["Array(LowCardinality(String))", "arrayMap(i -> concat('k', i * n % 900), range(n % 5))"],
  [
    "Array(LowCardinality(Nullable(String)))",
    "arrayMap(i -> if(i = 1, NULL, concat('k', i * n % 900)), range(n % 5))",
  ],
  [
    "Map(LowCardinality(String), Array(LowCardinality(String)))",
    "map(concat('m', n % 50), ['', concat('v', n % 9)])",
  ],
];
const ROWS = 1500;

let server: TestServer;
let database: string;

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("native");
  const columns = COLUMNS.map(([type], i) => `c${i} ${type}`).join(", ");
  const values = COLUMNS.map(([type, sql]) => `CAST(${sql} AS ${type})`).join(", ");
  for (const table of ["source", "target"]) {
    await server.command(`CREATE TABLE ${table} (${columns}) ENGINE = Memory`, { database });
  }
  await server.command(
    `INSERT INTO source SELECT ${values} FROM (SELECT toUInt32(number) AS n FROM numbers(${ROWS}))`,
    { database },
  );
});

async function fetchNative(maxBlockRows: number, where = "1"): Promise<Buffer> {
  const sql = `SELECT * FROM source WHERE ${where} FORMAT Native`;
  return Buffer.from(await server.fetchBytes(sql, { database, settings: { max_block_size: maxBlockRows } }));
}

/** The numbers of the rows of each block. */
function rowNumbers(block: Block): number[] {
  const data = columnData(block, 0);
  return Array.from({ length: block.rows }, (_, i) => data.readUInt32LE(i * 4));
}

describe("blocks of the real engine", () => {
  test("have every column where an independent decoder finds it", async () => {
    for (const maxBlockRows of [1, 77, 600, 65_536]) {
      const where = maxBlockRows === 1 ? "c0 < 40" : "1";
      const bytes = await fetchNative(maxBlockRows, where);
      const expected = decodeBlocks(bytes);
      const blocks = assemble([bytes]);
      expect(blocks.map(({ rows }) => rows)).toEqual(expected.map(({ rows }) => rows));
      blocks.forEach((block, b) => {
        expected[b]?.columns.forEach(({ data, type }, c) => {
          expect(columnData(block, c).equals(data), `${type}, block ${b}`).toBe(true);
        });
      });
    }
  });

  test("are none when there are no rows", async () => {
    const bytes = await fetchNative(100, "c0 > 1000000");
    expect(bytes).toHaveLength(0);
    expect(assemble([bytes])).toEqual([]);
  });

  test("have dictionaries of all index widths", async () => {
    for (const [keys, width] of [
      [200, 1],
      [300, 2],
      [65_000, 2],
      [66_000, 4],
    ] as const) {
      const sql = `SELECT toLowCardinality(concat('key ', number)) AS c FROM numbers(${keys}) FORMAT Native`;
      const bytes = Buffer.from(await server.fetchBytes(sql, { settings: { max_block_size: 100_000 } }));
      const [block] = assemble([bytes]);
      expect(block?.at.indexWidth.at(-1)).toBe(width);
      expect(block?.rows).toBe(keys);
    }
  });
});

/** Slices of some of the blocks, in order. */
function randomSlices(random: Random, blocks: readonly Block[]) {
  return blocks.flatMap((block) => {
    if (random.chance(0.2)) return [];
    if (random.chance(0.3)) return [{ block, from: 0, to: block.rows }];
    const from = random.below(block.rows);
    const to = from + 1 + random.below(block.rows - from);
    return random.chance(0.3) && to < block.rows
      ? [
          { block, from, to },
          { block, from: to, to: block.rows },
        ]
      : [{ block, from, to }];
  });
}

async function insertBlock(body: Uint8Array): Promise<number> {
  const columns = COLUMNS.map((_, i) => identifier(`c${i}`)).join(", ");
  return await server.insertRaw(`INSERT INTO target (${columns}) FORMAT Native`, body, { database });
}

async function rowsOf(table: string, where: string): Promise<Buffer> {
  const sql = `SELECT * FROM ${table} WHERE ${where} ORDER BY c0 FORMAT RowBinary`;
  return Buffer.from(await server.fetchBytes(sql, { database }));
}

describe("slices of blocks, inserted into the real engine", () => {
  test("are the rows that they were", async () => {
    const random = randomFrom(chooseSeed());
    for (let round = 0; round < 25; round++) {
      const blocks = assemble([
        await fetchNative(random.pick([1, 3, 50, 200, 300, 1000]), "c0 % 1000 < 600"),
      ]);
      const slices = randomSlices(random, blocks.slice(0, 1 + random.below(8)));
      if (slices.length === 0) continue;
      const rows = slices.flatMap(({ block, from, to }) => rowNumbers(block).slice(from, to));
      await server.command("TRUNCATE TABLE target", { database });
      expect(await insertBlock(blockOf(slices))).toBe(rows.length);
      const stored = await rowsOf("target", "1");
      const expected = await rowsOf("source", `c0 IN (${rows.join(",")})`);
      expect(stored.equals(expected), `round ${round}: rows ${rows[0]} to ${rows.at(-1)}`).toBe(true);
    }
  });

  test("are the rows that they were in batches of any size", async () => {
    for (const batchRows of [1, 3, 250]) {
      await server.command("TRUNCATE TABLE target", { database });
      const blocks = assemble([await fetchNative(7, "c0 < 30")]);
      const cuts = blocks.flatMap((block) => Array.from({ length: block.rows }, (_, i) => ({ block, i })));
      for (let from = 0; from < cuts.length; from += batchRows) {
        const slices = cuts
          .slice(from, from + batchRows)
          .map(({ block, i }) => ({ block, from: i, to: i + 1 }));
        await insertBlock(blockOf(slices));
      }
      const isSame = (await rowsOf("target", "1")).equals(await rowsOf("source", "c0 < 30"));
      expect(isSame, `batches of ${batchRows}`).toBe(true);
    }
  });

  test("widen their dictionaries to 4 bytes", async () => {
    await server.command("CREATE TABLE wide (c LowCardinality(Nullable(String))) ENGINE = Memory", {
      database,
    });
    const sql =
      "SELECT toLowCardinality(if(number % 100 = 0, NULL, concat('key ', number))) AS c FROM numbers(80000) FORMAT Native";
    const bytes = Buffer.from(await server.fetchBytes(sql, { settings: { max_block_size: 40_000 } }));
    const blocks = assemble([bytes]);
    expect(blocks.length).toBeGreaterThan(1);
    const slices = blocks.map((block) => ({ block, from: 0, to: block.rows }));
    const written = await server.insertRaw("INSERT INTO wide FORMAT Native", blockOf(slices), { database });
    expect(written).toBe(80_000);
    const check = `SELECT count(), countIf(isNull(c)), countIf(c = concat('key ', n)) FROM
      (SELECT c, rowNumberInAllBlocks() AS n FROM wide) SETTINGS max_threads = 1`;
    expect(await server.query(check, { database })).toBe("80000\t800\t79200\n");
  });
});
