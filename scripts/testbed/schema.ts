import { identifier } from "../../src/clickhouse/sql.ts";

/** How a fixture's table differs from the one that installations have. */
export interface TableOptions {
  /** Parts stay as they were inserted, so that old versions and repeated rows remain visible. */
  readonly mergesOff?: boolean;
  /** Another engine, without keys and settings: "Null" swallows rows, "Memory" keeps them all. */
  readonly engine?: "Null" | "Memory";
}

/** Which columns a table of observations has: installations that upgraded lately also hold tools and pricing tiers. */
export type ObservationsGeneration = "old" | "newer";

/** A table's keys and settings when it is a ReplacingMergeTree. */
interface Storage {
  readonly partition: string;
  readonly primaryKey: string;
  readonly sortingKey: string;
  readonly sample?: string;
  readonly settings?: readonly string[];
}

const USAGE = "Map(LowCardinality(String), UInt64)";
const SOURCE_COST = "Map(LowCardinality(String), Decimal64(12))";
const TARGET_COST = "Map(LowCardinality(String), Decimal(18, 12))";

/** `CREATE TABLE` of traces. */
export function tracesTable(name: string, options: TableOptions = {}): string {
  const columns = [
    "id String",
    "timestamp DateTime64(3)",
    "name String",
    "user_id Nullable(String)",
    "metadata Map(LowCardinality(String), String)",
    "release Nullable(String)",
    "version Nullable(String)",
    "project_id String",
    "environment LowCardinality(String) DEFAULT 'default'",
    "public Bool",
    "bookmarked Bool",
    "tags Array(String)",
    "input Nullable(String) CODEC(ZSTD(3))",
    "output Nullable(String) CODEC(ZSTD(3))",
    "session_id Nullable(String)",
    "created_at DateTime64(3) DEFAULT now()",
    "updated_at DateTime64(3) DEFAULT now()",
    "event_ts DateTime64(3)",
    "is_deleted UInt8",
  ];
  const indexes = [
    bloomFilter("idx_id", "id", 0.001),
    bloomFilter("idx_metadata_keys", "mapKeys(metadata)"),
    bloomFilter("idx_metadata_values", "mapValues(metadata)"),
  ];
  const storage = {
    partition: "toYYYYMM(timestamp)",
    primaryKey: "project_id, toDate(timestamp)",
    sortingKey: "project_id, toDate(timestamp), id",
  };
  return createTable(name, columns, indexes, storage, options);
}

/** `CREATE TABLE` of observations. */
export function observationsTable(
  name: string,
  options: TableOptions & { readonly generation?: ObservationsGeneration } = {},
): string {
  const columns = [
    "id String",
    "trace_id String",
    "project_id String",
    "environment LowCardinality(String) DEFAULT 'default'",
    "type LowCardinality(String)",
    "parent_observation_id Nullable(String)",
    "start_time DateTime64(3)",
    "end_time Nullable(DateTime64(3))",
    "name String",
    "metadata Map(LowCardinality(String), String)",
    "level LowCardinality(String)",
    "status_message Nullable(String)",
    "version Nullable(String)",
    "input Nullable(String) CODEC(ZSTD(3))",
    "output Nullable(String) CODEC(ZSTD(3))",
    "provided_model_name Nullable(String)",
    "internal_model_id Nullable(String)",
    "model_parameters Nullable(String)",
    `provided_usage_details ${USAGE}`,
    `usage_details ${USAGE}`,
    `provided_cost_details ${SOURCE_COST}`,
    `cost_details ${SOURCE_COST}`,
    "total_cost Nullable(Decimal64(12))",
    "completion_start_time Nullable(DateTime64(3))",
    "prompt_id Nullable(String)",
    "prompt_name Nullable(String)",
    "prompt_version Nullable(UInt16)",
    "created_at DateTime64(3) DEFAULT now()",
    "updated_at DateTime64(3) DEFAULT now()",
    "event_ts DateTime64(3)",
    "is_deleted UInt8",
    ...(options.generation === "old" ? [] : NEWER_COLUMNS),
  ];
  const indexes = [
    bloomFilter("idx_id", "id"),
    bloomFilter("idx_trace_id", "trace_id"),
    bloomFilter("idx_project_id", "project_id"),
  ];
  const storage = {
    partition: "toYYYYMM(start_time)",
    primaryKey: "project_id, type, toDate(start_time)",
    sortingKey: "project_id, type, toDate(start_time), id",
  };
  return createTable(name, columns, indexes, storage, options);
}

