import type { EventColumn, FromExperiment, ValueKind } from "./mapped-column.ts";

/** The id of the span that an item names: all below it belongs to the experiment. */
export const ROOT_SPAN_SQL =
  "if(empty(ifNull(i.observation_id, '')), concat('t-', i.trace_id), assumeNotNull(i.observation_id))";

/**
 * Where the columns of an experiment come from (Langfuse's background migration `20260701_v4_step_4`): the newest item of a dataset run
 * that reaches the span. All other rows have none of them.
 */
export const EXPERIMENT_COLUMNS: readonly EventColumn[] = [
  text("experiment_id", "dataset_run_id"),
  text("experiment_name", "dataset_run_name"),
  text("experiment_description", "dataset_run_description"),
  ...entries("experiment_metadata", "dataset_run_metadata"),
  text("experiment_dataset_id", "dataset_id"),
  text("experiment_item_id", "dataset_item_id"),
  experiment("experiment_item_version", "nullableTime", {
    columns: ["dataset_item_version"],
    sql: "CAST(i.dataset_item_version AS Nullable(DateTime64(6)))",
    missing: "CAST(NULL AS Nullable(DateTime64(6)))",
  }),
  text("experiment_item_expected_output", "dataset_item_expected_output"),
  ...entries("experiment_item_metadata", "dataset_item_metadata"),
  experiment("experiment_item_root_span_id", "string", {
    columns: ["observation_id", "trace_id"],
    sql: ROOT_SPAN_SQL,
    missing: null,
  }),
];

/** Columns by which items are found and put in order. */
export const REQUIRED_ITEM_COLUMNS = [
  "project_id",
  "trace_id",
  "id",
  "created_at",
  "event_ts",
  "is_deleted",
] as const;

function experiment(name: string, kind: ValueKind, item: Omit<FromExperiment, "from">): EventColumn {
  return { name, kind, source: { from: "experiment", ...item } };
}

function text(name: string, column: string): EventColumn {
  const sql = `CAST(ifNull(i.${column}, '') AS String)`;
  return experiment(name, "string", { columns: [column], sql, missing: null });
}

function entries(name: string, column: string): EventColumn[] {
  return (["names", "values"] as const).map((part) =>
    experiment(`${name}_${part}`, "strings", {
      columns: [column],
      sql: `CAST(${part === "names" ? "mapKeys" : "mapValues"}(i.${column}) AS Array(String))`,
      missing: null,
    }),
  );
}
