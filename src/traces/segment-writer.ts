import { ByteWriter } from "../bytes/byte-writer.ts";
import { readVarint } from "../bytes/varint.ts";
import { type Block, streamOf } from "../clickhouse/native/block.ts";
import { KeyDictionary } from "../clickhouse/native/key-dictionary.ts";
import type { ColumnStream } from "../clickhouse/native/layout.ts";
import { EMBED, embedOf } from "../json/json-string.ts";
import { JSON_COLUMN_KEEPS, type KeptJson } from "../json/kept-json.ts";
import { KeyCollector } from "./key-collector.ts";
import { TRACE_HELPER } from "./queries.ts";
import {
  ENTRY,
  FLAG_BOOKMARKED,
  FLAG_OTEL,
  FLAG_PUBLIC,
  FLAG_TRACE_TAGS,
  KEY_BYTES,
  RECORD,
} from "./record.ts";
import { ADDRESS_UNIT_BYTES, paddedBytes, SEGMENT_BYTES, type WrittenTraces } from "./store.ts";

/** A position of a writer; going back to it drops what was written since. */
export interface WriterMark {
  readonly segments: number;
  readonly position: number;
  readonly records: number;
}

/** The attributes that are strings, in the order of the record. */
const STRINGS = ["user_id", "session_id", "release", "version", "name"] as const;
/** Repeats the span attributes and can be huge. */
const LEFT_OUT_KEY = Buffer.from("attributes");
const RESOURCE_ATTRIBUTES = Buffer.from("resourceAttributes");
const TRACE_TAGS = Buffer.from("trace_tags");

/** Writes blocks of traces as records into shared segments of its own. One thread's. */
export class SegmentWriter {
  readonly #withJson: boolean;
  readonly #kept: KeptJson;
  readonly #segments: { segment: SharedArrayBuffer; bytes: Buffer; records: number }[] = [];
  readonly #record = new ByteWriter();
  readonly #codes = new ByteWriter(1024);
  readonly #values = new ByteWriter();
  readonly #keys = new KeyCollector();
  readonly #dictionary = new KeyDictionary();
  /** The collected number of each key of the dictionary; -1: not looked up yet. */
  #numberOfKey: Int32Array = new Int32Array(64);
  /** The last row that had each key of the dictionary, counted from 1. */
  #rowOfKey: Int32Array = new Int32Array(64);
  #position = 0;
  readonly #cursor = { position: 0 };

  /** `withJson`: the target has a JSON column, which keeps `kept`, so each value's way into it is found out once, here. */
  constructor(withJson: boolean, kept: KeptJson = JSON_COLUMN_KEEPS) {
    this.#withJson = withJson;
    this.#kept = kept;
  }

  /** Everything written so far. */
  written(): WrittenTraces {
    return {
      segments: this.#segments.map(({ segment, records }) => ({ segment, records })),
      keys: this.#keys.share(),
    };
  }

  mark(): WriterMark {
    const records = this.#segments.at(-1)?.records ?? 0;
    return { segments: this.#segments.length, position: this.#position, records };
  }

  /** Drops what was written since the mark. */
  rollBack(mark: WriterMark): void {
    this.#segments.length = mark.segments;
    this.#position = mark.position;
    const last = this.#segments.at(-1);
    if (last !== undefined) last.records = mark.records;
  }

  /** Adds the traces of a block; returns the bytes that their records take. */
  append(block: Block): number {
    const columns = new TraceBlock(block);
    this.#dictionary.loadStream(block, columns.metadataKeys);
    const keyCount = this.#dictionary.count;
    if (this.#rowOfKey.length < keyCount) {
      this.#rowOfKey = new Int32Array(keyCount * 2);
      this.#numberOfKey = new Int32Array(keyCount * 2);
    }
    this.#rowOfKey.fill(0);
    this.#numberOfKey.fill(-1);
    const leftOut = this.#dictionary.find(LEFT_OUT_KEY, 0, LEFT_OUT_KEY.length);
    const otel = this.#dictionary.find(RESOURCE_ATTRIBUTES, 0, RESOURCE_ATTRIBUTES.length);
    const tags = this.#dictionary.find(TRACE_TAGS, 0, TRACE_TAGS.length);
    let bytes = 0;
    for (let row = 0; row < block.rows; row++) {
      this.#record.reset();
      this.#record.reserve(RECORD.attributes);
      this.#record.length = RECORD.attributes;
      for (let i = 0; i < STRINGS.length; i++) this.#appendString(columns, i);
      this.#appendTags(columns, row);
      this.#appendMetadata(columns, row, leftOut);
      let flags = columns.flagsOf(row);
      if (otel >= 0 && this.#rowOfKey[otel] === row + 1) flags |= FLAG_OTEL;
      if (tags >= 0 && this.#rowOfKey[tags] === row + 1) flags |= FLAG_TRACE_TAGS;
      bytes += this.#store(columns, row, flags);
    }
    return bytes;
  }

  #appendString(columns: TraceBlock, i: number): void {
    const start = columns.stringAt[i] as number;
    const end = columns.stringEnd(start);
    this.#record.copy(columns.block.bytes, start, end);
    columns.stringAt[i] = end;
  }

  #appendTags(columns: TraceBlock, row: number): void {
    const count = columns.tagsEnd(row) - columns.nextTag;
    const start = columns.tagAt;
    for (let i = 0; i < count; i++) columns.tagAt = columns.stringEnd(columns.tagAt);
    columns.nextTag += count;
    this.#record.varint(count);
    this.#record.copy(columns.block.bytes, start, columns.tagAt);
  }

  #appendMetadata(columns: TraceBlock, row: number, leftOut: number): void {
    const { bytes } = columns.block;
    const end = columns.entriesEnd(row);
    let entries = 0;
    this.#codes.reset();
    this.#values.reset();
    for (; columns.nextEntry < end; columns.nextEntry++) {
      const key = this.#dictionary.keyAt(columns.block, columns.metadataKeys, columns.nextEntry);
      this.#cursor.position = columns.valueAt;
      const length = readVarint(bytes, this.#cursor);
      const text = this.#cursor.position;
      const valueStart = columns.valueAt;
      columns.valueAt = text + length;
      if (key === leftOut) continue;
      const embed = this.#withJson ? embedOf(bytes, text, columns.valueAt, this.#kept) : EMBED.asPlainString;
      const repeated = this.#rowOfKey[key] === row + 1 ? ENTRY.repeatedKey : 0;
      this.#rowOfKey[key] = row + 1;
      this.#codes.varint(this.#numberOf(key) * ENTRY.key + (embed | repeated));
      this.#values.copy(bytes, valueStart, columns.valueAt);
      entries++;
    }
    this.#record.varint(entries);
    this.#record.copy(this.#codes.bytes, 0, this.#codes.length);
    this.#record.copy(this.#values.bytes, 0, this.#values.length);
  }

  /** The number under which a key of the block's dictionary is collected. */
  #numberOf(key: number): number {
    const known = this.#numberOfKey[key] as number;
    if (known >= 0) return known;
    const { bytes, textStart, end } = this.#dictionary;
    const number = this.#keys.numberOf(bytes, textStart[key] as number, end[key] as number);
    this.#numberOfKey[key] = number;
    return number;
  }