/** `CREATE TABLE` of the items of dataset runs. `generation` old: without the version of the dataset's item. */
export function datasetRunItemsTable(
  name: string,
  options: TableOptions & { readonly generation?: ObservationsGeneration } = {},
): string {
  const columns = [
    "id String",
    "project_id String",
    "dataset_run_id String",
    "dataset_item_id String",
    "dataset_id String",
    "trace_id String",
    "observation_id Nullable(String)",
    "error Nullable(String)",
    "created_at DateTime64(3) DEFAULT now()",
    "updated_at DateTime64(3) DEFAULT now()",
    "dataset_run_name String",
    "dataset_run_description Nullable(String)",
    "dataset_run_metadata Map(LowCardinality(String), String)",
    "dataset_run_created_at DateTime64(3)",
    "dataset_item_input Nullable(String) CODEC(ZSTD(3))",
    "dataset_item_expected_output Nullable(String) CODEC(ZSTD(3))",
    "dataset_item_metadata Map(LowCardinality(String), String)",
    "event_ts DateTime64(3)",
    "is_deleted UInt8",
    ...(options.generation === "old" ? [] : ["dataset_item_version Nullable(DateTime64(3))"]),
  ];
  const key = "project_id, dataset_id, dataset_run_id, id";
  const storage = { partition: "tuple()", primaryKey: key, sortingKey: key };
  return createTable(name, columns, [], storage, options);
}

const NEWER_COLUMNS = [
  "usage_pricing_tier_id Nullable(String)",
  "usage_pricing_tier_name Nullable(String)",
  "tool_definitions Map(String, String)",
  "tool_calls Array(String)",
  "tool_call_names Array(String)",
];

const TARGET_SETTINGS = ["enable_block_number_column = 1", "enable_block_offset_column = 1"];
const LARGE_ROWS = "index_granularity_bytes = 67108864";

const TARGET_INDEXES = [
  bloomFilter("idx_span_id", "span_id"),
  bloomFilter("idx_trace_id", "trace_id"),
  "INDEX idx_created_at created_at TYPE minmax GRANULARITY 1",
  "INDEX idx_updated_at updated_at TYPE minmax GRANULARITY 1",
];

/** `CREATE TABLE` of events as of November 2025: metadata as JSON besides the two arrays. */
export function eventsTable(name: string, options: TableOptions = {}): string {
  const columns = [
    ...eventColumns(),
    // Nothing promises that parameters are JSON, and an insert must not fail for a computed column.
    "model_parameters_json JSON MATERIALIZED accurateCastOrDefault(model_parameters, 'JSON')",
    "usage_details_json JSON(total UInt64) MATERIALIZED CAST(toJSONString(usage_details) AS JSON(total UInt64))",
    "input_truncated String MATERIALIZED leftUTF8(input, 1024)",
    "output_truncated String MATERIALIZED leftUTF8(output, 1024)",
    "metadata JSON",
    "metadata_raw_values Array(String)",
    "metadata_prefixes Array(String) MATERIALIZED arrayMap(value -> leftUTF8(value, 200), metadata_raw_values)",
  ];
  const storage = {
    partition: "toYYYYMM(start_time)",
    primaryKey: "project_id, start_time, xxHash32(trace_id)",
    sortingKey: "project_id, start_time, xxHash32(trace_id), span_id",
    sample: "xxHash32(trace_id)",
    settings: [LARGE_ROWS, ...TARGET_SETTINGS],
  };
  return createTable(
    name,
    columns,
    [...TARGET_INDEXES, "INDEX idx_type type TYPE set(50) GRANULARITY 1"],
    storage,
    options,
  );
}

