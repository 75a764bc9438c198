import type { ByteWriter } from "../../bytes/byte-writer.ts";
import { readVarint } from "../../bytes/varint.ts";
import { type Block, type BlockSchema, streamOf } from "../../clickhouse/native/block.ts";
import type { ColumnStream } from "../../clickhouse/native/layout.ts";
import type { BlockSlice } from "../../clickhouse/native/slice.ts";
import { HELPER } from "../../mapping/mapped-column.ts";
import type { ResolvedMapping } from "../../mapping/resolve-mapping.ts";
import { FLAG_BOOKMARKED, FLAG_PUBLIC, KEY_BYTES, RECORD } from "../../traces/record.ts";
import type { TraceStore } from "../../traces/store.ts";
import type { DerivedColumns } from "./derived-columns.ts";
import { MetadataMerger, type MetadataStreams, type TraceMetadata } from "./metadata-merger.ts";
import { NO_ENRICHMENT, type RowEnricher } from "./row-enricher.ts";

/** Where the helper columns of an observations query are among the streams of its blocks; -1: not selected. */
interface HelperStreams {
  readonly traceKey: number;
  readonly metadata: MetadataStreams;
  readonly ownVersion: number;
  readonly hasOwnVersion: number;
  readonly parentIsEmpty: number;
}

/**
 * Makes the columns that come from the trace, for the rows of one block after another. A block may be given in several
 * slices; it is fastest when they follow each other.
 */
