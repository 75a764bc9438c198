/**
 * Where every event column comes from: the single source of truth. The SELECT lists for observations and traces, the plan by
 * which a worker builds a block, the check of the tables' columns and the reference statement all follow from this table, so
 * a new column of a new Langfuse version is one new line here.
 *
 * SQL expressions speak of the observation as `o` and of its trace as `t`.
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

/** An observation column that crosses unchanged, or nearly so; `sql` makes the server do what is needed. */
export interface FromObservation {
  readonly from: "observation";
  /** The observation columns that `sql` reads; it stands for nothing when the first one is missing. */
  readonly columns: readonly [string, ...string[]];
  readonly sql: string;
  /** What a source without the column counts as; null: then the event column is left out; "required": then nothing works. */
  readonly missing: string | null | "required";
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

/** One event column. */
export interface EventColumn {
  readonly name: string;
  readonly kind: ValueKind;
  readonly source: FromObservation | FromTrace | FromMetadata | Constant;
  /** It identifies an event, so the target must have it. */
  readonly identifying?: true;
}

const EMPTY_MAP = {
  stringMap: "CAST(map() AS Map(String, String))",
  countMap: "CAST(map() AS Map(LowCardinality(String), UInt64))",
  costMap: "CAST(map() AS Map(LowCardinality(String), Decimal(18, 12)))",
} as const;
const NULL_TIME = "CAST(NULL AS Nullable(DateTime64(3)))";

/** An observation column of the same name, unchanged. */
function same(
  name: string,
  kind: ValueKind,
  missing: FromObservation["missing"],
  identifying?: true,
): EventColumn {
  const source: FromObservation = { from: "observation", columns: [name], sql: `o.${name}`, missing };
  return identifying === undefined ? { name, kind, source } : { name, kind, source, identifying };
}

/** An observation column whose NULL becomes `whenNull`, a literal. */
function filled(name: string, column = name, whenNull = "''"): EventColumn {
  const sql = `ifNull(o.${column}, ${whenNull})`;
  return { name, kind: "string", source: { from: "observation", columns: [column], sql, missing: whenNull } };
}

function trace(name: string, kind: ValueKind, attribute: FromTrace["attribute"], sql: string): EventColumn {
  return { name, kind, source: { from: "trace", attribute, sql } };
}

function metadata(name: string, kind: ValueKind, part: FromMetadata["part"]): EventColumn {
  const sql = { names: "merged.1", values: "merged.2", json: "merged_json", source: "merged_source" }[part];
  return { name, kind, source: { from: "metadata", part, sql } };
}

// Workers read these values, so they must not arrive in a dictionary.
const PARENT_IS_EMPTY = "empty(CAST(ifNull(o.parent_observation_id, '') AS String))";

/** Whether the observation names no parent; workers read it to decide on `bookmarked`. */
export const PARENT_IS_EMPTY_SQL = { sql: PARENT_IS_EMPTY, column: "parent_observation_id" } as const;
/** The observation's own version; the trace's stands in for an empty one. */
export const OWN_VERSION_SQL = {
  sql: "CAST(ifNull(o.version, '') AS String)",
  column: "version",
} as const;

/** All event columns that a run fills. */
export const EVENT_COLUMNS: readonly EventColumn[] = [
  same("project_id", "string", "required", true),
  same("trace_id", "string", "required", true),
  {
    name: "span_id",
    kind: "string",
    identifying: true,
    source: { from: "observation", columns: ["id"], sql: "o.id", missing: "required" },
  },
  {
    name: "parent_span_id",
    kind: "string",
    source: {
      from: "observation",
      columns: ["parent_observation_id", "id", "trace_id"],
      sql: `multiIf(o.id = concat('t-', o.trace_id), '', NOT ${PARENT_IS_EMPTY}, ifNull(o.parent_observation_id, ''), concat('t-', o.trace_id))`,
      missing: "if(o.id = concat('t-', o.trace_id), '', concat('t-', o.trace_id))",
    },
  },
  same("start_time", "time", "required", true),
  same("end_time", "nullableTime", NULL_TIME),
  filled("name"),
  same("type", "string", "required"),
  filled("environment"),
  {
    name: "version",
    kind: "string",
    source: { from: "trace", attribute: "version", sql: "if(empty(own_version), t.version, own_version)" },
  },
  trace("release", "string", "release", "t.release"),
  trace("user_id", "string", "userId", "t.user_id"),
  trace("session_id", "string", "sessionId", "t.session_id"),
  trace("trace_name", "string", "traceName", "t.name"),
  trace("tags", "strings", "tags", "t.tags"),
  trace("bookmarked", "flag", "bookmarked", "t.bookmarked AND parent_is_empty"),
  trace("public", "flag", "public", "t.public"),
  filled("level"),
  filled("status_message"),
  same("completion_start_time", "nullableTime", NULL_TIME),
  filled("prompt_id"),
  filled("prompt_name"),
  same("prompt_version", "nullableUInt16", "CAST(NULL AS Nullable(UInt16))"),
  filled("model_id", "internal_model_id"),
  filled("provided_model_name"),
  filled("model_parameters", "model_parameters", "'{}'"),
  same("provided_usage_details", "countMap", EMPTY_MAP.countMap),
  same("usage_details", "countMap", EMPTY_MAP.countMap),
  same("provided_cost_details", "costMap", EMPTY_MAP.costMap),
  same("cost_details", "costMap", EMPTY_MAP.costMap),
  same("usage_pricing_tier_id", "nullableString", null),
  same("usage_pricing_tier_name", "nullableString", null),
  same("tool_definitions", "stringMap", null),
  same("tool_calls", "strings", null),
  same("tool_call_names", "strings", null),
  filled("input"),
  filled("output"),
  metadata("metadata", "json", "json"),
  metadata("metadata_names", "strings", "names"),
  metadata("metadata_raw_values", "strings", "values"),
  metadata("metadata_values", "strings", "values"),
  metadata("source", "string", "source"),
  { name: "event_bytes", kind: "uint64", source: { from: "constant", wireByte: 0, sql: "0" } },
  same("created_at", "time", "required"),
  same("updated_at", "time", "required"),
  same("event_ts", "time", "required", true),
  same("is_deleted", "flag", "required"),
];
