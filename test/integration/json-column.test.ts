import { beforeAll, describe, expect, test } from "bun:test";
import { type TestServer, testServer } from "../../scripts/testbed/server.ts";
import { ByteWriter } from "../../src/bytes/byte-writer.ts";
import { encodeColumnHeader } from "../../src/clickhouse/native/parser.ts";
import { type QuerySettings, Server } from "../../src/clickhouse/server.ts";
import { readServerSettings } from "../../src/clickhouse/settings/read-server-settings.ts";
import { statementSettings } from "../../src/clickhouse/settings/statement-settings.ts";
import { JsonColumn } from "../../src/json/json-column.ts";
import { embedOf, needsEscape } from "../../src/json/json-string.ts";
import { JsonObjectBuilder } from "../../src/json/object-builder.ts";
import {
  arrayRows,
  type MetadataRow,
  meetingRows,
  scalarRows,
  sparseRows,
  usualRows,
  wildRows,
} from "../support/data/metadata-rows.ts";
import { chooseSeed, randomFrom } from "../support/data/random.ts";

const random = randomFrom(chooseSeed());
const column = new JsonColumn();
let server: TestServer;
let database: string;
let settings: QuerySettings;
let batches = 0;

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("json_column");
  const { url, user, password } = server;
  const found = await readServerSettings(
    new Server({ url, user, password, database }),
    new AbortController().signal,
  );
  settings = statementSettings(found).insert;
});

/** Adds the rows to the column, which begins a new batch. */
function fill(rows: readonly MetadataRow[]): void {
  column.reset();
  for (const row of rows) {
    for (const [key, value] of row) {
      const path = column.pathOf(key, 0, key.length);
      column.add(path, value, 0, value.length, embedOf(value, 0, value.length));
    }
    column.endRow();
  }
}

/** The rows as JSON texts in serialization version 1, as a run writes them where it cannot send the column. */
function asTexts(rows: readonly MetadataRow[]): Buffer {
  const out = new ByteWriter();
  const text = new ByteWriter();
  const members = new JsonObjectBuilder();
  out.uint64(1);
  for (const row of rows) {
    members.reset();
    for (const [key, value] of row) {
      const embed = embedOf(value, 0, value.length);
      members.add(key, 0, key.length, needsEscape(key, 0, key.length), value, 0, value.length, embed);
    }
    text.reset();
    members.write(text);
    out.varint(text.length);
    out.copy(text.bytes, 0, text.length);
  }
  return Buffer.from(out.written());
}

function asColumn(rows: readonly MetadataRow[]): Buffer {
  const parts: Buffer[] = [];
  column.appendTo(parts, rows.length);
  return Buffer.concat(parts);
}

async function insert(table: string, batch: number, rows: number, json: Buffer): Promise<void> {
  const head = new ByteWriter();
  head.varint(3);
  head.varint(rows);
  const numbers = (value: (row: number) => number): Buffer => {
    const data = Buffer.alloc(rows * 4);
    for (let row = 0; row < rows; row++) data.writeUInt32LE(value(row), row * 4);
    return data;
  };
  const body = Buffer.concat([
    head.written(),
    encodeColumnHeader("batch", "UInt32"),
    numbers(() => batch),
    encodeColumnHeader("row", "UInt32"),
    numbers((row) => row),
    encodeColumnHeader("j", "JSON"),
    json,
  ]);
  const sql = `INSERT INTO ${table} (batch, row, j) FORMAT Native`;
  expect(await server.insertRaw(sql, body, { database, settings: { ...settings } })).toBe(rows);
}

const READ = `SELECT batch, row, toJSONString(j), JSONAllPathsWithTypes(j), JSONDynamicPaths(j), JSONSharedDataPaths(j)
  FROM {table:Identifier} ORDER BY batch, row FORMAT TSV`;

async function stored(table: string): Promise<string[]> {
  return (await server.query(READ, { database, params: { table } })).split("\n");
}

/** Inserts the exact ones of the batches in both ways and compares what is stored; returns how many they are. */
async function compare(name: string, type: string, all: readonly MetadataRow[][]): Promise<number> {
  const [texts, columns] = [`${name}_texts`, `${name}_columns`];
  for (const table of [texts, columns]) {
    await server.command(
      `CREATE TABLE ${table} (batch UInt32, row UInt32, j ${type}) ENGINE = MergeTree ORDER BY (batch, row)`,
      { database },
    );
  }
  let exact = 0;
  for (const rows of all) {
    fill(rows);
    if (!column.isExact || rows.length === 0) continue;
    exact++;
    batches++;
    await insert(columns, batches, rows.length, asColumn(rows));
    await insert(texts, batches, rows.length, asTexts(rows));
  }
  await expectEqual(texts, columns);
  for (const table of [texts, columns]) await server.command(`OPTIMIZE TABLE ${table} FINAL`, { database });
  await expectEqual(texts, columns);
  return exact;
}

async function expectEqual(texts: string, columns: string): Promise<void> {
  const [expected, actual] = [await stored(texts), await stored(columns)];
  expect(actual.length).toBe(expected.length);
  expected.forEach((line, i) => {
    if (actual[i] !== line) throw new Error(`as text:\n${line}\nin columns:\n${actual[i]}`);
  });
}

function some(count: number, draw: (from: typeof random) => MetadataRow[]): MetadataRow[][] {
  return Array.from({ length: count }, () => draw(random));
}

describe("a JSON column that says it is exact is stored as the server stores the text", () => {
  test("for usual metadata, all of which is exact", async () => {
    expect(await compare("usual", "JSON", some(12, usualRows))).toBe(12);
  }, 120_000);

  test("for scalars of all kinds", async () => {
    expect(await compare("scalars", "JSON", some(20, scalarRows))).toBe(20);
  }, 120_000);

  test("for many sparse paths", async () => {
    expect(await compare("sparse", "JSON", some(6, sparseRows))).toBeGreaterThan(0);
  }, 120_000);

  test("for arrays of several types under a path", async () => {
    expect(await compare("arrays", "JSON", some(120, arrayRows))).toBeGreaterThan(20);
  }, 120_000);

  test("for paths that meet", async () => {
    expect(await compare("meeting", "JSON", some(200, meetingRows))).toBeGreaterThan(25);
  }, 120_000);

  test("for anything", async () => {
    expect(await compare("wild", "JSON", some(150, wildRows))).toBeGreaterThan(30);
  }, 120_000);

  test("in a column with other limits and a typed path", async () => {
    const type = "JSON(max_dynamic_paths = 3, max_dynamic_types = 2, langgraph_step Int64, SKIP tenant)";
    expect(await compare("limited", type, some(4, usualRows))).toBe(4);
  }, 120_000);
});
