import { type KeyColumn, keyRangeCondition } from "../../src/clickhouse/key-range-sql.ts";
import { identifier, literal, qualifiedTable } from "../../src/clickhouse/sql.ts";
import { quoteValue } from "../../src/config/quote-value.ts";
import { describeRange, type SortingKey } from "../../src/plan/key-range.ts";
import type { Random } from "../support/data/random.ts";
import { isPlainLine } from "./plain-line.ts";
import { tokensOf } from "./sql-tokens.ts";
import { demand, type FuzzTarget } from "./target.ts";

const PIECES = [
  ...[
    "'",
    "`",
    '"',
    "\\",
    "\\'",
    "\\`",
    "\\\\",
    "''",
    "``",
    "\\x27",
    "\\x60",
    "\\N",
    "\\0",
    "\\",
    "$$",
    "$a$",
  ],
  ...["\0", "\n", "\r", "\t", "\b", "\f", "\v", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u202e", "\ufeff"],
  ...[" ", ";", "--", "/*", "*/", "# ", "#!", "{x:String}", "{", "}", "(", ")", ",", ".", "%s", "?", "@"],
  ...[
    "a",
    "N",
    "0",
    "x41",
    "é",
    "🙂",
    "\u{10ffff}",
    "\ud800",
    "\udc00",
    " OR 1 = 1",
    "DROP TABLE t",
    " FORMAT ",
  ],
  ...["\u2018", "\u2019", "\uff07", "\u02bc", "\u00b4", "\uff40"],
] as const;

const KEY_COLUMNS: readonly KeyColumn[] = [
  { sql: "project_id", type: "String" },
  { sql: "type", type: "String" },
  { sql: "toDate(start_time)", type: "Date" },
  { sql: "id", type: "String" },
];

function oddText(random: Random): string {
  const parts = Array.from({ length: random.below(12) }, () =>
    random.chance(0.1) ? String.fromCharCode(random.below(2 ** 16)) : random.pick(PIECES),
  );
  return parts.join("");
}

/** A statement with names and values in all the places that they have. */
function statement([database = "", table = "", column = "", value = ""]: readonly string[]): string {
  return (
    `SELECT ${identifier(column)}, o.${identifier(column)} AS c FROM ${qualifiedTable(database, table)} AS o FINAL ` +
    `WHERE _partition_id = ${literal(value)} AND name IN (${literal(value)}, ${literal(table)}) SETTINGS a = ${literal(value)}`
  );
}

const HARMLESS = ["database", "table", "column", "value"];
const SHAPE = tokensOf(statement(HARMLESS));

/** Names and values are one token each, and stand for themselves. */
function checkStatement(texts: readonly string[]): void {
  const sql = statement(texts);
  const tokens = tokensOf(sql);
  demand(tokens.length === SHAPE.length, () => `${JSON.stringify(sql)} has other tokens`);
  SHAPE.forEach(({ kind, text }, i) => {
    const found = tokens[i];
    const at = kind === "string" || kind === "identifier" ? HARMLESS.indexOf(text) : -1;
    const expected = at < 0 ? text : texts[at];
    demand(
      found?.kind === kind && found.text === expected,
      () => `${JSON.stringify(found)} instead of ${JSON.stringify(expected)} in ${JSON.stringify(sql)}`,
    );
  });
}

function oddKey(random: Random): SortingKey {
  return { projectId: oddText(random), type: oddText(random), date: "2025-01-15", id: oddText(random) };
}

/** The text of a condition depends on how many values the bounds have, and never on the values. */
function checkRange(random: Random): void {
  const bound = (): string[] => Object.values(oddKey(random)).slice(0, 1 + random.below(4));
  const [after, upTo] = [random.chance(0.8) ? bound() : null, random.chance(0.8) ? bound() : null];
  const { sql, params } = keyRangeCondition(KEY_COLUMNS, after, upTo);
  const plain = (values: readonly string[] | null): string[] | null => values?.map(() => "x") ?? null;
  const harmless = keyRangeCondition(KEY_COLUMNS, plain(after), plain(upTo));
  demand(sql === harmless.sql, () => `${JSON.stringify(sql)} instead of ${JSON.stringify(harmless.sql)}`);
  const sent = [...(after ?? []), ...(upTo ?? [])];
  demand(
    JSON.stringify(Object.values(params)) === JSON.stringify(sent),
    () => "Other values than the bounds'",
  );
}

/** What messages quote is one line and leaves the terminal alone. */
function checkMessage(text: string, of: string): void {
  demand(isPlainLine(text), () => `${JSON.stringify(text)} of ${JSON.stringify(of)}`);
}

/** Ids, names of tables and databases, and literals, which never change a statement. */
export const SQL: FuzzTarget = {
  name: "sql",
  share: 200_000,
  run: (random) => {
    checkStatement(HARMLESS.map(() => oddText(random)));
    checkRange(random);
    const text = oddText(random);
    checkMessage(quoteValue(text), text);
    const range = { after: oddKey(random), upTo: oddKey(random) };
    checkMessage(describeRange(range), JSON.stringify(range));
  },
};
