import { identifier } from "../../src/clickhouse/sql.ts";
import { type ComparedColumn, columnText } from "./compare.ts";
import type { TestServer } from "./server.ts";

/** A row that is not as it should be; `actual` and `expected` are the sides of a comparison. */
export interface Difference {
  readonly kind: "missing" | "extra" | "changed" | "repeated";
  readonly key: string;
  /** How often the row is there, where only that differs. */
  readonly copies?: { readonly actual: number; readonly expected: number };
  /** What differs in a changed row; long values are cut. */
  readonly columns: readonly { readonly name: string; readonly actual: string; readonly expected: string }[];
}

/** One side's rows and those of them, by hash, that the other side lacks. */
export interface Side {
  readonly from: string;
  readonly hashes: readonly string[];
}

export interface Explanation {
  readonly columns: readonly ComparedColumn[];
  /** The SQL of a row's hash. */
  readonly hash: string;
  readonly actual: Side;
  readonly expected: Side;
  readonly limit: number;
}

/** What distinguishes an event from others. */
const KEY_COLUMNS = ["project_id", "trace_id", "span_id", "start_time"];
/** Characters shown on each side of the first that differs. */
const SHOWN = 120;
const MAX_FETCHED = 60;

type Row = Readonly<Record<string, string>>;

/** Fetches the rows behind hashes that differ, pairs them by key, and names the columns in which the pairs differ. */
export async function explain(
  server: TestServer,
  database: string,
  { columns, hash, actual, expected, limit }: Explanation,
): Promise<Difference[]> {
  const names = columns.map(({ name }) => name);
  const keyNames = KEY_COLUMNS.filter((name) => names.includes(name));
  const fetchRows = (side: Side, other: readonly Row[] = []): Promise<Row[]> =>
    rowsOf(server, database, { from: side.from, hash, names, keyNames, hashes: side.hashes, keysOf: other });
  const extra = await fetchRows(actual);
  const missing = await fetchRows(expected, extra);
  // A row whose partner has a hash beyond the first few must find it all the same.
  const partners = await fetchRows(actual, missing);
  const actualByKey = new Map([...extra, ...partners].map((row) => [keyText(row, keyNames), row]));
  const expectedByKey = new Map(missing.map((row) => [keyText(row, keyNames), row]));
  const keys = new Set([...missing, ...extra].map((row) => keyText(row, keyNames)));
  return [...keys]
    .slice(0, limit)
    .map((key) => difference(key, actualByKey.get(key), expectedByKey.get(key), names));
}

function difference(
  key: string,
  actual: Row | undefined,
  expected: Row | undefined,
  names: readonly string[],
): Difference {
  if (actual === undefined) return { kind: "missing", key, columns: [] };
  if (expected === undefined) return { kind: "extra", key, columns: [] };
  const columns = names.flatMap((name) => {
    const [is, not] = [actual[name] ?? "", expected[name] ?? ""];
    return is === not ? [] : [{ name, ...around(is, not) }];
  });
  if (columns.length > 0) return { kind: "changed", key, columns };
  const copies = { actual: Number(actual["copies"]), expected: Number(expected["copies"]) };
  return { kind: "repeated", key, copies, columns };
}

/** Cuts two texts to what is around their first difference. */
function around(actual: string, expected: string): { actual: string; expected: string } {
  let at = 0;
  while (at < actual.length && actual[at] === expected[at]) at++;
  const cut = (text: string): string => {
    const start = Math.max(0, at - SHOWN);
    const shown = text.slice(start, at + SHOWN);
    return `${start > 0 ? "…" : ""}${shown}${start + shown.length < text.length ? "…" : ""}`;
  };
  return { actual: cut(actual), expected: cut(expected) };
}

function keyText(row: Row, keyNames: readonly string[]): string {
  return keyNames.map((name) => `${name} ${row[name]}`).join(", ");
}

interface RowsQuery {
  readonly from: string;
  readonly hash: string;
  readonly names: readonly string[];
  readonly keyNames: readonly string[];
  readonly hashes: readonly string[];
  /** Rows whose partners are wanted too. */
  readonly keysOf: readonly Row[];
}

async function rowsOf(server: TestServer, database: string, query: RowsQuery): Promise<Row[]> {
  const { from, hash, names, keyNames, hashes, keysOf } = query;
  const key = `hex(sipHash128(${keyNames.map((name) => identifier(name)).join(", ")}))`;
  // Numbered: under its own name a column's text would stand for the column in the other expressions.
  const items = names.map((name, i) => `${columnText(name)} AS text_${i}`);
  const list = (values: readonly string[]): string =>
    `CAST([${values.map((value) => `'${value}'`).join(", ")}] AS Array(String))`;
  const keyHashes = list(keysOf.map((row) => row["key_hash"] ?? ""));
  const sql = `SELECT *, toString(count()) AS copies FROM (
      SELECT ${hash} AS row_hash, ${key} AS key_hash, ${items.join(", ")} FROM ${from}
      WHERE has(${list(hashes)}, row_hash) OR has(${keyHashes}, key_hash)
    ) GROUP BY ALL LIMIT ${MAX_FETCHED}`;
  const rows = await server.queryJson<Row>(sql, {
    database,
    settings: { output_format_json_validate_utf8: 1 },
  });
  return rows.map((row) => ({
    ...Object.fromEntries(names.map((name, i) => [name, row[`text_${i}`] ?? ""])),
    row_hash: row["row_hash"] ?? "",
    key_hash: row["key_hash"] ?? "",
    copies: row["copies"] ?? "",
  }));
}
