import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import { Server } from "../../../src/clickhouse/server.ts";
import { identifier, literal, qualifiedTable } from "../../../src/clickhouse/sql.ts";
import { ODD_IDS } from "../../support/data/oddities.ts";
import { chooseSeed, type Random, randomFrom } from "../../support/data/random.ts";

const PIECES = [
  "'",
  "`",
  '"',
  "\\",
  "\\'",
  "\\`",
  "''",
  "``",
  "\0",
  "\n",
  "\r",
  "\t",
  "\b",
  "\f",
  "\v",
  "\x7f",
  " ",
  ";",
  "--",
];
const MORE = [
  "/*",
  "*/",
  "#",
  "{a:String}",
  "%",
  "$$",
  "é",
  "🙂",
  "\u{10ffff}",
  "\u2028",
  "a",
  "N",
  "0",
  "x41",
  "), (",
  "\x1a",
];

function oddText(random: Random, longest: number): string {
  return Array.from({ length: 1 + random.below(longest) }, () => random.pick([...PIECES, ...MORE])).join("");
}

const random = randomFrom(chooseSeed());
const NEVER = new AbortController().signal;
let testing: TestServer;
let server: Server;
const made: string[] = [];

beforeAll(async () => {
  testing = await testServer();
  server = new Server({
    url: testing.url,
    user: testing.user,
    password: testing.password,
    database: "default",
  });
});

afterAll(async () => {
  for (const name of made) await testing.command(`DROP DATABASE IF EXISTS ${identifier(name)}`);
  await server.close();
});

/** Rows of a query of the program's own server, whose response must be read as it is written. */
async function rows(sql: string, params: Record<string, string> = {}): Promise<unknown[][]> {
  return await server.allRows({ sql, params }, NEVER);
}

describe("any text", () => {
  test("is a name when it is quoted, of databases, tables and columns", async () => {
    for (let round = 0; round < 15; round++) {
      const [database, table, column] = [oddText(random, 8), oddText(random, 8), oddText(random, 12)];
      const unique = `${database}${round}`;
      made.push(unique);
      await testing.command(`CREATE DATABASE ${identifier(unique)}`);
      const name = qualifiedTable(unique, table);
      await testing.command(
        `CREATE TABLE ${name} (${identifier(column)} UInt8, other String) ENGINE = Memory`,
      );
      await testing.command(`INSERT INTO ${name} (${identifier(column)}) VALUES (7)`);
      const what = JSON.stringify([unique, table, column]);
      expect(
        await rows(`SELECT ${identifier(column)} FROM ${name} AS o WHERE o.${identifier(column)} = 7`),
        what,
      ).toEqual([[7]]);
      const described = await rows(`DESCRIBE TABLE ${name}`);
      expect(
        described.map(([described]) => described),
        what,
      ).toEqual([column, "other"]);
      const listed = await rows(
        "SELECT database, name FROM system.tables WHERE database = {database:String} AND name = {table:String}",
        { database: unique, table },
      );
      expect(listed, what).toEqual([[unique, table]]);
      await testing.command(`DROP TABLE ${name}`);
    }
  });

  test("is a value when it is quoted, and never more of the statement", async () => {
    const texts = ["", ...PIECES, ...MORE, ...Array.from({ length: 300 }, () => oddText(random, 15))];
    for (let from = 0; from < texts.length; from += 50) {
      const some = texts.slice(from, from + 50);
      const response = await rows(`SELECT ${some.map(literal).join(", ")}`);
      expect(response).toEqual([some]);
    }
  });

  test("that is no Unicode is a value with the replacement character, and never more of the statement", async () => {
    const texts = Array.from({ length: 100 }, () =>
      [oddText(random, 6), random.pick(["\ud800", "\udc00", "\udfff\ud800"]), oddText(random, 6)].join(""),
    );
    const response = await rows(`SELECT ${texts.map(literal).join(", ")}`);
    expect(response).toEqual([texts.map((text) => text.toWellFormed())]);
  });

  test("is a value when it is a parameter", async () => {
    const odd = ODD_IDS.filter((text) => typeof text === "string");
    const texts = ["", ...PIECES, ...MORE, ...odd, ...Array.from({ length: 200 }, () => oddText(random, 15))];
    for (let from = 0; from < texts.length; from += 30) {
      const some = texts.slice(from, from + 30);
      const params = Object.fromEntries(some.map((text, i) => [`p${i}`, text]));
      const response = await rows(`SELECT ${some.map((_, i) => `{p${i}:String}`).join(", ")}`, params);
      expect(response).toEqual([some]);
    }
  });
});