  /** Completes the header of the current record and puts it into a segment. */
  #store(columns: TraceBlock, row: number, flags: number): number {
    const record = this.#record;
    const size = paddedBytes(record.length);
    const { bytes } = columns.block;
    const header = record.bytes;
    header.writeUInt32LE(record.length, RECORD.bytes);
    bytes.copy(header, RECORD.date, columns.dates + row * 2, columns.dates + row * 2 + 2);
    header[RECORD.flags] = flags;
    header[RECORD.flags + 1] = 0;
    bytes.copy(header, RECORD.key, columns.keys + row * KEY_BYTES, columns.keys + (row + 1) * KEY_BYTES);
    bytes.copy(header, RECORD.eventTs, columns.eventTs + row * 8, columns.eventTs + row * 8 + 8);
    const target = this.#room(size);
    record.bytes.copy(target.bytes, this.#position, 0, record.length);
    this.#position += size;
    target.records++;
    return size;
  }

  #room(bytes: number): { bytes: Buffer; records: number } {
    const last = this.#segments.at(-1);
    // An address tells no beginning beyond a segment's regular size, whatever room a larger record has left there.
    const canBegin = last !== undefined && this.#position < SEGMENT_BYTES;
    if (canBegin && this.#position + bytes <= last.bytes.length) return last;
    // Address 0 means "none", so nothing begins at the first unit.
    this.#position = ADDRESS_UNIT_BYTES;
    const size = Math.max(1, Math.ceil((bytes + ADDRESS_UNIT_BYTES) / SEGMENT_BYTES)) * SEGMENT_BYTES;
    const segment = new SharedArrayBuffer(size);
    const added = { segment, bytes: Buffer.from(segment), records: 0 };
    this.#segments.push(added);
    return added;
  }
}

/** The columns of a block of traces, each with the current position. */
class TraceBlock {
  readonly block: Block;
  readonly keys: number;
  readonly dates: number;
  readonly eventTs: number;
  /** Index of the stream of the metadata's keys. */
  readonly metadataKeys: number;
  readonly stringAt: number[];
  nextTag = 0;
  tagAt: number;
  nextEntry = 0;
  valueAt: number;
  readonly #tagOffsets: number;
  readonly #entryOffsets: number;
  readonly #public: number;
  readonly #bookmarked: number;
  readonly #cursor = { position: 0 };

  constructor(block: Block) {
    const { schema, at } = block;
    const start = (name: string, kind: ColumnStream["kind"]): number =>
      at.start[streamOf(schema, name, kind)] as number;
    this.block = block;
    this.keys = start(TRACE_HELPER.key, "fixed");
    this.dates = start(TRACE_HELPER.date, "fixed");
    this.eventTs = start(TRACE_HELPER.eventTs, "fixed");
    this.stringAt = STRINGS.map((name) => start(name, "strings"));
    this.#tagOffsets = start("tags", "offsets");
    this.tagAt = start("tags", "strings");
    this.#entryOffsets = start("metadata", "offsets");
    this.metadataKeys = streamOf(schema, "metadata", "lowCardinality");
    this.valueAt = start("metadata", "strings");
    this.#public = start("public", "fixed");
    this.#bookmarked = start("bookmarked", "fixed");
  }

  tagsEnd(row: number): number {
    return this.block.bytes.readUInt32LE(this.#tagOffsets + row * 8);
  }

  entriesEnd(row: number): number {
    return this.block.bytes.readUInt32LE(this.#entryOffsets + row * 8);
  }

  flagsOf(row: number): number {
    const isPublic = this.block.bytes[this.#public + row] !== 0;
    const isBookmarked = this.block.bytes[this.#bookmarked + row] !== 0;
    return (isPublic ? FLAG_PUBLIC : 0) | (isBookmarked ? FLAG_BOOKMARKED : 0);
  }

  stringEnd(start: number): number {
    this.#cursor.position = start;
    const length = readVarint(this.block.bytes, this.#cursor);
    return this.#cursor.position + length;
  }
}
