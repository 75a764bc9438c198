/** An event's columns and the SQL of their values. */
export type ColumnSql = Readonly<Record<string, string>>;

/** A trace's root row. `t` is the trace. */
export const ROOT_COLUMNS: ColumnSql = {
  project_id: "t.project_id",
  trace_id: "t.id",
  span_id: "concat('t-', t.id)",
  parent_span_id: "''",
  start_time: "t.timestamp",
  end_time: "NULL",
  name: "t.name",
  trace_name: "t.name",
  type: "'SPAN'",
  level: "'DEFAULT'",
  model_parameters: "'{}'",
  environment: "t.environment",
  tags: "t.tags",
  public: "t.public",
  bookmarked: "t.bookmarked",
  created_at: "t.created_at",
  updated_at: "t.updated_at",
  event_ts: "t.event_ts",
  is_deleted: "0",
  version: "ifNull(t.version, '')",
  release: "ifNull(t.release, '')",
  user_id: "ifNull(t.user_id, '')",
  session_id: "ifNull(t.session_id, '')",
  input: "ifNull(t.input, '')",
  output: "ifNull(t.output, '')",
  metadata_names: "mapKeys(t.metadata)",
  metadata_values: "mapValues(t.metadata)",
  source: source("t.metadata"),
};

/** An observation's row. `o` is the observation, `t` its trace (columns are empty when there is none). */
export const OBSERVATION_COLUMNS: ColumnSql = {
  project_id: "o.project_id",
  trace_id: "o.trace_id",
  span_id: "o.id",
  parent_span_id: `multiIf(o.id = o.trace_id, '',
    o.parent_observation_id IS NOT NULL, assumeNotNull(o.parent_observation_id),
    concat('t-', o.trace_id))`,
  start_time: "o.start_time",
  end_time: "o.end_time",
  completion_start_time: "o.completion_start_time",
  created_at: "o.created_at",
  updated_at: "o.updated_at",
  event_ts: "o.event_ts",
  is_deleted: "o.is_deleted",
  name: "o.name",
  type: "o.type",
  environment: "o.environment",
  level: "o.level",
  status_message: "ifNull(o.status_message, '')",
  input: "ifNull(o.input, '')",
  output: "ifNull(o.output, '')",
  prompt_id: "ifNull(o.prompt_id, '')",
  prompt_name: "ifNull(o.prompt_name, '')",
  prompt_version: "o.prompt_version",
  provided_model_name: "ifNull(o.provided_model_name, '')",
  model_id: "ifNull(o.internal_model_id, '')",
  model_parameters: "ifNull(o.model_parameters, '{}')",
  provided_usage_details: "o.provided_usage_details",
  usage_details: "o.usage_details",
  provided_cost_details: "o.provided_cost_details",
  cost_details: "o.cost_details",
  version: "coalesce(o.version, t.version, '')",
  user_id: "ifNull(t.user_id, '')",
  session_id: "ifNull(t.session_id, '')",
  release: "ifNull(t.release, '')",
  trace_name: "t.name",
  tags: "t.tags",
  public: "t.public",
  bookmarked: "ifNull(o.parent_observation_id, '') = '' AND t.bookmarked",
  metadata_names: "mapKeys(o.metadata)",
  metadata_values: "mapValues(o.metadata)",
  source: source("o.metadata"),
};

/** Event columns that exist only where the observations have a column of the same name. */
export const NEWER_OBSERVATION_COLUMNS = [
  "usage_pricing_tier_id",
  "usage_pricing_tier_name",
  "tool_definitions",
  "tool_calls",
  "tool_call_names",
] as const;

/** What a row of an experiment has besides: `a` is the item that won its span, and `a.assigned` says whether there is one. */
export const EXPERIMENT_COLUMNS: ColumnSql = Object.fromEntries(
  Object.entries({
    experiment_id: ["a.dataset_run_id", "''"],
    experiment_name: ["a.dataset_run_name", "''"],
    experiment_description: ["ifNull(a.dataset_run_description, '')", "''"],
    experiment_metadata_names: ["mapKeys(a.dataset_run_metadata)", "[]"],
    experiment_metadata_values: ["mapValues(a.dataset_run_metadata)", "[]"],
    experiment_dataset_id: ["a.dataset_id", "''"],
    experiment_item_id: ["a.dataset_item_id", "''"],
    experiment_item_version: ["a.dataset_item_version", "NULL"],
    experiment_item_expected_output: ["ifNull(a.dataset_item_expected_output, '')", "''"],
    experiment_item_metadata_names: ["mapKeys(a.dataset_item_metadata)", "[]"],
    experiment_item_metadata_values: ["mapValues(a.dataset_item_metadata)", "[]"],
    experiment_item_root_span_id: ["a.root_span_id", "''"],
  }).map(([column, [value, none]]) => [column, `if(a.assigned, ${value}, ${none})`]),
);

/** Columns that hold the time of writing in a row of an experiment. */
export const WRITING_TIMES = ["created_at", "updated_at", "event_ts"] as const;

function source(metadata: string): string {
  return `if(has(mapKeys(${metadata}), 'resourceAttributes'), 'otel-backfill', 'ingestion-api-backfill')`;
}
