import type { QuerySettings, Server } from "./server.ts";

/**
 * Settings for every query: what a user's profile may change is put back to what this program relies on. All of them are
 * known to the oldest supported server.
 */
export const QUERY_SETTINGS: QuerySettings = {
  // A limit whose mode is "break" ends a query early and calls that a success.
  read_overflow_mode: "throw",
  read_overflow_mode_leaf: "throw",
  result_overflow_mode: "throw",
  timeout_overflow_mode: "throw",
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
  // The sorting and partition keys were computed in the server's own time zone.
  session_timezone: "",
};

/** Settings for reading rows. */
const READ_SETTINGS: QuerySettings = {
  ...QUERY_SETTINGS,
  timeout_overflow_mode_leaf: "throw",
  // Types are read by their names, values as plain columns.
  output_format_native_encode_types_in_binary_format: 0,
  // A reader that is gone must not keep the server busy.
  cancel_http_readonly_queries_on_client_close: 1,
  // A key lies in one partition, so the partitions' parts need not be merged with each other.
  do_not_merge_across_partitions_select_final: 1,
};

/** Settings for inserts. */
const WRITE_SETTINGS: QuerySettings = {
  ...QUERY_SETTINGS,
  timeout_overflow_mode_leaf: "throw",
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

/** Blocks are at most this large where rows are: bounds the memory of both sides. */
const PREFERRED_BLOCK_BYTES = 8 * 2 ** 20;

/** The settings that the server knows; an unknown one would fail the query with code 115. */
export async function knownSettings(server: Server, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const rows = await server.allRows({ sql: "SELECT name FROM system.settings" }, signal);
  return new Set(rows.map(([name]) => String(name)));
}

/** Settings for a query of blocks of at most `blockRows` rows, as far as the server knows them. */
export function readSettings(known: ReadonlySet<string>, blockRows: number): QuerySettings {
  const blocks = { max_block_size: blockRows, preferred_block_size_bytes: PREFERRED_BLOCK_BYTES };
  return only(known, { ...READ_SETTINGS, ...blocks });
}

/** Settings for an insert, as far as the server knows them. */
export function writeSettings(known: ReadonlySet<string>): QuerySettings {
  // Errors of views and of the commit must be in the status, and the rows written in the header. A parameter of the HTTP
  // interface, which system.settings does not list.
  return { ...only(known, WRITE_SETTINGS), wait_end_of_query: 1 };
}

function only(known: ReadonlySet<string>, settings: QuerySettings): QuerySettings {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => known.has(name)));
}
