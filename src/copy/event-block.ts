import { Scratch } from "../bytes/scratch.ts";
import { varintBytes, writeVarint } from "../bytes/varint.ts";
import type { Block } from "../clickhouse/native/block.ts";
import { encodeColumnHeader } from "../clickhouse/native/parser.ts";
import { appendColumn, type BlockSlice } from "../clickhouse/native/slice.ts";
import type { ResolvedMapping } from "../mapping/resolve-mapping.ts";
import { DerivedColumns } from "./enrich/derived-columns.ts";
import type { RowEnricher } from "./enrich/row-enricher.ts";

/** Smaller parts are joined, since each part becomes a write to the socket. */
const SMALL_PART_BYTES = 128 * 1024;

/** Batches of large rows are cut by size, since two of them are in memory per pipeline: at 16 MiB for a batch size of 10,000 rows. */
const MIN_CUT_BYTES = 16 * 2 ** 20;
const CUT_BYTES_PER_ROW = MIN_CUT_BYTES / 10_000;
const NEARLY = 0.5;

/** A batch of events that becomes one Native block, so that it is stored whole or not at all. Reused after `reset`. */
export class EventBlock {
  readonly #copiedColumns: number;
  readonly #derived: DerivedColumns;
  readonly #slices: BlockSlice[] = [];
  readonly #scratch: Scratch;
  rows = 0;
  withoutTrace = 0;
  /** Approximate size of the rows on the wire. */
  sourceBytes = 0;

  /**
   * `takesJsonPaths`: the server reads JSON columns that come as paths. Event blocks may share a `scratch` where only one of them
   * has a body at a time.
   */
  constructor(mapping: ResolvedMapping, takesJsonPaths: boolean, scratch = new Scratch()) {
    this.#scratch = scratch;
    this.#copiedColumns = mapping.copied.length;
    this.#derived = new DerivedColumns(mapping.derived, takesJsonPaths, mapping.keptJson);
  }

  /**
   * Adds the slice's rows until the batch is full, and returns the row after the last one added. The block must not change until
   * `reset`.
   */
  take({ block, from, to }: BlockSlice, maxRows: number, enricher: RowEnricher): number {
    const end = Math.min(to, from + maxRows - this.rows);
    this.add({ block, from, to: end }, enricher);
    return end;
  }

  /** Adds a slice, whatever its size. */
  add(slice: BlockSlice, enricher: RowEnricher): void {
    const rows = slice.to - slice.from;
    this.withoutTrace += enricher.append(slice, this.#derived);
    this.#slices.push(slice);
    if (!this.#derived.isExact) {
      this.#derived.restartAsText();
      for (const again of this.#slices) enricher.append(again, this.#derived);
    }
    this.rows += rows;
    this.sourceBytes += Math.round((blockBytes(slice.block) * rows) / slice.block.rows);
  }

  /** Whether the batch is full. */
  isFull(maxRows: number): boolean {
    const cutBytes = Math.max(MIN_CUT_BYTES, maxRows * CUT_BYTES_PER_ROW);
    return this.rows >= maxRows || this.sourceBytes >= cutBytes;
  }

  /** Whether to send the batch at the end of a block: one that begins and ends with blocks keeps fewer of them in memory. */
  isNearlyFull(maxRows: number): boolean {
    return this.isFull(NEARLY * maxRows);
  }

  /** The sources of the rows, in order. */
  get slices(): readonly BlockSlice[] {
    return this.#slices;
  }

  /** Returns the batch as the body of an INSERT, valid until `reset` or the next call on an event block with the same scratch. */
  body(): Buffer[] {
    const scratch = this.#scratch;
    scratch.reset();
    const first = this.#slices[0];
    if (first === undefined) return [];
    const columns = this.#copiedColumns + this.#derived.count;
    const head = scratch.take(varintBytes(columns) + varintBytes(this.rows));
    writeVarint(head, writeVarint(head, 0, columns), this.rows);
    const parts: Buffer[] = [head];
    for (let i = 0; i < this.#copiedColumns; i++) {
      const { name, type } = first.block.schema.columns[i] as { name: string; type: string };
      parts.push(encodeColumnHeader(name, type));
      appendColumn(parts, this.#slices, i, scratch);
    }
    this.#derived.appendTo(parts, this.rows);
    return joinSmall(parts, scratch);
  }

  reset(): void {
    this.#slices.length = 0;
    this.#derived.reset();
    this.rows = 0;
    this.withoutTrace = 0;
    this.sourceBytes = 0;
  }
}

function blockBytes({ at }: Block): number {
  return at.end[at.streams - 1] as number;
}

/** Joins runs of small parts to larger ones. */
function joinSmall(parts: readonly Buffer[], scratch: Scratch): Buffer[] {
  const joined: Buffer[] = [];
  for (let i = 0; i < parts.length; ) {
    const part = parts[i] as Buffer;
    let end = i;
    let bytes = 0;
    while (end < parts.length && bytes + (parts[end] as Buffer).length < SMALL_PART_BYTES) {
      bytes += (parts[end] as Buffer).length;
      end++;
    }
    if (end - i < 2) {
      if (part.length > 0) joined.push(part);
      i++;
      continue;
    }
    const run = scratch.take(bytes);
    for (let at = 0; i < end; i++) at += (parts[i] as Buffer).copy(run, at);
    if (bytes > 0) joined.push(run);
  }
  return joined;
}
