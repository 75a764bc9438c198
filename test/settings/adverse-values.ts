import type { Scene, Trial } from "./trial.ts";
import { trialOf } from "./trial.ts";

/** Values of settings whose type says too little: text, maps, characters. */
export const TEXT_VALUES: Readonly<Record<string, readonly string[]>> = {
  additional_table_filters: [
    "{'observations':'cityHash64(id) % 2 = 0'}",
    "{'traces':'cityHash64(id) % 2 = 0'}",
    "{'system.settings':'0'}",
    "{'system.tables':'0'}",
    "{'events_0':'0'}",
  ],
  additional_result_filter: ["0", "rand() % 2"],
  compatibility: ["1.1", "21.3", "23.3", "24.3", "24.8", "25.3", "25.8", "26.1"],
  dialect: ["kusto", "prql", "promql", "polyglot"],
  session_timezone: ["America/New_York", "Asia/Kolkata", "Pacific/Kiritimati", "UTC"],
  force_data_skipping_indices: ["idx_id", "idx_none"],
  ignore_data_skipping_indices: ["idx_id", "idx_trace_id", "idx_none"],
  force_optimize_projection_name: ["p"],
  preferred_optimize_projection_name: ["p"],
  insert_deduplication_token: ["token"],
  log_comment: ["x"],
  workload: ["x"],
  parallel_replicas_custom_key: ["cityHash64(id)", "1"],
  cluster_for_parallel_replicas: ["default", "none"],
  bool_true_representation: ["yes", "0"],
  bool_false_representation: ["no", "1"],
  format_csv_null_representation: ["null"],
  format_tsv_null_representation: ["null"],
  format_schema: ["x:y"],
  format_avro_schema_registry_url: ["http://localhost"],
  count_distinct_implementation: ["uniq", "uniqHLL12"],
  promql_table: ["x"],
  polyglot_dialect: ["mysql"],
  format_csv_delimiter: [";"],
  format_custom_field_delimiter: ["|"],
  query_cache_tag: ["x"],
  local_filesystem_read_method: ["read", "pread", "mmap", "io_uring"],
  remote_filesystem_read_method: ["read"],
  function_implementation: ["default", "avx2"],
  default_table_engine: ["Memory", "Null", "ReplacingMergeTree"],
  network_compression_method: ["ZSTD", "NONE"],
  temporary_files_codec: ["NONE", "ZSTD"],
  short_circuit_function_evaluation: ["disable", "force_enable"],
  join_algorithm: ["partial_merge", "grace_hash", "full_sorting_merge", "prefer_partial_merge", "hash"],
  schema_inference_hints: ["project_id String, metadata String"],
  column_names_for_schema_inference: ["a,b"],
  distributed_ddl_output_mode: ["none"],
  set_operation_mode: ["ALL", "DISTINCT"],
};

/** Settings that are not tried, with the reason. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  readonly: "a read-only user is refused, which has a test of its own",
  profile: "it is what a user has",
  max_memory_usage_for_user: "the embedded engine has one user, who also runs the queries of the comparison",
  send_logs_level: "over HTTP a server sends no logs; the embedded engine writes them to the screen",
};

/** Values that slow a run down for as long as one likes are tried as an administrator would set them. */
export const THROTTLES: Readonly<Record<string, readonly string[]>> = {
  ast_fuzzer_runs: ["1"],
  merge_tree_storage_snapshot_sleep_ms: ["1", "3"],
  // With 0 the embedded engine only reports its progress.
  interactive_delay: ["1", "9223372036854775807"],
  max_execution_speed: ["0", "1000000"],
  max_execution_speed_bytes: ["0", "1000000000"],
  max_network_bandwidth: ["0", "100000000"],
  max_network_bandwidth_for_user: ["0", "100000000"],
  max_network_bandwidth_for_all_users: ["0", "100000000"],
  max_local_read_bandwidth: ["0", "100000000"],
  max_local_write_bandwidth: ["0", "100000000"],
  max_remote_read_network_bandwidth: ["0", "100000000"],
  max_remote_write_network_bandwidth: ["0", "100000000"],
};

