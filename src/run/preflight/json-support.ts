import { ByteWriter } from "../../bytes/byte-writer.ts";
import { encodeColumnHeader } from "../../clickhouse/native/parser.ts";
import { type RetryPolicy, refusalOfServer } from "../../clickhouse/retry.ts";
import type { QuerySettings, Server } from "../../clickhouse/server.ts";
import { ServerError } from "../../clickhouse/server-errors.ts";
import { literal } from "../../clickhouse/sql.ts";
import { JsonColumn } from "../../json/json-column.ts";
import { embedOf } from "../../json/json-string.ts";
import { appendText } from "../../json/json-text.ts";
import { type KeptJson, LEAST_KEPT } from "../../json/kept-json.ts";

/** What the JSON columns of a server take and keep. */
export interface JsonSupport {
  /** Values sent as paths are stored as their text would be. */
  readonly takesPaths: boolean;
  readonly keeps: KeptJson;
}

/** Rows in which older servers alter values: numbers among strings become strings, arrays in arrays lose elements. */
const MIXED_ARRAYS = [
  '{"mixed":[1,"a"],"nested":[[1],["a"]]}',
  '{"mixed":["x",["y",["z"]]],"nested":[[1],[2,[3]],{},[]]}',
  '{"mixed":[1,"a",null,{"x":2}],"nested":[[1],2]}',
];
/** Rows in which they make a float of the integer. */
const INTEGER_AFTER_FLOAT = ['{"number":1.5}', '{"number":9007199254740993}'];
const ALTERED = [...MIXED_ARRAYS, ...INTEGER_AFTER_FLOAT];

/** Rows with every type that a column of paths has, and with several types under a path. */
const METADATA: readonly Readonly<Record<string, string>>[] = [
  { a: "1", b: "1.5", c: "true", d: '"text"', "e.f": "[1,null]", g: '{"h":{"i":[1.5,-0]},"j":null}' },
  { a: "1.5", b: "-0", c: '"2024-01-01"', d: "[]", "e.f": "[2]", g: '{"h":{"k":["2024-01-01 10:00:00"]}}' },
  { a: '"1"', b: '"1"', c: "null", d: '["x",null]', "e.f": '"x"', g: '{"h":{"l":false}}', m: "[null]" },
  { a: "true", b: "12345678901234", c: "-5", g: "{}", m: '["y"]', n: "[true]" },
];

const PROBE_SETTINGS: QuerySettings = {
  // A target may have a JSON column where they are still experimental.
  allow_experimental_json_type: 1,
  output_format_json_quote_64bit_integers: 0,
};

/** Errors by which a server says that it does not read a JSON column from text in a Native block, or has no such type. */
const REFUSALS: ReadonlyMap<number, string> = new Map([
  [44, "ILLEGAL_COLUMN"],
  [48, "NOT_IMPLEMENTED"],
  [50, "UNKNOWN_TYPE"],
  [115, "UNKNOWN_SETTING"],
  [117, "INCORRECT_DATA"],
]);

/**
 * Finds out what a server stores in a JSON column of type `type`, by having it read small blocks as INSERTs send them; nothing is
 * stored. Where the server does not let this user try (table functions are not allowed, say), assumes the least.
 * Resolves to the problem, as text, when the server cannot fill such a column. Rejects with an OperationError when it does not respond: less
 * would be stored than the server takes.
 */
export async function probeJson(
  server: Server,
  type: string,
  retry: RetryPolicy,
): Promise<JsonSupport | string> {
  // As an INSERT reads them.
  const { wait_end_of_query: _, ...inserting } = server.settings?.insert ?? {};
  const read = (rows: number, data: Buffer): Promise<unknown[][]> => {
    const block = Buffer.concat([Buffer.from([1, rows]), encodeColumnHeader("j", type), data]);
    const sql = `SELECT toJSONString(j), toString(JSONAllPathsWithTypes(j))
      FROM format(Native, ${literal(`j ${type}`)}, unhex('${block.toString("hex")}'))`;
    return server.query(
      "Trying what the server's JSON columns keep",
      { sql, settings: { ...inserting, ...PROBE_SETTINGS } },
      retry,
    );
  };
  const altered = await orRefusal(read(ALTERED.length, asTexts(ALTERED)));
  if (altered === null) return { takesPaths: false, keeps: LEAST_KEPT };
  if (altered instanceof ServerError) {
    return `This server does not take JSON as text in Native blocks: the target's column of type ${type} cannot be filled: ${altered.words}\nUpdate the server, or make the column a String.`;
  }
  const isKept = (row: string): boolean => altered[ALTERED.indexOf(row)]?.[0] === row;
  const texts = METADATA.map((row) => `{${Object.entries(row).map(([key, value]) => `"${key}":${value}`)}}`);
  const stored = await orRefusal(read(METADATA.length, asTexts(texts)));
  const storedPaths = await orRefusal(read(METADATA.length, asPaths()));
  return {
    takesPaths: Array.isArray(stored) && JSON.stringify(stored) === JSON.stringify(storedPaths),
    keeps: {
      ...LEAST_KEPT,
      mixedArrays: MIXED_ARRAYS.every(isKept),
      // Once a path has as many types as the column allows, an integer becomes a float that other rows have there.
      largeIntegers: INTEGER_AFTER_FLOAT.every(isKept) && !type.includes("max_dynamic_types"),
    },
  };
}

/** The server's refusal as a value; null where it refuses for another reason than JSON. Rejects where it does not respond. */
async function orRefusal(rows: Promise<unknown[][]>): Promise<unknown[][] | ServerError | null> {
  try {
    return await rows;
  } catch (error) {
    const refusal = refusalOfServer(error);
    if (refusal === null) throw error;
    return REFUSALS.has(refusal.code) ? refusal : null;
  }
}

function asTexts(rows: readonly string[]): Buffer {
  const out = new ByteWriter();
  // The serialization version that says: strings follow.
  out.uint64(1);
  for (const row of rows) {
    const text = Buffer.from(row);
    appendText(out, text, 0, text.length);
  }
  return Buffer.from(out.written());
}

function asPaths(): Buffer {
  const column = new JsonColumn();
  for (const row of METADATA) {
    for (const [name, text] of Object.entries(row)) {
      const [key, value] = [Buffer.from(name), Buffer.from(text)];
      column.add(column.pathOf(key, 0, key.length), value, 0, value.length, embedOf(value, 0, value.length));
    }
    column.endRow();
  }
  const parts: Buffer[] = [];
  column.appendTo(parts, METADATA.length);
  return Buffer.concat(parts);
}
