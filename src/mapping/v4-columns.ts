import { EVENT_COLUMNS } from "./event-columns.ts";
import { EXPERIMENT_COLUMNS } from "./experiment-columns.ts";
import { type EventColumn, type FromSource, type ValueKind, versionColumn } from "./mapped-column.ts";

/**
 * What differs for the observations of Langfuse v4 (its background migration `20260701_v4_step_3`): empty values of an observation
 * stand where it has them, and the metadata is the observation's alone.
 */
const DIFFERENCES: readonly EventColumn[] = [
  {
    name: "parent_span_id",
    kind: "string",
    source: {
      from: "source",
      columns: ["parent_observation_id", "id", "trace_id"],
      sql: "multiIf(o.id = o.trace_id, '', isNotNull(o.parent_observation_id), ifNull(o.parent_observation_id, ''), concat('t-', o.trace_id))",
      missing: "if(o.id = o.trace_id, '', concat('t-', o.trace_id))",
    },
  },
  versionColumn("isNotNull(o.version)"),
  ...ownMetadata("o"),
];

/** Columns that v4 has under another name, or not at all. */
const LEFT_OUT: readonly string[] = ["metadata", "metadata_raw_values"];

/** Where the columns of an observation's row in v4's `events_full` come from. */
export const V4_OBSERVATION_COLUMNS: readonly EventColumn[] = EVENT_COLUMNS.filter(
  ({ name }) => !LEFT_OUT.includes(name),
).map((column) => DIFFERENCES.find(({ name }) => name === column.name) ?? column);

const IDENTIFYING: readonly string[] = ["project_id", "trace_id", "span_id", "start_time", "event_ts"];

/**
 * Where the columns of a trace's root row come from (`20260701_v4_step_1`). All others keep their defaults, `end_time` among them, which is
 * NULL then.
 */
export const ROOT_COLUMNS: readonly EventColumn[] = [
  root("project_id", "string", "project_id", "t.project_id"),
  root("trace_id", "string", "id", "t.id"),
  root("span_id", "string", "id", "concat('t-', t.id)"),
  root("parent_span_id", "string", "id", "''"),
  root("start_time", "time", "timestamp", "t.timestamp"),
  root("name", "string", "name", "ifNull(t.name, '')"),
  root("trace_name", "string", "name", "ifNull(t.name, '')"),
  root("type", "string", "id", "toLowCardinality('SPAN')"),
  root("level", "string", "id", "toLowCardinality('DEFAULT')"),
  root("model_parameters", "string", "id", "'{}'"),
  root("environment", "string", "environment", "t.environment", null),
  root("version", "string", "version", "ifNull(t.version, '')", "''"),
  root("release", "string", "release", "ifNull(t.release, '')", "''"),
  root("user_id", "string", "user_id", "ifNull(t.user_id, '')", "''"),
  root("session_id", "string", "session_id", "ifNull(t.session_id, '')", "''"),
  root("tags", "strings", "tags", "t.tags", null),
  root("public", "flag", "public", "t.public", null),
  root("bookmarked", "flag", "bookmarked", "t.bookmarked", null),
  root("input", "string", "input", "ifNull(t.input, '')", "''"),
  root("output", "string", "output", "ifNull(t.output, '')", "''"),
  ...ownMetadata("t"),
  root("created_at", "time", "created_at", "t.created_at"),
  root("updated_at", "time", "updated_at", "t.updated_at"),
  root("event_ts", "time", "event_ts", "t.event_ts"),
];

/** The same observations and roots where dataset runs name their traces. */
export const EXPERIMENT_OBSERVATION_COLUMNS: readonly EventColumn[] = [
  ...V4_OBSERVATION_COLUMNS,
  ...EXPERIMENT_COLUMNS,
];
export const EXPERIMENT_ROOT_COLUMNS: readonly EventColumn[] = [...ROOT_COLUMNS, ...EXPERIMENT_COLUMNS];

function root(
  name: string,
  kind: ValueKind,
  column: string,
  sql: string,
  missing: FromSource["missing"] = "required",
): EventColumn {
  const source: FromSource = { from: "source", columns: [column], sql, missing };
  return IDENTIFYING.includes(name) ? { name, kind, source, identifying: true } : { name, kind, source };
}

/** All entries of the row's own metadata, as stored, repeated keys included. */
function ownMetadata(alias: "o" | "t"): EventColumn[] {
  const from = { from: "source", columns: ["metadata"], kind: "stringMap" } as const;
  const none = "CAST([] AS Array(String))";
  const keys = `CAST(mapKeys(${alias}.metadata) AS Array(String))`;
  const values = `CAST(mapValues(${alias}.metadata) AS Array(String))`;
  const api = "toLowCardinality('ingestion-api-backfill')";
  // The suffix matters: v4 counts rows with the source `otel` as live traffic.
  const source = `toLowCardinality(if(has(${keys}, 'resourceAttributes'), 'otel-backfill', 'ingestion-api-backfill'))`;
  return [
    { name: "metadata_names", kind: "strings", source: { ...from, sql: keys, missing: none } },
    { name: "metadata_values", kind: "strings", source: { ...from, sql: values, missing: none } },
    { name: "source", kind: "string", source: { ...from, sql: source, missing: api } },
  ];
}