/** Profiles of several settings, and profiles that need a scene to bite: what single values do not show. */
export const COMBINATIONS: readonly Trial[] = [
  ...partial("read_overflow_mode", "break", { max_rows_to_read: "10" }),
  ...partial("read_overflow_mode", "break", { max_bytes_to_read: "1000" }),
  ...partial("read_overflow_mode_leaf", "break", { max_rows_to_read_leaf: "10" }),
  ...partial("result_overflow_mode", "break", { max_result_rows: "10", max_block_size: "5" }),
  ...partial("result_overflow_mode", "break", { max_result_bytes: "1000", max_block_size: "5" }),
  ...partial("timeout_overflow_mode", "break", { max_execution_time: "0.005" }),
  ...partial("timeout_overflow_mode_leaf", "break", { max_execution_time_leaf: "0.005" }),
  ...partial("timeout_overflow_mode", "break", {
    min_execution_speed: "1000000000",
    timeout_before_checking_execution_speed: "0",
  }),
  ...partial("group_by_overflow_mode", "break", { max_rows_to_group_by: "3" }),
  ...partial("group_by_overflow_mode", "any", { max_rows_to_group_by: "3" }),
  ...partial("sort_overflow_mode", "break", { max_rows_to_sort: "3" }),
  ...partial("distinct_overflow_mode", "break", { max_rows_in_distinct: "3" }),
  ...partial("set_overflow_mode", "break", { max_rows_in_set: "1" }),
  ...partial("join_overflow_mode", "break", { max_rows_in_join: "1" }),
  ...partial("transfer_overflow_mode", "break", { max_rows_to_transfer: "1" }),
  trialOf({ limit: "7", offset: "3" }),
  trialOf({ async_insert: "1", wait_for_async_insert: "0" }),
  trialOf({
    async_insert: "1",
    wait_for_async_insert: "0",
    async_insert_busy_timeout_max_ms: "60000",
    async_insert_busy_timeout_min_ms: "60000",
    async_insert_use_adaptive_busy_timeout: "0",
  }),
  trialOf({
    enable_parallel_replicas: "1",
    max_parallel_replicas: "3",
    cluster_for_parallel_replicas: "default",
    parallel_replicas_for_non_replicated_merge_tree: "1",
  }),
  trialOf({ parallel_replicas_count: "2", parallel_replica_offset: "1" }),
  trialOf({
    use_query_cache: "1",
    query_cache_nondeterministic_function_handling: "save",
    query_cache_system_table_handling: "save",
    query_cache_min_query_runs: "0",
  }),
  trialOf({ input_format_allow_errors_num: "1000", input_format_allow_errors_ratio: "1" }),
  trialOf({ empty_result_for_aggregation_by_empty_set: "1", aggregate_functions_null_for_empty: "1" }),
  trialOf({ materialized_views_ignore_errors: "1" }, "failing view"),
  trialOf({ materialized_views_ignore_errors: "0" }, "failing view"),
  trialOf({}, "deduplicating target"),
  trialOf({ deduplicate_insert: "enable" }, "deduplicating target"),
  trialOf({ insert_deduplication_token: "token" }, "deduplicating target"),
  trialOf({ deduplicate_blocks_in_dependent_materialized_views: "1" }, "deduplicating target"),
  trialOf({ insert_deduplicate: "1" }, "deduplicating target"),
  trialOf({ deduplicate_insert_select: "enable_even_for_bad_queries" }, "deduplicating target"),
  trialOf({ async_insert: "1", async_insert_deduplicate: "1" }, "deduplicating target"),
];

/** What is always tried, whatever the sample: outcomes of runs that were once wrong. */
export const KNOWN_TROUBLE: readonly string[] = [
  "apply_deleted_mask=0",
  "rewrite_in_to_join=1",
  "final=1",
  "compatibility=24.3",
  "compatibility=24.8",
  "compatibility=25.3",
  "allow_simdjson=0",
  "json_type_escape_dots_in_keys=1",
  "input_format_json_try_infer_numbers_from_strings=1",
  "input_format_try_infer_variants=1",
  "additional_table_filters={'observations':'cityHash64(id) % 2 = 0'}",
  "materialized_views_ignore_errors=1 (failing view)",
  "force_primary_key=1",
  "force_index_by_date=1",
  "input_format_native_decode_types_in_binary_format=1",
  "inject_random_order_for_select_without_order_by=1",
  "force_optimize_projection=1",
  "enable_parallel_replicas=1",
  "limit=3",
  "max_bytes_in_set=1",
  "max_columns_to_read=3",
  "(deduplicating target)",
  "max_execution_time=0.005 timeout_overflow_mode=break",
  "additional_table_filters={'system.settings':'0'}",
  "show_create_query_identifier_quoting_rule=always",
  "dialect=kusto",
  "use_query_cache=1",
  "implicit_transaction=1",
];

/** The same of runs whose rows the server enriches, and of comparisons: of queries with a join. */
export const COMPARISON_TROUBLE: readonly string[] = [
  "allow_experimental_analyzer=0",
  "query_plan_optimize_join_order_algorithm=dphyp",
  "max_bytes_in_join=1",
  "join_use_nulls=1",
  "join_algorithm=partial_merge",
  "join_default_strictness=",
  "single_join_prefer_left_table=0",
  "deduplicate_insert_select=force_enable",
];

/** A limit whose mode ends a query early. */
function partial(
  mode: string,
  value: string,
  limit: Readonly<Record<string, string>>,
  scene: Scene = "plain",
): Trial[] {
  return [trialOf({ ...limit, [mode]: value }, scene)];
}
