import { ByteWriter } from "../../bytes/byte-writer.ts";
import { readVarint } from "../../bytes/varint.ts";
import type { Block } from "../../clickhouse/native/block.ts";
import { KeyDictionary } from "../../clickhouse/native/key-dictionary.ts";
import { EMBED, type Embed, embedOf, needsEscape, writeJsonString } from "../../json/json-string.ts";
import { ENTRY, FLAG_OTEL, FLAG_TRACE_TAGS } from "../../traces/record.ts";
import type { TraceStore } from "../../traces/store.ts";
import { type DerivedColumns, SOURCE_INDEX } from "./derived-columns.ts";
import { type DerivedJson, KeyPaths } from "./derived-json.ts";

const RESOURCE_ATTRIBUTES = Buffer.from("resourceAttributes");
const TRACE_TAGS = Buffer.from("trace_tags");
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
/** Rows are numbered up to here before the notes of rows are cleared and the numbers start again. */
const MAX_ROW = 2 ** 31 - 1;

/** Where the streams of the observations' metadata, a Map(LowCardinality(String), String), are in a block. */
export interface MetadataStreams {
  readonly offsets: number;
  readonly keys: number;
  readonly values: number;
}

/** The part of a trace's record that holds its tags and metadata. */
export interface TraceMetadata {
  segment: Buffer;
  /** Where the number of tags stands, and where the record ends. */
  position: number;
  end: number;
  flags: number;
  /** The numbers among the store's keys of the keys that the record names. */
  keyNumbers: Int32Array;
}

/**
 * Merges the metadata of observations and their traces, row by row in the order of the block: the observation's entries,
 * then those of the trace whose key the observation does not have. In the JSON object the first entry of a key counts.
 *
 * Keys are compared once per block: each has a number among the block's keys, and another among the keys of all traces.
 */
export class MetadataMerger {
  readonly #tagsBecomeMetadata: boolean;
  /** The keys of the block at hand, and those of all traces. */
  readonly #blockKeys = new KeyDictionary();
  readonly #traceKeys: KeyDictionary;
  /** The number among the traces' keys of each of the block's; -1 where no trace has it. */
  #traceKeyOf: Int32Array = new Int32Array(64);
  /** The last row whose observation had each key, by both numbers. */
  #rowOfBlockKey: Int32Array = new Int32Array(64);
  readonly #rowOfTraceKey: Int32Array;
  #row = 0;
  /** Whether keys need escaping in JSON. */
  #blockKeyNeedsEscape: Uint8Array = new Uint8Array(64);
  readonly #traceKeyNeedsEscape: Uint8Array;
  /** The entries of the trace at hand: their keys, -1 where the observation has the key; and their `ENTRY` bits. */
  #entryKeys: Int32Array = new Int32Array(64);
  #entryBits: Uint8Array = new Uint8Array(64);
  /** What the JSON column of the batch at hand calls the keys. */
  readonly #blockPaths = new KeyPaths();
  readonly #tracePaths = new KeyPaths();
  #block: Block | null = null;
  #streams: MetadataStreams = { offsets: 0, keys: 0, values: 0 };
  /** The next entry of the block and where its value stands. */
  #entry = 0;
  #valueAt = 0;
  #otelKey = -1;
  #tagsKey = -1;
  readonly #cursor = { position: 0 };

  constructor(store: TraceStore, tagsBecomeMetadata: boolean) {
    this.#tagsBecomeMetadata = tagsBecomeMetadata;
    this.#traceKeys = store.keys;
    this.#rowOfTraceKey = new Int32Array(store.keys.count);
    this.#traceKeyNeedsEscape = escapeFlags(store.keys, new Uint8Array(store.keys.count));
  }

