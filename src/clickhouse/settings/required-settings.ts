/**
 * The required settings: whatever can change which rows are read, how they look on the wire, or what is stored, is sent
 * with each statement, so that a user's profile cannot decide it. Where a profile fixes such a setting to another value
 * the run is refused. Settings that only make a run faster are in `preferred-settings.ts`.
 *
 * `bun run test:settings` shows that the list is complete for the engine at hand.
 */

/** The kinds of statements that a run sends. */
export const STATEMENT_KINDS = ["query", "count", "pageRead", "traceRead", "insert"] as const;

/**
 * `query`: a small query about the server, a table or a plan. `count`: rows of a key range. `pageRead` and `traceRead`: rows in
 * Native format. `insert`: an INSERT in Native format.
 */
export type StatementKind = (typeof STATEMENT_KINDS)[number];

/** The default of the server at hand; versions differ, and each stores what its own default says. */
export const SERVER_DEFAULT = Symbol("the server's default");

/** A setting, or all settings whose name begins with a prefix, that statements need at one value. */
export interface RequiredSetting {
  readonly name: string;
  /** `name` is the beginning of the names. */
  readonly isPrefix: boolean;
  readonly value: string | typeof SERVER_DEFAULT;
  readonly statements: readonly StatementKind[];
  readonly reason: string;
}

/** A name, or a prefix that ends with `*`; its value; why it is required. */
type Row = readonly [name: string, value: RequiredSetting["value"], reason: string];

const PARTIAL = "a limit whose mode is `break` ends a query early and calls it a success";
const LIMIT = "a limit of rows cuts every response";
const FILTER = "a filter hides rows of every table";

/**
 * Required from the very first query on, by every statement. Every supported server knows these: a name that the server
 * does not know would fail the query.
 */
const FIRST: readonly Row[] = [
  ["compatibility", "", "defaults of an old version give JSON values other types"],
  ["dialect", "clickhouse", "the statements are ClickHouse's SQL"],
  ["limit", "0", LIMIT],
  ["offset", "0", LIMIT],
  ["additional_table_filters", "{}", FILTER],
  ["additional_result_filter", "", FILTER],
  ["final", "0", "FINAL is written where it is meant; the query for deletions reads all versions"],
  ["apply_deleted_mask", "1", "rows that a lightweight DELETE removed would come back"],
  ["session_timezone", "", "the sorting and partition keys were computed in the server's own time zone"],
  ["implicit_transaction", "0", "engines of the tables take part in no transaction"],
  ["use_query_cache", "0", "a cached response is an old response"],
  ["extremes", "0", "the extremes would follow the rows"],
  ["empty_result_for_aggregation_by_empty_set", "0", "an empty month has 0 rows and not no number"],
  ["aggregate_functions_null_for_empty", "0", "an empty sum is 0"],
  ["cast_keep_nullable", "0", "the types on the wire would become Nullable"],
  ["prefer_column_name_to_alias", "0", "an alias may have a column's name"],
  ["force_index_by_date", "0", "small queries read tables without that index"],
  ["force_primary_key", "0", "some queries, such as those by partition, use another index"],
  ["read_overflow_mode", "throw", PARTIAL],
  ["read_overflow_mode_leaf", "throw", PARTIAL],
  ["result_overflow_mode", "throw", PARTIAL],
  ["timeout_overflow_mode", "throw", PARTIAL],
  ["timeout_overflow_mode_leaf", "throw", PARTIAL],
  ["group_by_overflow_mode", "throw", PARTIAL],
  ["sort_overflow_mode", "throw", PARTIAL],
  ["distinct_overflow_mode", "throw", PARTIAL],
  ["set_overflow_mode", "throw", PARTIAL],
  ["join_overflow_mode", "throw", PARTIAL],
  ["transfer_overflow_mode", "throw", PARTIAL],
];