export class Enricher implements RowEnricher {
  readonly #store: TraceStore;
  /** The helpers of the mapping. */
  readonly #selected: ReadonlySet<string>;
  /** Null where the target takes the metadata of observations as it is. */
  readonly #merger: MetadataMerger | null;
  readonly #cursor = { position: 0 };
  readonly #trace: TraceMetadata = {
    segment: Buffer.alloc(0),
    position: 0,
    end: 0,
    flags: 0,
    keyNumbers: new Int32Array(0),
  };
  /** The traces' addresses of the rows at hand. */
  #addresses = new Int32Array(0);
  #schema: BlockSchema | null = null;
  #streams: HelperStreams | null = null;
  #block: Block | null = null;
  /** The row that follows those that were given last, and where its own version stands. */
  #nextRow = 0;
  #ownVersionAt = 0;
  #hasOwnVersionAt = 0;
  #withoutTrace = 0;

  constructor(store: TraceStore, { helpers, tagsBecomeMetadata }: ResolvedMapping) {
    this.#store = store;
    this.#selected = new Set(helpers.map(({ name }) => name));
    this.#merger = this.#selected.has(HELPER.metadata) ? new MetadataMerger(store, tagsBecomeMetadata) : null;
  }

  /** Appends what the slice's rows get of their traces to `out`, and returns how many of them have no trace. */
  append(slice: BlockSlice, out: DerivedColumns): number {
    if (slice.block !== this.#block || slice.from < this.#nextRow)
      this.#begin(slice.block, out.json !== null);
    if (slice.from > this.#nextRow) this.#passTo(slice.from);
    this.#nextRow = slice.to;
    this.#merger?.beginBatch();
    const { bytes } = slice.block;
    const { traceKey, parentIsEmpty } = this.#streams as HelperStreams;
    const keysStart = slice.block.at.start[traceKey] as number;
    const parentsStart = parentIsEmpty < 0 ? -1 : (slice.block.at.start[parentIsEmpty] as number);
    this.#withoutTrace = 0;
    const rows = slice.to - slice.from;
    if (this.#addresses.length < rows) this.#addresses = new Int32Array(rows * 2);
    this.#store.findAll(bytes, keysStart + slice.from * KEY_BYTES, rows, this.#addresses);
    for (let row = slice.from; row < slice.to; row++) {
      const address = this.#addresses[row - slice.from] as number;
      if (address === 0) {
        this.#appendAbsent(row, out);
        this.#merger?.append(row, null, out);
        continue;
      }
      const segment = this.#store.segmentOf(address);
      const record = this.#store.positionOf(address);
      const flags = segment[record + RECORD.flags] as number;
      this.#trace.position = this.#appendTrace(row, segment, record + RECORD.attributes, out);
      this.#trace.segment = segment;
      this.#trace.end = record + segment.readUInt32LE(record + RECORD.bytes);
      this.#trace.flags = flags;
      this.#trace.keyNumbers = this.#store.keyNumbersOf(address);
      out.public?.byte((flags & FLAG_PUBLIC) === 0 ? 0 : 1);
      out.bookmarked?.byte((flags & FLAG_BOOKMARKED) !== 0 && bytes[parentsStart + row] === 1 ? 1 : 0);
      this.#merger?.append(row, this.#trace, out);
    }
    return this.#withoutTrace;
  }

  #begin(block: Block, withJson: boolean): void {
    if (block.schema !== this.#schema) {
      this.#streams = helperStreams(block.schema, this.#selected);
      this.#schema = block.schema;
    }
    const { metadata, ownVersion, hasOwnVersion } = this.#streams as HelperStreams;
    this.#merger?.begin(block, metadata, withJson);
    this.#hasOwnVersionAt = hasOwnVersion < 0 ? 0 : (block.at.start[hasOwnVersion] as number);
    this.#ownVersionAt = ownVersion < 0 ? 0 : (block.at.start[ownVersion] as number);
    this.#block = block;
    this.#nextRow = 0;
  }

  #passTo(row: number): void {
    const { bytes } = this.#block as Block;
    if (this.#ownVersionAt > 0) {
      for (let i = this.#nextRow; i < row; i++)
        this.#ownVersionAt = this.#stringEnd(bytes, this.#ownVersionAt);
    }
    this.#merger?.passTo(row);
  }

  /** Appends the attributes of a trace and returns where its tags begin; they are appended too. */
  #appendTrace(row: number, segment: Buffer, attributes: number, out: DerivedColumns): number {
    let at = attributes;
    at = this.#appendString(segment, at, out.userId);
    at = this.#appendString(segment, at, out.sessionId);
    at = this.#appendString(segment, at, out.release);
    const versionEnd = this.#stringEnd(segment, at);
    if (out.version !== null && !this.#appendOwnVersion(row, out.version))
      out.version.copy(segment, at, versionEnd);
    at = this.#appendString(segment, versionEnd, out.traceName);
    if (out.tags !== null) this.#appendTags(segment, at, out.tags);
    return at;
  }

  #appendTags(segment: Buffer, at: number, out: NonNullable<DerivedColumns["tags"]>): void {
    this.#cursor.position = at;
    const count = readVarint(segment, this.#cursor);
    const start = this.#cursor.position;
    let end = start;
    for (let i = 0; i < count; i++) end = this.#stringEnd(segment, end);
    out.elements.copy(segment, start, end);
    out.endRow(count);
  }

  #appendAbsent(row: number, out: DerivedColumns): void {
    this.#withoutTrace++;
    out.userId?.byte(0);
    out.sessionId?.byte(0);
    out.release?.byte(0);
    out.traceName?.byte(0);
    if (out.version !== null && !this.#appendOwnVersion(row, out.version)) out.version.byte(0);
    out.tags?.endRow(0);
    out.public?.byte(0);
    out.bookmarked?.byte(0);
  }

  /** Appends the observation's own version and returns true, unless the trace's stands in for it. */
  #appendOwnVersion(row: number, out: ByteWriter): boolean {
    const { bytes } = this.#block as Block;
    const start = this.#ownVersionAt;
    this.#ownVersionAt = this.#stringEnd(bytes, start);
    if (bytes[this.#hasOwnVersionAt + row] === 0) return false;
    out.copy(bytes, start, this.#ownVersionAt);
    return true;
  }

  #appendString(segment: Buffer, at: number, out: ByteWriter | null): number {
    const end = this.#stringEnd(segment, at);
    out?.copy(segment, at, end);
    return end;
  }

  #stringEnd(bytes: Buffer, at: number): number {
    const length = bytes[at] as number;
    if (length < 128) return at + 1 + length;
    this.#cursor.position = at;
    const long = readVarint(bytes, this.#cursor);
    return this.#cursor.position + long;
  }
}

/** Throws a TypeError where a block lacks a helper that was selected. */
function helperStreams(schema: BlockSchema, selected: ReadonlySet<string>): HelperStreams {
  const stream = (name: string, kind: ColumnStream["kind"]): number =>
    selected.has(name) ? streamOf(schema, name, kind) : -1;
  return {
    traceKey: streamOf(schema, HELPER.traceKey, "fixed"),
    metadata: {
      offsets: stream(HELPER.metadata, "offsets"),
      keys: stream(HELPER.metadata, "lowCardinality"),
      values: stream(HELPER.metadata, "strings"),
    },
    ownVersion: stream(HELPER.ownVersion, "strings"),
    hasOwnVersion: stream(HELPER.hasOwnVersion, "fixed"),
    parentIsEmpty: stream(HELPER.parentIsEmpty, "fixed"),
  };
}

/** The enricher of the rows that a mapping makes. */
export function enricherFor(mapping: ResolvedMapping, store: TraceStore): RowEnricher {
  return mapping.derived.length > 0 ? new Enricher(store, mapping) : NO_ENRICHMENT;
}
