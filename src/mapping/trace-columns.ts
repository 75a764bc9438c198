import type { ValueKind } from "./mapped-column.ts";

/** A trace column that the trace store keeps; SQL expressions speak of the trace as `t`. */
export interface TraceColumn {
  /** Its name in the response to the traces query. */
  readonly name: string;
  readonly column: string;
  readonly kind: ValueKind;
  readonly sql: string;
  /** What a table without the column counts as, or "required". */
  readonly missing: string;
}

/** The type as which metadata is read, of traces and observations alike. */
export const METADATA_TYPE = "Map(LowCardinality(String), String)";

function text(column: string): TraceColumn {
  return {
    name: column,
    column,
    kind: "nullableString",
    sql: `CAST(ifNull(t.${column}, '') AS String)`,
    missing: "''",
  };
}

/** The trace columns, in the order in which the loader reads them. NULL counts as empty. */
export const TRACE_COLUMNS = [
  text("user_id"),
  text("session_id"),
  text("release"),
  text("version"),
  text("name"),
  {
    name: "tags",
    column: "tags",
    kind: "strings",
    sql: "CAST(t.tags AS Array(String))",
    missing: "CAST([] AS Array(String))",
  },
  {
    name: "metadata",
    column: "metadata",
    kind: "stringMap",
    sql: `CAST(t.metadata AS ${METADATA_TYPE})`,
    missing: `CAST(map() AS ${METADATA_TYPE})`,
  },
  { name: "public", column: "public", kind: "flag", sql: "toUInt8(t.public)", missing: "toUInt8(0)" },
  {
    name: "bookmarked",
    column: "bookmarked",
    kind: "flag",
    sql: "toUInt8(t.bookmarked)",
    missing: "toUInt8(0)",
  },
] as const satisfies readonly TraceColumn[];

/** Trace columns that identify a trace. */
export const REQUIRED_TRACE_COLUMNS: readonly { readonly column: string; readonly kind: ValueKind }[] = [
  { column: "project_id", kind: "string" },
  { column: "id", kind: "string" },
  { column: "timestamp", kind: "time" },
  { column: "event_ts", kind: "time" },
  { column: "is_deleted", kind: "flag" },
];
