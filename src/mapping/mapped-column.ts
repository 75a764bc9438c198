/**
 * What a mapping is made of: where an event column comes from, and the expression that the server computes for it.
 *
 * SQL expressions speak of the observation as `o` and of a trace as `t`.
 */

/** What kinds of values a column takes; `types.ts` says which ClickHouse types hold them. */
export type ValueKind =
  | "string"
  | "nullableString"
  | "time"
  | "nullableTime"
  | "flag"
  | "nullableUInt16"
  | "uint64"
  | "strings"
  | "stringMap"
  | "countMap"
  | "costMap"
  | "json";

/** A column of the source table that crosses unchanged, or nearly so; `sql` makes the server do what is needed. */
export interface FromSource {
  readonly from: "source";
  /** The columns of the source that `sql` reads; it stands for nothing when the first one is missing. */
  readonly columns: readonly [string, ...string[]];
  /** The kind of the first of them, where it is not the event column's. */
  readonly kind?: ValueKind;
  readonly sql: string;
  /** What a source without the column counts as; null: then the event column is left out; "required": then nothing works. */
  readonly missing: string | null | "required";
}

/** A column of a page query that workers read to derive event columns. */
export interface Helper {
  /** Its name in the response. */
  readonly name: string;
  readonly sql: string;
  /** The source column that `sql` reads, its kind, and what a source without it counts as. */
  readonly column: string;
  readonly kind: ValueKind;
  readonly missing: string;
}

/** An attribute that the trace store holds, copied where the trace is found. */
export interface FromTrace {
  readonly from: "trace";
  readonly attribute:
    | "userId"
    | "sessionId"
    | "release"
    | "traceName"
    | "tags"
    | "public"
    | "bookmarked"
    | "version";
  readonly sql: string;
  /** What the observation has a say in it by. */
  readonly helpers: readonly Helper[];
}

/** Derived from the merged metadata of both. */
export interface FromMetadata {
  readonly from: "metadata";
  readonly part: "names" | "values" | "json" | "source";
  readonly sql: string;
}

/** The same value in every row; `wireByte` is the value as a UInt8. */
export interface Constant {
  readonly from: "constant";
  readonly wireByte: number;
  readonly sql: string;
}

/** Taken from the item of a dataset run that reaches the row's span, if there is one; `sql` speaks of the item as `i`. */
export interface FromExperiment {
  readonly from: "experiment";
  /** The columns of the items that `sql` reads. */
  readonly columns: readonly [string, ...string[]];
  readonly sql: string;
  /** What items without the first of them count as; null: nothing works without it. */
  readonly missing: string | null;
}

/** One event column. */
export interface EventColumn {
  readonly name: string;
  readonly kind: ValueKind;
  readonly source: FromSource | FromTrace | FromMetadata | FromExperiment | Constant;
  /** It identifies an event, so the target must have it. */
  readonly identifying?: true;
}

export const EMPTY_MAP = {
  stringMap: "CAST(map() AS Map(String, String))",
  countMap: "CAST(map() AS Map(LowCardinality(String), UInt64))",
  costMap: "CAST(map() AS Map(LowCardinality(String), Decimal(18, 12)))",
} as const;
export const NULL_TIME = "CAST(NULL AS Nullable(DateTime64(3)))";

/** An observation column of the same name, unchanged. */
export function same(
  name: string,
  kind: ValueKind,
  missing: FromSource["missing"],
  identifying?: true,
): EventColumn {
  const source: FromSource = { from: "source", columns: [name], sql: `o.${name}`, missing };
  return identifying === undefined ? { name, kind, source } : { name, kind, source, identifying };
}

/** An observation column whose NULL becomes `whenNull`, a literal. */
export function filled(name: string, column = name, whenNull = "''"): EventColumn {
  const sql = `ifNull(o.${column}, ${whenNull})`;
  return { name, kind: "string", source: { from: "source", columns: [column], sql, missing: whenNull } };
}

export function trace(
  name: string,
  kind: ValueKind,
  attribute: FromTrace["attribute"],
  sql: string,
  helpers: readonly Helper[] = [],
): EventColumn {
  return { name, kind, source: { from: "trace", attribute, sql, helpers } };
}

export function metadata(name: string, kind: ValueKind, part: FromMetadata["part"]): EventColumn {
  const sql = { names: "merged.1", values: "merged.2", json: "merged_json", source: "merged_source" }[part];
  return { name, kind, source: { from: "metadata", part, sql } };
}

/** Names of the helper columns of a page query. */
export const HELPER = {
  traceKey: "__trace_key",
  metadata: "__metadata",
  ownVersion: "__own_version",
  hasOwnVersion: "__has_own_version",
  parentIsEmpty: "__parent_is_empty",
  eventTs: "__event_ts",
  date: "__date",
  spanKey: "__span_key",
} as const;

// Workers read the values of helpers, so they must not arrive in a dictionary.
export const PARENT_IS_EMPTY = "empty(CAST(ifNull(o.parent_observation_id, '') AS String))";
const OWN_VERSION = "CAST(ifNull(o.version, '') AS String)";

/** `bookmarked` is the trace's where the observation names no parent. */
export const PARENT_IS_EMPTY_HELPER: Helper = {
  name: HELPER.parentIsEmpty,
  sql: PARENT_IS_EMPTY,
  column: "parent_observation_id",
  kind: "nullableString",
  missing: "toUInt8(1)",
};

/** The trace's version stands in where `isOwn`, a condition on the observation, does not hold. */
export function versionColumn(isOwn: string): EventColumn {
  const helper = { column: "version", kind: "nullableString" } as const;
  return trace("version", "string", "version", "if(has_own_version, own_version, t.version)", [
    { ...helper, name: HELPER.ownVersion, sql: OWN_VERSION, missing: "''" },
    { ...helper, name: HELPER.hasOwnVersion, sql: isOwn, missing: "toUInt8(0)" },
  ]);
}
