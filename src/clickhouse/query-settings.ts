import { COMPRESSION_LEVEL } from "./compression.ts";
import type { Compression } from "./connection.ts";
import type { QuerySettings, Server } from "./server.ts";
import { literal } from "./sql.ts";

/** Settings that guard every query against what a user's profile may have: what is lost to them is lost silently. */
const QUERY_GUARDS: QuerySettings = {
  // A limit whose mode is "break" ends a query early and calls that a success.
  read_overflow_mode: "throw",
  read_overflow_mode_leaf: "throw",
  result_overflow_mode: "throw",
  timeout_overflow_mode: "throw",
  timeout_overflow_mode_leaf: "throw",
  group_by_overflow_mode: "throw",
  sort_overflow_mode: "throw",
  distinct_overflow_mode: "throw",
  set_overflow_mode: "throw",
  join_overflow_mode: "throw",
  transfer_overflow_mode: "throw",
  limit: 0,
  offset: 0,
  // A cached answer is an old answer.
  use_query_cache: 0,
  // An empty month has 0 rows and not no number.
  empty_result_for_aggregation_by_empty_set: 0,
  // The sorting and partition keys were computed in the server's own time zone.
  session_timezone: "",
};

/** Settings that guard the reading of blocks: types come by their names. */
const READ_GUARDS: QuerySettings = {
  ...QUERY_GUARDS,
  output_format_native_encode_types_in_binary_format: 0,
};

/** Settings that make reading cheaper, for the server and for this program. */
const READ_WISHES: QuerySettings = {
  // A reader that is gone must not keep the server busy.
  cancel_http_readonly_queries_on_client_close: 1,
  // A key lies in one partition, so the partitions' parts need not be merged with each other.
  do_not_merge_across_partitions_select_final: 1,
  preferred_block_size_bytes: 2 * 2 ** 20,
};

/** Settings that have answers compressed where a request accepts that. */
function compressionWishes(compression: Compression): QuerySettings {
  if (compression === "none") return {};
  // In spite of its name it is the level of every kind of compression.
  return { enable_http_compression: 1, http_zlib_compression_level: COMPRESSION_LEVEL[compression] };
}

/** Settings that guard inserts. */
const WRITE_GUARDS: QuerySettings = {
  ...QUERY_GUARDS,
  // The default since 26.2 acknowledges rows that are not stored yet.
  async_insert: 0,
  // Repeating an insert must store it: what was deleted from the target since must come back, and the sorting key collapses the rest.
  insert_deduplicate: 0,
  // An unknown column is an error, not a loss.
  input_format_skip_unknown_fields: 0,
  // Values of JSON columns stay as they are; with the first one, a null within an array would become what other rows have there.
  input_format_null_as_default: 0,
  input_format_try_infer_dates: 0,
  input_format_try_infer_datetimes: 0,
  input_format_json_read_bools_as_numbers: 0,
  input_format_json_read_bools_as_strings: 0,
  type_json_skip_duplicated_paths: 1,
};

/**
 * How the server's JSON parser must be set for `JsonColumn` to give values the paths and types that the parser would give
 * them: all at their defaults. A server without such a setting does as the default says.
 */
const JSON_PARSING: QuerySettings = {
  allow_simdjson: 1,
  json_type_escape_dots_in_keys: 0,
  type_json_allow_duplicated_key_with_literal_and_nested_object: 1,
  input_format_json_try_infer_numbers_from_strings: 0,
  input_format_json_infer_incomplete_types_as_strings: 1,
  input_format_json_infer_array_of_dynamic_from_array_of_different_types: 1,
  schema_inference_make_columns_nullable: 3,
  max_dynamic_subcolumns_in_json_type_parsing: "auto",
};

/** What a server has of the settings that this program sends. */
export type KnownSettings = ReadonlyMap<string, { readonly value: string; readonly isChangeable: boolean }>;

/** Asks the server for the settings named here: one that it does not know would fail a query with code 115. */
export async function knownSettings(server: Server, signal: AbortSignal): Promise<KnownSettings> {
  const wishes = { ...READ_WISHES, ...compressionWishes("zstd"), max_block_size: 0 };
  const names = Object.keys({ ...READ_GUARDS, ...wishes, ...WRITE_GUARDS, ...JSON_PARSING });
  const sql = `SELECT name, value, readonly FROM system.settings WHERE name IN (${names.map(literal).join(", ")})`;
  const rows = await server.allRows({ sql }, signal);
  return new Map(
    rows.map(([name, value, readonly]) => [
      String(name),
      { value: String(value), isChangeable: Number(readonly) === 0 },
    ]),
  );
}

/** Settings for small queries. */
export function querySettings(known: KnownSettings): QuerySettings {
  return differing(known, QUERY_GUARDS);
}

/** Settings for a query of blocks of about `blockRows` rows. */
export function readSettings(
  known: KnownSettings,
  blockRows: number,
  compression: Compression = "none",
): QuerySettings {
  const wishes = differing(known, {
    ...READ_WISHES,
    ...compressionWishes(compression),
    max_block_size: blockRows,
  });
  const granted = Object.entries(wishes).filter(([name]) => known.get(name)?.isChangeable === true);
  return { ...Object.fromEntries(granted), ...differing(known, READ_GUARDS) };
}

/** Settings for an insert. */
export function writeSettings(known: KnownSettings): QuerySettings {
  // Errors of views and of the commit must be in the status, and the rows written in the header. A parameter of the HTTP
  // interface, which system.settings does not list.
  return { ...differing(known, WRITE_GUARDS), wait_end_of_query: 1 };
}

/** Whether the server's JSON parser is set as `JsonColumn` expects it. */
export function parsesJsonByDefault(known: KnownSettings): boolean {
  return Object.keys(differing(known, JSON_PARSING)).length === 0;
}

/**
 * Those settings that the server knows and has otherwise: a user who may not change settings is not refused for what is
 * as it should be, and is told by the server what is not.
 */
function differing(known: KnownSettings, settings: QuerySettings): QuerySettings {
  const entries = Object.entries(settings).filter(([name, value]) => {
    const current = known.get(name);
    return current !== undefined && current.value !== String(value);
  });
  return Object.fromEntries(entries);
}
