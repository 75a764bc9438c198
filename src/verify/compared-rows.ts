import type { Condition } from "../clickhouse/key-range-sql.ts";
import { parseTypeName } from "../clickhouse/native/type-name.ts";
import type { QueryParams } from "../clickhouse/server.ts";
import { TransportError } from "../clickhouse/server-errors.ts";
import { identifier, literal } from "../clickhouse/sql.ts";
import {
  type EnrichmentScope,
  type ExtraItem,
  enrichmentSql,
  isExactItem,
  JSON_COLUMN,
} from "../mapping/enrichment-sql.ts";
import type { ResolvedMapping } from "../mapping/resolve-mapping.ts";

/** A column that is compared, with the target's type. */
export interface ComparedColumn {
  readonly name: string;
  readonly type: string;
  /** SQL of what a row holds whose INSERT does not name the column; the default of the type unless given. */
  readonly defaultSql?: string;
}

/** A subquery of rows, as `r` in the expressions below, with the compared columns in the types of the target. */
export interface ComparedRows {
  readonly sql: string;
  readonly params: QueryParams;
}

/** The name of the column that is 1 where the server's SQL is certain to give the JSON that a run inserts. */
export const IS_EXACT = "__is_exact";

/** The columns that identify a row: those of the target's sorting key, hashes aside. */
export const KEY_COLUMNS = ["project_id", "trace_id", "span_id", "start_time"] as const;

/** The rows that a run inserts for a part of a source. `extra` columns speak of the source's row. */
export function expectedRows(
  mapping: ResolvedMapping,
  scope: EnrichmentScope,
  rows: Condition,
  columns: readonly ComparedColumn[],
  extra: readonly ExtraItem[] = [],
): ComparedRows {
  const names = new Set(columns.map(({ name }) => name));
  const needed = {
    ...mapping,
    copied: mapping.copied.filter(({ name }) => names.has(name)),
    derived: mapping.derived.filter(({ column }) => names.has(column.name)),
  };
  const others = [isExactItem(needed, IS_EXACT), ...extra];
  const enrichment = enrichmentSql(needed, scope, rows, others);
  const list = columns.map(({ name, type, defaultSql }) => {
    const isFilled = enrichment.columns.includes(name);
    const made = isFilled ? `e.${identifier(name)}` : (defaultSql ?? defaultOf(type));
    return `CAST(${made} AS ${type}) AS ${identifier(name)}`;
  });
  const more = others.map(({ name }) => `e.${identifier(name)} AS ${identifier(name)}`);
  return {
    sql: `SELECT ${[...list, ...more].join(", ")} FROM (${enrichment.sql}) AS e`,
    params: enrichment.params,
  };
}

/** The default of a type: what a column without a DEFAULT holds that an INSERT does not name. */
export function defaultOf(type: string): string {
  return `defaultValueOfTypeName(${literal(type)})`;
}

/** The target's rows; `table` is quoted, and conditions speak of a row as `t`. */
export function targetRows(
  table: string,
  columns: readonly ComparedColumn[],
  conditions: readonly Condition[],
): ComparedRows {
  const list = columns.map(({ name }) => `t.${identifier(name)} AS ${identifier(name)}`).join(", ");
  return {
    sql: `SELECT ${list} FROM ${table} AS t FINAL WHERE ${conditions.map(({ sql }) => `(${sql})`).join(" AND ")}`,
    params: Object.assign({}, ...conditions.map(({ params }) => params)) as QueryParams,
  };
}

/**
 * How a digest takes JSON. `text`: two values have the same digest when they are the same. `stored`: two values that differ have
 * different ones, and so may two that are the same, where the server stores one of them in another way: an array as `Array(Dynamic)` or as
 * `Array(Nullable(String))`, for instance. That takes an eighth of the time.
 */
export type JsonHash = "text" | "stored";

/**
 * A hash of 128 bits, as a number, over some columns of `r`; two rows have the same one when all values are the same. Of two hash
 * functions of 64 bits, which the server computes some ten times as fast as one of 128.
 */
export function digestSql(columns: readonly ComparedColumn[], json: JsonHash = "text"): string {
  const values =
    columns.length === 0 ? "''" : columns.flatMap((column) => hashedValues(column, json)).join(", ");
  return `bitOr(bitShiftLeft(toUInt128(cityHash64(${values})), 64), toUInt128(farmHash64(${values})))`;
}