/** `CREATE TABLE` of events_full as of August 2026, which Langfuse v4 reads. */
export function eventsFullTable(name: string, options: TableOptions = {}): string {
  const indexes = [
    ...TARGET_INDEXES,
    bloomFilter("idx_user_id", "user_id"),
    bloomFilter("idx_session_id", "session_id"),
    textIndex("idx_fts_input_low", "lower(input)"),
    textIndex("idx_fts_output_low", "lower(output)"),
    textIndex("idx_fts_metadata_names", "metadata_names"),
    textIndex("idx_fts_metadata_values", "metadata_values"),
    "INDEX idx_ngram_metadata_values arrayStringConcat(metadata_values, ' ') TYPE ngrambf_v1(3, 65536, 2, 0) GRANULARITY 1",
  ];
  return createTable(name, eventsFullColumns(), indexes, FULL_STORAGE, options);
}

/** `CREATE TABLE` of events_core and of the view that copies each insert into `full` there, input and output shortened. */
export function eventsCoreTables(
  names: { readonly full: string; readonly core: string; readonly view: string },
  options: TableOptions = {},
): [table: string, view: string] {
  const table = createTable(
    names.core,
    eventsFullColumns(),
    TARGET_INDEXES,
    { ...FULL_STORAGE, settings: FULL_SETTINGS },
    options,
  );
  const view = `CREATE MATERIALIZED VIEW ${identifier(names.view)} TO ${identifier(names.core)} AS
SELECT * REPLACE (leftUTF8(input, 200) AS input, leftUTF8(output, 200) AS output) FROM ${identifier(names.full)}`;
  return [table, view];
}

const FULL_SETTINGS = [...TARGET_SETTINGS, "merge_max_block_size_bytes = 67108864"];

const FULL_STORAGE: Storage = {
  partition: "toYYYYMM(start_time)",
  primaryKey: "project_id, toStartOfMinute(start_time), xxHash32(trace_id)",
  sortingKey: "project_id, toStartOfMinute(start_time), xxHash32(trace_id), span_id, start_time",
  sample: "xxHash32(trace_id)",
  settings: [LARGE_ROWS, ...FULL_SETTINGS],
};

function eventsFullColumns(): string[] {
  return [
    ...eventColumns(),
    "trace_name String",
    "is_app_root Bool DEFAULT false",
    ...NEWER_COLUMNS,
    "metadata_values Array(String)",
    "experiment_item_version Nullable(DateTime64(6))",
    "ingestion_api_key String DEFAULT ''",
    "ingestion_sdk_name LowCardinality(String) DEFAULT 'unknown'",
    "ingestion_sdk_version LowCardinality(String) DEFAULT 'unknown'",
  ];
}

/** Odd metadata makes thousands of JSON subcolumns, each a few files of a wide part: more than a process may open. */
const ONE_FILE_PER_PART = "min_bytes_for_wide_part = 1000000000000";