  /** Turns to the first row of a block. */
  begin(block: Block, streams: MetadataStreams, withJson: boolean): void {
    const keys = this.#blockKeys;
    this.#block = block;
    this.#streams = streams;
    this.#entry = 0;
    this.#valueAt = block.at.start[streams.values] as number;
    keys.loadStream(block, streams.keys);
    if (this.#traceKeyOf.length < keys.count) {
      this.#traceKeyOf = new Int32Array(keys.count * 2);
      this.#rowOfBlockKey = new Int32Array(keys.count * 2);
      this.#blockKeyNeedsEscape = new Uint8Array(keys.count * 2);
    }
    for (let key = 0; key < keys.count; key++) {
      const { textStart, end } = keys;
      this.#traceKeyOf[key] = this.#traceKeys.find(block.bytes, textStart[key] as number, end[key] as number);
    }
    if (withJson) escapeFlags(keys, this.#blockKeyNeedsEscape);
    if (this.#row > MAX_ROW - block.rows) {
      this.#row = 0;
      this.#rowOfTraceKey.fill(0);
    }
    this.#rowOfBlockKey.fill(0);
    this.#otelKey = keys.find(RESOURCE_ATTRIBUTES, 0, RESOURCE_ATTRIBUTES.length);
    this.#tagsKey = keys.find(TRACE_TAGS, 0, TRACE_TAGS.length);
  }

  /** Passes over the rows of the block before row `row`. */
  passTo(row: number): void {
    const block = this.#block as Block;
    const entriesAt = block.at.start[this.#streams.offsets] as number;
    const end = row === 0 ? 0 : block.bytes.readUInt32LE(entriesAt + (row - 1) * 8);
    const cursor = this.#cursor;
    cursor.position = this.#valueAt;
    for (; this.#entry < end; this.#entry++) {
      const length = readVarint(block.bytes, cursor);
      cursor.position += length;
    }
    this.#valueAt = cursor.position;
  }

  /** What follows may go into another batch, whose JSON column has other numbers for the keys. */
  beginBatch(): void {
    this.#blockPaths.begin(this.#blockKeys.count);
    this.#tracePaths.begin(this.#traceKeys.count);
  }

  /** Appends the merged metadata of the next row, whose number in the block is `row`; `trace` is null when it has none. */
  append(row: number, trace: TraceMetadata | null, out: DerivedColumns): void {
    this.#row++;
    let count = this.#appendOwn(row, out);
    let isOtel = this.#has(this.#otelKey);
    if (trace !== null) {
      count += this.#appendTrace(trace, out);
      isOtel ||= (trace.flags & FLAG_OTEL) !== 0;
    }
    out.names?.endRow(count);
    out.values?.endRow(count);
    out.source?.byte(isOtel ? SOURCE_INDEX.otel : SOURCE_INDEX.ingestionApi);
    out.json?.endRow();
  }

  /** Whether the observation at hand has this one of the block's keys. */
  #has(key: number): boolean {
    return key >= 0 && this.#rowOfBlockKey[key] === this.#row;
  }

  #appendOwn(row: number, out: DerivedColumns): number {
    const block = this.#block as Block;
    const { bytes } = block;
    const keys = this.#blockKeys;
    const names = out.names?.elements;
    const end = bytes.readUInt32LE((block.at.start[this.#streams.offsets] as number) + row * 8);
    const first = this.#entry;
    const valuesStart = this.#valueAt;
    const cursor = this.#cursor;
    let at = valuesStart;
    for (let entry = first; entry < end; entry++) {
      const key = keys.keyAt(block, this.#streams.keys, entry);
      names?.copy(bytes, keys.wireStart[key] as number, keys.end[key] as number);
      cursor.position = at;
      const length = readVarint(bytes, cursor);
      at = cursor.position + length;
      if (this.#rowOfBlockKey[key] === this.#row) continue;
      this.#rowOfBlockKey[key] = this.#row;
      const traceKey = this.#traceKeyOf[key] as number;
      if (traceKey >= 0) this.#rowOfTraceKey[traceKey] = this.#row;
      if (out.json === null) continue;
      const escapeKey = this.#blockKeyNeedsEscape[key] === 1;
      const embed = embedOf(bytes, cursor.position, at, out.json.kept);
      out.json.add(keys, key, this.#blockPaths, escapeKey, bytes, cursor.position, at, embed);
    }
    out.values?.elements.copy(bytes, valuesStart, at);
    this.#entry = end;
    this.#valueAt = at;
    return end - first;
  }

  #appendTrace(trace: TraceMetadata, out: DerivedColumns): number {
    const { segment } = trace;
    const cursor = this.#cursor;
    cursor.position = trace.position;
    const tagCount = readVarint(segment, cursor);
    const tagsStart = cursor.position;
    for (let i = 0; i < tagCount; i++) {
      const length = readVarint(segment, cursor);
      cursor.position += length;
    }
    const entries = readVarint(segment, cursor);
    const kept = entries > 0 ? this.#appendEntries(trace, entries, out) : 0;
    const hasTagsEntry = this.#has(this.#tagsKey) || (trace.flags & FLAG_TRACE_TAGS) !== 0;
    if (!this.#tagsBecomeMetadata || tagCount === 0 || hasTagsEntry) return kept;
    this.#appendTags(segment, tagsStart, tagCount, out);
    return kept + 1;
  }

  /** Appends the trace's entries, whose codes begin at the cursor, as far as the observation does not have their keys. */
  #appendEntries(trace: TraceMetadata, entries: number, out: DerivedColumns): number {
    const { segment } = trace;
    const kept = this.#appendKeptNames(trace, entries, out.names?.elements);
    const valuesStart = this.#cursor.position;
    if (kept === entries) out.values?.elements.copy(segment, valuesStart, trace.end);
    if (kept > 0 && (kept < entries || out.json !== null)) {
      this.#appendKeptValues(segment, entries, kept < entries ? out.values?.elements : undefined, out.json);
    }
    return kept;
  }

  /** Reads the entries' codes, appends the keys that the observation does not have, and counts them. */
  #appendKeptNames(trace: TraceMetadata, entries: number, names: ByteWriter | undefined): number {
    if (this.#entryKeys.length < entries) {
      this.#entryKeys = new Int32Array(entries * 2);
      this.#entryBits = new Uint8Array(entries * 2);
    }
    const { segment, keyNumbers } = trace;
    const { bytes, wireStart, end } = this.#traceKeys;
    let kept = 0;
    for (let i = 0; i < entries; i++) {
      const code = readVarint(segment, this.#cursor);
      const key = keyNumbers[Math.floor(code / ENTRY.key)] as number;
      this.#entryBits[i] = code % ENTRY.key;
      if (this.#rowOfTraceKey[key] === this.#row) {
        this.#entryKeys[i] = -1;
        continue;
      }
      this.#entryKeys[i] = key;
      names?.copy(bytes, wireStart[key] as number, end[key] as number);
      kept++;
    }
    return kept;
  }

  /** Goes over the entries' values, which begin at the cursor, for those that are kept. */
  #appendKeptValues(
    segment: Buffer,
    entries: number,
    values: ByteWriter | undefined,
    json: DerivedJson | null,
  ): void {
    const keys = this.#traceKeys;
    const cursor = this.#cursor;
    for (let i = 0; i < entries; i++) {
      const valueStart = cursor.position;
      const length = readVarint(segment, cursor);
      const textStart = cursor.position;
      const valueEnd = textStart + length;
      cursor.position = valueEnd;
      const key = this.#entryKeys[i] as number;
      if (key < 0) continue;
      values?.copy(segment, valueStart, valueEnd);
      const bits = this.#entryBits[i] as number;
      if (json === null || (bits & ENTRY.repeatedKey) !== 0) continue;
      const escapeKey = this.#traceKeyNeedsEscape[key] === 1;
      const embed = (bits & ENTRY.embed) as Embed;
      json.add(keys, key, this.#tracePaths, escapeKey, segment, textStart, valueEnd, embed);
    }
  }

  /** Appends the entry `trace_tags`, the tags as a JSON array; rare enough to allocate. */
  #appendTags(segment: Buffer, tagsStart: number, tagCount: number, out: DerivedColumns): void {
    const array = new ByteWriter(256);
    array.byte(OPEN_BRACKET);
    const cursor = { position: tagsStart };
    for (let i = 0; i < tagCount; i++) {
      if (i > 0) array.byte(COMMA);
      const length = readVarint(segment, cursor);
      writeJsonString(array, segment, cursor.position, cursor.position + length);
      cursor.position += length;
    }
    array.byte(CLOSE_BRACKET);
    appendString(out.names?.elements, TRACE_TAGS, TRACE_TAGS.length);
    appendString(out.values?.elements, array.bytes, array.length);
    out.json?.addNamed(TRACE_TAGS, array.bytes, 0, array.length, EMBED.asJson);
  }
}

function appendString(out: ByteWriter | undefined, bytes: Buffer, length: number): void {
  out?.varint(length);
  out?.copy(bytes, 0, length);
}

/** Notes in `flags`, for each key, whether it needs escaping in JSON. */
function escapeFlags({ bytes, count, textStart, end }: KeyDictionary, flags: Uint8Array): Uint8Array {
  for (let key = 0; key < count; key++) {
    flags[key] = needsEscape(bytes, textStart[key] as number, end[key] as number) ? 1 : 0;
  }
  return flags;
}
