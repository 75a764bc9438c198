import type { TableColumn, TableShape } from "../../../src/mapping/table-shape.ts";

/** Columns by name, as Langfuse has them; types as DESCRIBE TABLE writes them. */
export type Columns = Readonly<Record<string, string>>;

const USAGE = "Map(LowCardinality(String), UInt64)";
const COST = "Map(LowCardinality(String), Decimal(18, 12))";
const METADATA = "Map(LowCardinality(String), String)";

export const OBSERVATIONS: Columns = {
  ...{ id: "String", trace_id: "String", project_id: "String", environment: "LowCardinality(String)" },
  ...{
    type: "LowCardinality(String)",
    parent_observation_id: "Nullable(String)",
    start_time: "DateTime64(3)",
  },
  ...{
    end_time: "Nullable(DateTime64(3))",
    name: "String",
    metadata: METADATA,
    level: "LowCardinality(String)",
  },
  ...{ status_message: "Nullable(String)", version: "Nullable(String)", input: "Nullable(String)" },
  ...{
    output: "Nullable(String)",
    provided_model_name: "Nullable(String)",
    internal_model_id: "Nullable(String)",
  },
  ...{ model_parameters: "Nullable(String)", provided_usage_details: USAGE, usage_details: USAGE },
  ...{ provided_cost_details: COST, cost_details: COST, total_cost: "Nullable(Decimal(18, 12))" },
  ...{ completion_start_time: "Nullable(DateTime64(3))", prompt_id: "Nullable(String)" },
  ...{ prompt_name: "Nullable(String)", prompt_version: "Nullable(UInt16)", created_at: "DateTime64(3)" },
  ...{ updated_at: "DateTime64(3)", event_ts: "DateTime64(3)", is_deleted: "UInt8" },
};

export const TRACES: Columns = {
  ...{
    id: "String",
    timestamp: "DateTime64(3)",
    name: "String",
    user_id: "Nullable(String)",
    metadata: METADATA,
  },
  ...{ release: "Nullable(String)", version: "Nullable(String)", project_id: "String", public: "Bool" },
  ...{ bookmarked: "Bool", tags: "Array(String)", session_id: "Nullable(String)", event_ts: "DateTime64(3)" },
  is_deleted: "UInt8",
};

export const EVENTS: Columns = {
  ...{ project_id: "String", trace_id: "String", span_id: "String", parent_span_id: "String" },
  ...{ start_time: "DateTime64(6)", end_time: "Nullable(DateTime64(6))", name: "String" },
  ...{
    type: "LowCardinality(String)",
    environment: "LowCardinality(String)",
    version: "String",
    release: "String",
  },
  ...{ user_id: "String", session_id: "String", tags: "Array(String)", bookmarked: "Bool", public: "Bool" },
  ...{ level: "LowCardinality(String)", status_message: "String" },
  ...{ completion_start_time: "Nullable(DateTime64(6))", prompt_id: "String", prompt_name: "String" },
  ...{ prompt_version: "Nullable(UInt16)", model_id: "String", provided_model_name: "String" },
  ...{ model_parameters: "String", provided_usage_details: USAGE, usage_details: USAGE },
  ...{ provided_cost_details: COST, cost_details: COST, input: "String", output: "String", metadata: "JSON" },
  ...{ metadata_names: "Array(String)", metadata_raw_values: "Array(String)", service_name: "String" },
  ...{ source: "LowCardinality(String)", event_bytes: "UInt64", created_at: "DateTime64(6)" },
  ...{ updated_at: "DateTime64(6)", event_ts: "DateTime64(6)", is_deleted: "UInt8" },
};

/** A table of these columns; those of `computed` cannot be inserted. */
export function shape(name: string, columns: Columns, computed: readonly string[] = []): TableShape {
  const described = Object.entries(columns).map(
    ([column, type]): TableColumn => ({ name: column, type, isComputed: computed.includes(column) }),
  );
  return { name, columns: described };
}

/** The columns but for some. */
export function without(columns: Columns, ...names: readonly string[]): Columns {
  return Object.fromEntries(Object.entries(columns).filter(([name]) => !names.includes(name)));
}