/** Required by every statement, where the server knows them. */
const EVERY: readonly Row[] = [
  ["discard_query_data", "0", "the response would be empty"],
  ["partial_result_on_first_cancel", "0", "a cancelled query would end as if it were complete"],
  ["http_write_exception_in_output_format", "0", "an exception would look like a row"],
  ["date_time_overflow_behavior", "ignore", "the sorting key was computed with it"],
  ["enable_extended_results_for_datetime_functions", "0", "the sorting key holds a Date"],
  ["enable_parallel_replicas", "0", "each replica may have other rows"],
  ["allow_experimental_parallel_reading_from_replicas", "0", "each replica may have other rows"],
  ["parallel_replicas_count", "0", "the query would read a share of the rows"],
  ["parallel_replica_offset", "0", "the query would read a share of the rows"],
  ["apply_patch_parts", "1", "rows that a lightweight UPDATE changed would be read as they were"],
  ["ignore_cold_parts_seconds", "0", "new parts would not be read"],
  ["skip_unavailable_shards", "0", "rows of a shard would be left out"],
  ["inject_random_order_for_select_without_order_by", "0", "it sorts whole responses, and refuses some"],
  ["force_optimize_projection", "0", "the tables need no projections"],
  ["force_optimize_projection_name", "", "the tables need no projections"],
  ["optimize_trivial_approximate_count_query", "0", "a count must be exact"],
  ["asterisk_*", SERVER_DEFAULT, "views that select all columns follow from it"],
  ["function_implementation", "", "not every function has every implementation"],
  ["implicit_table_at_top_level", "", "a SELECT without a table reads none"],
  ["make_distributed_plan", "0", "workers of a cluster may see other rows, and may not be there"],
  ["rewrite_in_to_join", "0", "an experiment: some of the statements fail with it, code 46"],
  ["use_skip_indexes_if_final_exact_mode", "1", "FINAL must see all versions that an index would skip"],
];

/** Required by queries whose response is read as JSON: small ones and counts. */
const JSON_RESPONSES: readonly Row[] = [
  ["output_format_json_*", SERVER_DEFAULT, "the response is read as rows of JSON"],
  ["output_format_float_precision", SERVER_DEFAULT, "some values of it fail every response"],
  ["date_time_output_format", "simple", "dates are read as YYYY-MM-DD"],
  ["bool_true_representation", "true", "the response is read as rows of JSON"],
  ["bool_false_representation", "false", "the response is read as rows of JSON"],
];

/** Required by what reads the shapes of tables. */
const SMALL_QUERIES: readonly Row[] = [
  ["describe_*", SERVER_DEFAULT, "DESCRIBE must list the columns, and nothing else"],
  ["print_pretty_type_names", SERVER_DEFAULT, "types are parsed"],
  ["show_create_query_identifier_quoting_rule", SERVER_DEFAULT, "keys of tables are compared as text"],
  ["show_create_query_identifier_quoting_style", SERVER_DEFAULT, "keys of tables are compared as text"],
];

/** Required by reads in Native format. */
const NATIVE_READS: readonly Row[] = [
  ["output_format_native_*", SERVER_DEFAULT, "types come by their names, and columns in their plain form"],
  ["allow_special_serialization_kinds_in_output_formats", SERVER_DEFAULT, "columns come in their plain form"],
  ["low_cardinality_allow_in_native_format", "1", "the types on the wire are those of the table"],
  ["enable_vertical_final", SERVER_DEFAULT, "types within JSON arrays follow from the order of rows"],
];

/** Required by statements in which the server joins rows with their traces. */
const JOINS: readonly Row[] = [
  ["join_use_nulls", "0", "what an observation without a trace holds would become NULL"],
];