/** What both targets have. */
function eventColumns(): string[] {
  return [
    "project_id String",
    "trace_id String",
    "span_id String",
    "parent_span_id String",
    "start_time DateTime64(6)",
    "end_time Nullable(DateTime64(6))",
    "name String",
    "type LowCardinality(String)",
    "environment LowCardinality(String) DEFAULT 'default'",
    "version String",
    "release String",
    "user_id String",
    "session_id String",
    "tags Array(String)",
    "bookmarked Bool DEFAULT false",
    "public Bool DEFAULT false",
    "level LowCardinality(String)",
    "status_message String",
    "completion_start_time Nullable(DateTime64(6))",
    "prompt_id String",
    "prompt_name String",
    "prompt_version Nullable(UInt16)",
    "model_id String",
    "provided_model_name String",
    "model_parameters String",
    `provided_usage_details ${USAGE}`,
    `usage_details ${USAGE}`,
    `provided_cost_details ${TARGET_COST}`,
    `cost_details ${TARGET_COST}`,
    calculatedCost("calculated_input_cost", "key LIKE '%input%'"),
    calculatedCost("calculated_output_cost", "key LIKE '%output%'"),
    calculatedCost("calculated_total_cost", "key = 'total'"),
    "total_cost Decimal(18, 12) ALIAS cost_details['total']",
    "input String CODEC(ZSTD(3))",
    "input_length UInt64 MATERIALIZED lengthUTF8(input)",
    "output String CODEC(ZSTD(3))",
    "output_length UInt64 MATERIALIZED lengthUTF8(output)",
    "metadata_names Array(String)",
    ...experimentColumns(),
    "source LowCardinality(String)",
    "service_name String",
    "service_version String",
    "scope_name String",
    "scope_version String",
    "telemetry_sdk_language LowCardinality(String)",
    "telemetry_sdk_name String",
    "telemetry_sdk_version String",
    "blob_storage_file_path String",
    "event_bytes UInt64",
    "created_at DateTime64(6) DEFAULT now()",
    "updated_at DateTime64(6) DEFAULT now()",
    "event_ts DateTime64(6)",
    "is_deleted UInt8",
  ];
}

function experimentColumns(): string[] {
  const texts = [
    "id",
    "name",
    "description",
    "dataset_id",
    "item_id",
    "item_expected_output",
    "item_root_span_id",
  ];
  const lists = ["metadata_names", "metadata_values", "item_metadata_names", "item_metadata_values"];
  return [
    ...texts.map((column) => `experiment_${column} String`),
    ...lists.map((column) => `experiment_${column} Array(String)`),
  ];
}

function calculatedCost(name: string, condition: string): string {
  const values = `mapValues(mapFilter((key, cost) -> ${condition}, cost_details))`;
  return `${name} Decimal(18, 12) MATERIALIZED toDecimal64(arraySum(${values}), 12)`;
}

function bloomFilter(name: string, expression: string, falsePositives = 0.01): string {
  return `INDEX ${name} ${expression} TYPE bloom_filter(${falsePositives}) GRANULARITY 1`;
}

function textIndex(name: string, expression: string): string {
  return `INDEX ${name} ${expression} TYPE text(tokenizer = splitByNonAlpha)`;
}

function createTable(
  name: string,
  columns: readonly string[],
  indexes: readonly string[],
  storage: Storage,
  options: TableOptions,
): string {
  // Other engines know no indexes.
  const body = options.engine === undefined ? [...columns, ...indexes] : columns;
  return `CREATE TABLE ${identifier(name)} (\n  ${body.join(",\n  ")}\n)\n${engine(storage, options)}`;
}

function engine(storage: Storage, options: TableOptions): string {
  if (options.engine !== undefined) return `ENGINE = ${options.engine}`;
  // SYSTEM STOP MERGES would be forgotten when the server restarts.
  const held =
    options.mergesOff === true ? ["max_bytes_to_merge_at_max_space_in_pool = 1", ONE_FILE_PER_PART] : [];
  const settings = [...(storage.settings ?? []), ...held];
  return [
    "ENGINE = ReplacingMergeTree(event_ts, is_deleted)",
    `PARTITION BY ${storage.partition}`,
    `PRIMARY KEY (${storage.primaryKey})`,
    `ORDER BY (${storage.sortingKey})`,
    ...(storage.sample === undefined ? [] : [`SAMPLE BY ${storage.sample}`]),
    ...(settings.length === 0 ? [] : [`SETTINGS ${settings.join(", ")}`]),
  ].join("\n");
}

/** Settings under which JSON columns store values as they are. */
export const JSON_SETTINGS = {
  input_format_try_infer_dates: 0,
  input_format_try_infer_datetimes: 0,
  input_format_json_read_bools_as_numbers: 0,
  input_format_json_read_bools_as_strings: 0,
  type_json_skip_duplicated_paths: 1,
} as const;