/** All columns but one that holds the merged metadata as JSON. */
export function withoutJson(columns: readonly ComparedColumn[]): ComparedColumn[] {
  return columns.filter(({ name }) => name !== JSON_COLUMN);
}

/** An array with the digest of each column, as text. */
export function digestsSql(columns: readonly ComparedColumn[]): string {
  return `[${columns.map((column) => `hex(${digestSql([column])})`).join(", ")}]`;
}

/** The digest of the columns that identify a row. */
export const KEY_DIGEST = digestSql(KEY_COLUMNS.map((name) => ({ name, type: "String" })));

/** The condition that a row `r` has one of these digests of keys. As literals: parameters would have to fit a URL. */
export function hasKey(keys: readonly string[]): string {
  return `hex(${KEY_DIGEST}) IN (${keys.map(literal).join(", ")})`;
}

/** What the hash takes for a column: of a NULL it would be NULL. */
function hashedValues({ name, type }: ComparedColumn, json: JsonHash): string[] {
  const value = `r.${identifier(name)}`;
  if (parseTypeName(type).name === "JSON") return [json === "text" ? `toJSONString(${value})` : value];
  const inner = within("Nullable", within("LowCardinality", type) ?? type);
  return inner === null ? [value] : [`isNull(${value})`, `ifNull(${value}, ${defaultOf(inner)})`];
}

/** The type within a wrapper; null where it is not wrapped. */
function within(wrapper: "Nullable" | "LowCardinality", type: string): string | null {
  return type.startsWith(`${wrapper}(`) ? type.slice(wrapper.length + 1, -1) : null;
}

/** Microseconds since 1970 of a column of `r`. */
export function microsSql(column: string): string {
  return `toUnixTimestamp64Micro(CAST(r.${column} AS DateTime64(6)))`;
}

export const DAY_MICROS = 86_400_000_000;

/** The beginning of the day, by UTC, on which a row starts, in microseconds since 1970. */
export const DAY_SQL = `(${microsSql("start_time")} - positiveModulo(${microsSql("start_time")}, ${DAY_MICROS}))`;

/** The cell of a row, as `textOf` writes it. */
export const CELL_SQL = `concat(hex(r.project_id), ' ', toString(${DAY_SQL}))`;

/** The values of a row's key as text, for people to read: bytes that are not UTF-8 are replaced. */
export function keyTextsSql(): string {
  return KEY_COLUMNS.map((name) => `toValidUTF8(toString(r.${identifier(name)}))`).join(", ");
}

/** What `keyTextsSql` selected, by the names of the columns. Throws a TransportError where it is something else. */
export function namedKey(texts: unknown): Readonly<Record<string, string>> {
  if (!Array.isArray(texts)) throw new TransportError("No key came back");
  return Object.fromEntries(KEY_COLUMNS.map((name, i) => [name, String(texts[i])]));
}

/** Whether a row has a value of `source` that a run writes. */
export function isOursSql(columns: readonly ComparedColumn[], sources: readonly string[]): string {
  if (!columns.some(({ name }) => name === "source")) return "1";
  return `toString(r.source) IN (${sources.map(literal).join(", ")})`;
}

/**
 * The condition that selects rows of some projects from one moment to before another, on a table whose columns are the given expressions.
 */
export function spanCondition(
  columns: { readonly projectId: string; readonly time: string },
  { projectsHex, fromMicros, untilMicros }: CellSpan,
): Condition {
  // A parameter would have to fit a URL.
  const projects = `SELECT unhex(arrayJoin(splitByChar(',', ${literal(projectsHex.join())})))`;
  return {
    sql: `${columns.projectId} IN (${projects}) AND ${columns.time} >= fromUnixTimestamp64Micro({cellfrom:Int64})
      AND ${columns.time} < fromUnixTimestamp64Micro({celluntil:Int64})`,
    params: { cellfrom: fromMicros, celluntil: untilMicros },
  };
}

/** Rows of some projects from one day to another. */
export interface CellSpan {
  readonly projectsHex: readonly string[];
  /** Microseconds since 1970: the beginning of the first day, and the end of the last. */
  readonly fromMicros: string;
  readonly untilMicros: string;
}

/** The columns of the sources, by phase, and of the target that say whose and when a row is. */
export const SPAN_COLUMNS = {
  roots: { projectId: "t.project_id", time: "t.timestamp" },
  observations: { projectId: "o.project_id", time: "o.start_time" },
  target: { projectId: "t.project_id", time: "t.start_time" },
} as const;