/** Required by inserts. */
const INSERTS: readonly Row[] = [
  ["async_insert", "0", "the default since 26.2 acknowledges rows that are not stored yet"],
  ["insert_deduplicate", "0", "rows that were deleted from the target would not be stored again"],
  ["deduplicate_insert", "disable", "it overrides insert_deduplicate"],
  ["deduplicate_insert_select", "disable", "it overrides both where the server copies by itself"],
  ["insert_deduplication_token", "", "an insert with the token of another is dropped"],
  ["materialized_views_ignore_errors", "0", "tables behind views would lack rows"],
  ["input_format_skip_unknown_fields", "0", "an unknown column must be an error"],
  ["input_format_null_as_default", "0", "a null within a JSON array would take a value of other rows"],
  ["input_format_force_null_for_omitted_fields", "0", "omitted columns have their defaults"],
  ["input_format_defaults_for_omitted_fields", "1", "omitted columns have their defaults"],
  ["input_format_column_name_matching_mode", SERVER_DEFAULT, "columns are named as the table names them"],
  ["input_format_allow_errors_num", "0", "a row that cannot be read must be an error"],
  ["input_format_allow_errors_ratio", "0", "a row that cannot be read must be an error"],
  ["input_format_max_block_wait_ms", "0", "blocks are stored as they are sent, and not by time"],
  ["input_format_native_*", SERVER_DEFAULT, "types go by their names, and are converted"],
  ["format_binary_max_string_size", SERVER_DEFAULT, "a limit that real values exceed"],
  ["format_binary_max_array_size", SERVER_DEFAULT, "a limit that real values exceed"],
  ["input_format_try_infer_dates", "0", "text that looks like a date stays text"],
  ["input_format_try_infer_datetimes", "0", "text that looks like a time stays text"],
  ["input_format_try_infer_*", SERVER_DEFAULT, "types of JSON values follow from it"],
  ["input_format_json_read_bools_as_numbers", "0", "values of JSON columns stay as they are"],
  ["input_format_json_read_bools_as_strings", "0", "values of JSON columns stay as they are"],
  ["input_format_json_*", SERVER_DEFAULT, "values of JSON columns follow from it"],
  ["type_json_skip_duplicated_paths", "1", "of a repeated key the first entry counts"],
  ["type_json_*", SERVER_DEFAULT, "paths of JSON columns follow from it"],
  ["json_type_*", SERVER_DEFAULT, "paths of JSON columns follow from it"],
  ["schema_inference_*", SERVER_DEFAULT, "types of JSON values follow from it"],
  ["max_dynamic_subcolumns_in_json_type_parsing", SERVER_DEFAULT, "paths of JSON columns follow from it"],
  ["allow_simdjson", SERVER_DEFAULT, "the other parser reads some numbers differently"],
  ["precise_float_parsing", SERVER_DEFAULT, "the last digit of a number follows from it"],
  ["output_format_json_*", SERVER_DEFAULT, "computed columns of the target follow from it"],
  ["decimal_check_overflow", SERVER_DEFAULT, "computed columns of the target follow from it"],
];

/** The required settings of the very first query, and of every statement after it. */
export const FIRST_SETTINGS: readonly RequiredSetting[] = rows(FIRST, STATEMENT_KINDS);

/** All required settings. Where several speak of one name and statement, the first counts. */
export const REQUIRED_SETTINGS: readonly RequiredSetting[] = [
  ...FIRST_SETTINGS,
  ...rows(EVERY, STATEMENT_KINDS),
  ...rows(JSON_RESPONSES, ["query", "count"]),
  ...rows(SMALL_QUERIES, ["query"]),
  ...rows(NATIVE_READS, ["pageRead", "traceRead"]),
  ...rows(JOINS, ["count", "insert"]),
  ...rows(INSERTS, ["insert"]),
];

const NO_LIMIT = "0";

/** Limits that not every supported server knows. */
const NEWER_LIMITS: ReadonlySet<string> = new Set(["max_execution_time_leaf"]);

/**
 * Limits, and demands, that no single query of a run should meet: a query lasts as long as this program takes to read it, and a
 * month has as many rows as it has. They are lifted where the user may do so, and stay as they are where not: then the
 * server's own words say which one was met. Limits on memory, bandwidth and concurrency protect the server and stay.
 */
