import { identifier, literal } from "../clickhouse/sql.ts";
import type { KeptJson } from "../json/kept-json.ts";
import { objectText } from "../json/object-text.ts";
import { fromHex, JSON_COLUMN } from "../mapping/enrichment-sql.ts";
import { type ComparedRows, hasKey, KEY_DIGEST } from "./compared-rows.ts";
import type { VerifyScope } from "./scope.ts";

/** The rows among which keys are looked up; the expected ones have the columns of `METADATA_ITEMS`. */
export interface JsonSides {
  readonly expected: ComparedRows;
  readonly actual: ComparedRows;
  /** A condition on a row `r` of either side. */
  readonly where: string;
}

/** What a server takes as the text of a query, at its default. */
const USUAL_QUERY_BYTES = 200_000;

/**
 * Which of these keys have the JSON that a run inserts, made here as a run makes it, since the server's SQL cannot compare it for certain.
 * There may be some thousand keys: each takes a place in a query's text. Rejects with an OperationError.
 */
export async function jsonThatIsSame(
  scope: VerifyScope,
  sides: JsonSides,
  keys: readonly string[],
  kept: KeptJson,
): Promise<ReadonlySet<string>> {
  const stored = await storedJson(scope, sides, keys);
  const expected = await expectedJson(scope, sides, keys, kept);
  const asStored = await storedForms(
    scope,
    expected.map(({ text }) => text),
  );
  return new Set(expected.flatMap(({ key }, i) => (stored.get(key) === asStored[i] ? [key] : [])));
}

function isText({ columns }: VerifyScope): boolean {
  return columns.find(({ name }) => name === JSON_COLUMN)?.type === "String";
}

async function storedJson(
  scope: VerifyScope,
  { actual, where }: JsonSides,
  keys: readonly string[],
): Promise<Map<string, string>> {
  const value = `r.${identifier(JSON_COLUMN)}`;
  const sql = `SELECT hex(${KEY_DIGEST}), hex(${isText(scope) ? value : `toJSONString(${value})`})
    FROM (${actual.sql}) AS r WHERE ${where} AND ${hasKey(keys)}`;
  const rows = await query(scope, sql, actual.params);
  return new Map(rows.map(([key, text]) => [String(key), String(text)]));
}

async function expectedJson(
  scope: VerifyScope,
  { expected, where }: JsonSides,
  keys: readonly string[],
  kept: KeptJson,
): Promise<{ key: string; text: Buffer }[]> {
  const sql = `SELECT hex(${KEY_DIGEST}), r.__names, r.__values FROM (${expected.sql}) AS r WHERE ${where} AND ${hasKey(keys)}`;
  const rows = await query(scope, sql, expected.params);
  return rows.map(([key, names, values]) => ({
    key: String(key),
    text: objectText(fromHex(names), fromHex(values), kept),
  }));
}

/** What the target's column holds of each text, in hexadecimal. */
async function storedForms(scope: VerifyScope, texts: readonly Buffer[]): Promise<string[]> {
  if (isText(scope)) return texts.map((text) => text.toString("hex").toUpperCase());
  const type = scope.columns.find(({ name }) => name === JSON_COLUMN)?.type ?? "JSON";
  const forms: string[] = [];
  let list: string[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    if (list.length === 0) return;
    const sql = `SELECT hex(toJSONString(CAST(arrayJoin([${list.join(", ")}]) AS ${type})))`;
    const isLong = bytes > USUAL_QUERY_BYTES;
    const rows = await query(scope, sql, {}, isLong ? { max_query_size: 2 * bytes } : {});
    forms.push(...rows.map(([text]) => String(text)));
    list = [];
    bytes = 0;
  };
  for (const text of texts) {
    // A parameter would have to fit a URL. What this program writes is UTF-8.
    const quoted = literal(text.toString());
    if (bytes + quoted.length > USUAL_QUERY_BYTES) await flush();
    list.push(quoted);
    bytes += Buffer.byteLength(quoted) + 2;
  }
  await flush();
  return forms;
}

async function query(
  { server, retry, settings }: VerifyScope,
  sql: string,
  params: Readonly<Record<string, string | number>>,
  more: Readonly<Record<string, number>> = {},
): Promise<unknown[][]> {
  const statement = { kind: "count", sql, params, settings: { ...settings, ...more } } as const;
  return await server.query("Comparing metadata", statement, retry);
}
