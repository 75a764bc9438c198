import type { BufferPool } from "../bytes/buffer-pool.ts";
import type { Block } from "../clickhouse/native/block.ts";
import { selectBlocks } from "../clickhouse/select-blocks.ts";
import type { Server } from "../clickhouse/server.ts";
import { identifier } from "../clickhouse/sql.ts";
import type { ResolvedMapping } from "../mapping/resolve-mapping.ts";
import type { Page } from "../plan/pages.ts";
import { rangeCondition, type SourceKey } from "../plan/source-key.ts";

/** A page to copy. */
export interface PageToCopy extends Page {
  /** No row of it was read before; milliseconds since 1970, by the server's clock. */
  readonly readSinceMs: number;
}

/** Reads the rows of one kind, page by page. */
export interface PageReader {
  /**
   * The blocks of a page, as they arrive; each block's buffer belongs to the caller. Throws as `selectBlocks` does: blocks yielded
   * before are valid, but not complete.
   */
  blocks(page: PageToCopy, signal: AbortSignal): AsyncIterable<Block>;
}

/** The rows that pages consist of. */
export interface PageRows {
  readonly mapping: ResolvedMapping;
  /** The quoted table. */
  readonly table: string;
  readonly key: SourceKey;
}

/** Reads the pages of a month, newest versions only. Takes the buffers of blocks from `buffers`. */
export function monthReader(
  server: Server,
  { mapping, table, key }: PageRows,
  partition: string,
  buffers: BufferPool,
): PageReader {
  const { alias } = key;
  return {
    blocks: ({ range }, signal) => {
      const condition = rangeCondition(key, range);
      const sql = `SELECT ${selectList(mapping)}
      FROM ${table} AS ${alias} FINAL WHERE ${alias}._partition_id = {partition:String} AND ${condition.sql}`;
      const params = { ...condition.params, partition };
      return selectBlocks(server, { kind: "pageRead", sql, params }, buffers, signal);
    },
  };
}

/** The SELECT list of a mapping: what is copied, then the helpers. */
export function selectList({ copied, helpers }: ResolvedMapping): string {
  return [...copied, ...helpers].map(({ name, sql }) => `${sql} AS ${identifier(name)}`).join(", ");
}