const LIMITS: readonly Row[] = [
  ["use_skip_indexes", "0", "force_data_skipping_indices fails queries, and has no value that says none"],
  ["max_rows_to_read", NO_LIMIT, "a month has as many rows as it has"],
  ["max_bytes_to_read", NO_LIMIT, "a month has as many bytes as it has"],
  ["max_rows_to_read_leaf", NO_LIMIT, "a month has as many rows as it has"],
  ["max_bytes_to_read_leaf", NO_LIMIT, "a month has as many bytes as it has"],
  ["max_result_rows", NO_LIMIT, "a page has as many rows as it has"],
  ["max_result_bytes", NO_LIMIT, "a page has as many bytes as it has"],
  ["max_execution_time", NO_LIMIT, "a query lasts as long as its response is read"],
  ["max_execution_time_leaf", NO_LIMIT, "a query lasts as long as its response is read"],
  ["max_estimated_execution_time", NO_LIMIT, "a query lasts as long as its response is read"],
  ["min_execution_speed", NO_LIMIT, "a query is as fast as its response is read"],
  ["min_execution_speed_bytes", NO_LIMIT, "a query is as fast as its response is read"],
  ["max_columns_to_read", NO_LIMIT, "a page reads some thirty columns"],
  ["max_temporary_columns", NO_LIMIT, "a page computes some twenty columns"],
  ["max_temporary_non_const_columns", NO_LIMIT, "a page computes some twenty columns"],
  ["max_rows_to_group_by", NO_LIMIT, "the plan groups by project, type and day"],
  ["max_rows_to_sort", NO_LIMIT, "the plan sorts its groups"],
  ["max_bytes_to_sort", NO_LIMIT, "the plan sorts its groups"],
  ["max_rows_in_distinct", NO_LIMIT, "the plan samples distinct ids"],
  ["max_bytes_in_distinct", NO_LIMIT, "the plan samples distinct ids"],
  ["max_rows_in_set", NO_LIMIT, "IN lists names"],
  ["max_bytes_in_set", NO_LIMIT, "IN lists names"],
  ["max_rows_in_join", NO_LIMIT, "the traces of a range are joined on the server"],
  ["max_bytes_in_join", NO_LIMIT, "the traces of a range are joined on the server"],
  ["max_rows_to_transfer", NO_LIMIT, "the plan samples distinct ids"],
  ["max_bytes_to_transfer", NO_LIMIT, "the plan samples distinct ids"],
  ["max_subquery_depth", SERVER_DEFAULT, "the statements are short"],
  ["max_analyze_depth", SERVER_DEFAULT, "the statements are short"],
  ["max_ast_depth", "1000", "the statements are short"],
  ["max_ast_elements", "50000", "the statements are short"],
  ["max_expanded_ast_elements", "500000", "the statements are short"],
  ["max_query_size", "262144", "the statements are short"],
  ["max_parser_depth", "1000", "the statements are short"],
  ["query_plan_max_optimizations_to_apply", "10000", "the plans are short"],
  ["allow_experimental_analyzer", SERVER_DEFAULT, "the old one takes no inequality in a join of traces"],
  ["join_algorithm", SERVER_DEFAULT, "not every one takes an inequality in a join of traces"],
  ["join_default_strictness", SERVER_DEFAULT, "joins say nothing of it"],
  ["single_join_prefer_left_table", SERVER_DEFAULT, "names of joined columns follow from it"],
  [
    "query_plan_optimize_join_order_algorithm",
    SERVER_DEFAULT,
    "not every one finds an order for a join of traces",
  ],
  ["max_parser_backtracks", SERVER_DEFAULT, "the statements are short"],
  ["lock_acquire_timeout", SERVER_DEFAULT, "a query waits for a table or a thread that is busy"],
  ["max_partitions_to_read", "-1", "planning reads one partition, and traces those beside it"],
  ["max_partitions_per_insert_block", NO_LIMIT, "rows of a run belong to one month"],
];

/** Limits that are lifted where the user may do so. */
export const LIFTED_LIMITS: readonly RequiredSetting[] = rows(LIMITS, STATEMENT_KINDS);

/**
 * Limits that the very first query lifts, by their values. Left out are those whose default is the server's to know: they
 * concern statements longer than the first.
 */
export const FIRST_LIMITS: readonly RequiredSetting[] = LIFTED_LIMITS.filter(
  ({ name, value }) => value !== SERVER_DEFAULT && !NEWER_LIMITS.has(name),
);

function rows(table: readonly Row[], statements: readonly StatementKind[]): RequiredSetting[] {
  return table.map(([name, value, reason]) => {
    const isPrefix = name.endsWith("*");
    return { name: isPrefix ? name.slice(0, -1) : name, isPrefix, value, statements, reason };
  });
}
