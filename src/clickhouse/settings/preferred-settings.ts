import { COMPRESSION_LEVEL } from "../compression.ts";
import type { Compression } from "../connection.ts";
import type { QuerySettings } from "../statement.ts";

/** Settings that make a read cheaper, for the server and for this program; dropped where the user may not change them. */
export function preferredReadSettings(blockRows: number, compression: Compression): QuerySettings {
  return {
    // A reader that is gone must not keep the server busy.
    cancel_http_readonly_queries_on_client_close: 1,
    // A key lies in one partition, so the partitions' parts need not be merged with each other.
    do_not_merge_across_partitions_select_final: 1,
    preferred_block_size_bytes: 2 * 2 ** 20,
    max_block_size: blockRows,
    ...compressionSettings(compression),
  };
}

/**
 * Settings for the enrichment on the server; dropped where the user may not change them. The join must hold the traces, whatever the
 * server has learned of the sizes of both sides: observations have the large columns.
 */
export const ENRICHMENT_SETTINGS: QuerySettings = {
  query_plan_join_swap_table: "false",
  // A key lies in one partition, so the partitions' parts need not be merged with each other.
  do_not_merge_across_partitions_select_final: 1,
};

/** Above the size of an INSERT on the wire: columns in the server's memory are somewhat larger. */
const MAX_PART_BYTES = 384 * 2 ** 20;

/**
 * Settings that have the server squash the blocks of an INSERT of `rows` rows to one part; dropped where the user may not change
 * them.
 */
export function preferredInsertSettings(rows: number): QuerySettings {
  return {
    min_insert_block_size_rows: rows,
    min_insert_block_size_bytes: MAX_PART_BYTES,
    // With more, each writes a part of its own.
    max_insert_threads: 1,
  };
}

/** Settings that have responses compressed where a request accepts that. */
function compressionSettings(compression: Compression): QuerySettings {
  if (compression === "none") return {};
  // In spite of its name it is the level of every kind of compression.
  return { enable_http_compression: 1, http_zlib_compression_level: COMPRESSION_LEVEL[compression] };
}
