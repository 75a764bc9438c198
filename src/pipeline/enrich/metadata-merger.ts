import type { Block } from "../../clickhouse/native/block.ts";
import { ByteWriter } from "../../clickhouse/native/byte-writer.ts";
import { KeyDictionary } from "../../clickhouse/native/key-dictionary.ts";
import { readVarint } from "../../clickhouse/native/varint.ts";
import { EMBED, type Embed, embedOf, needsEscape, writeJsonString } from "../../json/json-string.ts";
import { JsonObjectBuilder } from "../../json/object-builder.ts";
import { ENTRY, FLAG_OTEL, FLAG_TRACE_TAGS } from "../../traces/record.ts";
import { type MadeColumns, SOURCE_INDEX } from "./made-columns.ts";

const RESOURCE_ATTRIBUTES = Buffer.from("resourceAttributes");
const TRACE_TAGS = Buffer.from("trace_tags");
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const MAX_COMPARED_KEYS = 16;

/** Where the steps of the observations' metadata, a Map(LowCardinality(String), String), are in a block. */
export interface MetadataSteps {
  readonly offsets: number;
  readonly keys: number;
  readonly values: number;
}

/** The part of a trace's record that holds its tags and metadata. */
export interface TraceMetadata {
  segment: Buffer;
  /** Where the number of tags stands. */
  position: number;
  flags: number;
}

/**
 * Merges the metadata of observations and their traces, row by row in the order of the block: the observation's entries,
 * then those of the trace whose key the observation does not have. In the JSON object the first entry of a key counts.
 */
export class MetadataMerger {
  readonly #tagsBecomeMetadata: boolean;
  readonly #dictionary = new KeyDictionary();
  /** The JSON object of the row at hand, and its text. */
  readonly #members = new JsonObjectBuilder();
  readonly #json = new ByteWriter(4096);
  /** Whether each key of the dictionary needs escaping in JSON. */
  #keyNeedsEscape: Uint8Array = new Uint8Array(64);
  /** The keys of the observation's entries at hand, by number; of repeated ones the first. */
  #ownKeys: Int32Array = new Int32Array(64);
  #ownKeyCount = 0;
  /** Which trace entries of the row at hand are kept. */
  #kept: Uint8Array = new Uint8Array(64);
  /** The last row that had each key of the dictionary. */
  #rowOfKey: Int32Array = new Int32Array(64);
  #row = 0;
  #block: Block | null = null;
  #steps: MetadataSteps = { offsets: 0, keys: 0, values: 0 };
  /** The next entry of the block and where its value stands. */
  #entry = 0;
  #valueAt = 0;
  #otelKey = -1;
  #tagsKey = -1;
  readonly #cursor = { position: 0 };

  constructor(tagsBecomeMetadata: boolean) {
    this.#tagsBecomeMetadata = tagsBecomeMetadata;
  }

  /** Turns to the first row of a block. */
  begin(block: Block, steps: MetadataSteps, withJson: boolean): void {
    this.#block = block;
    this.#steps = steps;
    this.#entry = 0;
    this.#valueAt = block.at.start[steps.values] as number;
    this.#dictionary.load(block, steps.keys);
    if (this.#rowOfKey.length < this.#dictionary.count) {
      this.#rowOfKey = new Int32Array(this.#dictionary.count * 2);
      this.#keyNeedsEscape = new Uint8Array(this.#rowOfKey.length);
    }
    if (withJson) this.#inspectKeys(block.bytes);
    this.#rowOfKey.fill(0);
    this.#row = 0;
    this.#otelKey = this.#dictionary.find(RESOURCE_ATTRIBUTES, 0, RESOURCE_ATTRIBUTES.length);
    this.#tagsKey = this.#dictionary.find(TRACE_TAGS, 0, TRACE_TAGS.length);
  }

  /** Appends the merged metadata of the next row, whose number in the block is `row`; `trace` is null when it has none. */
  append(row: number, trace: TraceMetadata | null, out: MadeColumns): void {
    this.#row++;
    this.#members.reset();
    let count = this.#appendOwn(row, out);
    let isOtel = this.#has(this.#otelKey);
    if (trace !== null) {
      count += this.#appendTrace(trace, out);
      isOtel ||= (trace.flags & FLAG_OTEL) !== 0;
    }
    out.names?.endRow(count);
    out.values?.endRow(count);
    out.source?.byte(isOtel ? SOURCE_INDEX.otel : SOURCE_INDEX.ingestionApi);
    if (out.json !== null) this.#appendJson(out.json);
  }

  #inspectKeys(bytes: Buffer): void {
    const { count, textStart, end } = this.#dictionary;
    for (let i = 0; i < count; i++) {
      this.#keyNeedsEscape[i] = needsEscape(bytes, textStart[i] as number, end[i] as number) ? 1 : 0;
    }
  }

  #has(key: number): boolean {
    return key >= 0 && this.#rowOfKey[key] === this.#row;
  }

  #appendOwn(row: number, out: MadeColumns): number {
    const block = this.#block as Block;
    const { bytes } = block;
    const dictionary = this.#dictionary;
    const end = bytes.readUInt32LE((block.at.start[this.#steps.offsets] as number) + row * 8);
    const first = this.#entry;
    const valuesStart = this.#valueAt;
    const cursor = this.#cursor;
    let at = valuesStart;
    if (this.#ownKeys.length < end - first) this.#ownKeys = new Int32Array((end - first) * 2);
    this.#ownKeyCount = 0;
    for (let entry = first; entry < end; entry++) {
      const key = dictionary.keyAt(block, this.#steps.keys, entry);
      out.names?.elements.copy(bytes, dictionary.wireStart[key] as number, dictionary.end[key] as number);
      cursor.position = at;
      const length = readVarint(bytes, cursor);
      at = cursor.position + length;
      if (this.#rowOfKey[key] === this.#row) continue;
      this.#rowOfKey[key] = this.#row;
      this.#ownKeys[this.#ownKeyCount++] = key;
      if (out.json === null) continue;
      const keyText = dictionary.textStart[key] as number;
      const keyEnd = dictionary.end[key] as number;
      const escapeKey = this.#keyNeedsEscape[key] === 1;
      const embed = embedOf(bytes, cursor.position, at);
      this.#members.add(bytes, keyText, keyEnd, escapeKey, bytes, cursor.position, at, embed);
    }
    out.values?.elements.copy(bytes, valuesStart, at);
    this.#entry = end;
    this.#valueAt = at;
    return end - first;
  }

  #appendTrace(trace: TraceMetadata, out: MadeColumns): number {
    const { segment } = trace;
    const cursor = this.#cursor;
    cursor.position = trace.position;
    const tagCount = readVarint(segment, cursor);
    const tagBytes = readVarint(segment, cursor);
    const tagsStart = cursor.position;
    cursor.position += tagBytes;
    let kept = 0;
    const entries = readVarint(segment, cursor);
    if (entries > 0) kept = this.#appendEntries(segment, cursor.position, entries, out);
    const hasTagsEntry = this.#has(this.#tagsKey) || (trace.flags & FLAG_TRACE_TAGS) !== 0;
    if (!this.#tagsBecomeMetadata || tagCount === 0 || hasTagsEntry) return kept;
    this.#appendTags(segment, tagsStart, tagCount, out);
    return kept + 1;
  }

  #appendEntries(segment: Buffer, entriesAt: number, entries: number, out: MadeColumns): number {
    const cursor = this.#cursor;
    cursor.position = entriesAt + entries;
    const keysBytes = readVarint(segment, cursor);
    const keysStart = cursor.position;
    const keysEnd = keysStart + keysBytes;
    cursor.position = keysEnd;
    const valuesBytes = readVarint(segment, cursor);
    const valuesStart = cursor.position;
    const kept = this.#markKept(segment, keysStart, entries);
    if (kept === entries) {
      out.names?.elements.copy(segment, keysStart, keysEnd);
      out.values?.elements.copy(segment, valuesStart, valuesStart + valuesBytes);
      if (out.json === null) return kept;
    }
    this.#appendKept(segment, entriesAt, entries, keysStart, valuesStart, kept === entries, out);
    return kept;
  }

  /** Marks the trace's entries whose keys the observation does not have, and counts them. */
  #markKept(segment: Buffer, keysStart: number, entries: number): number {
    if (this.#kept.length < entries) this.#kept = new Uint8Array(entries * 2);
    const kept = this.#kept;
    const cursor = this.#cursor;
    cursor.position = keysStart;
    let count = 0;
    for (let i = 0; i < entries; i++) {
      const length = readVarint(segment, cursor);
      const start = cursor.position;
      cursor.position = start + length;
      const isKept = !this.#isOwnKey(segment, start, start + length);
      kept[i] = isKept ? 1 : 0;
      if (isKept) count++;
    }
    return count;
  }

  /** Whether the observation has this key. Few keys are compared one by one, which is cheaper than to hash them. */
  #isOwnKey(segment: Buffer, start: number, end: number): boolean {
    if (this.#ownKeyCount > MAX_COMPARED_KEYS) return this.#has(this.#dictionary.find(segment, start, end));
    for (let i = 0; i < this.#ownKeyCount; i++) {
      if (this.#dictionary.isKey(this.#ownKeys[i] as number, segment, start, end)) return true;
    }
    return false;
  }

  #appendKept(
    segment: Buffer,
    kindsAt: number,
    entries: number,
    keysStart: number,
    valuesStart: number,
    isCopied: boolean,
    out: MadeColumns,
  ): void {
    const cursor = this.#cursor;
    let keyAt = keysStart;
    let valueAt = valuesStart;
    for (let i = 0; i < entries; i++) {
      cursor.position = keyAt;
      const keyLength = readVarint(segment, cursor);
      const keyText = cursor.position;
      const keyEnd = keyText + keyLength;
      cursor.position = valueAt;
      const valueLength = readVarint(segment, cursor);
      const valueText = cursor.position;
      const valueEnd = valueText + valueLength;
      if (this.#kept[i] === 1) {
        if (!isCopied) {
          out.names?.elements.copy(segment, keyAt, keyEnd);
          out.values?.elements.copy(segment, valueAt, valueEnd);
        }
        const bits = segment[kindsAt + i] as number;
        if (out.json !== null && (bits & ENTRY.repeatedKey) === 0) {
          const escapeKey = (bits & ENTRY.keyNeedsEscape) !== 0;
          const embed = (bits & ENTRY.embed) as Embed;
          this.#members.add(segment, keyText, keyEnd, escapeKey, segment, valueText, valueEnd, embed);
        }
      }
      keyAt = keyEnd;
      valueAt = valueEnd;
    }
  }

  /** Ends the row's JSON object and appends it. */
  #appendJson(out: ByteWriter): void {
    this.#json.reset();
    this.#members.write(this.#json);
    appendString(out, this.#json.bytes, this.#json.length);
  }

  /** Appends the entry `trace_tags`, the tags as a JSON array; rare enough to allocate. */
  #appendTags(segment: Buffer, tagsStart: number, tagCount: number, out: MadeColumns): void {
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
    if (out.json === null) return;
    this.#members.add(TRACE_TAGS, 0, TRACE_TAGS.length, false, array.bytes, 0, array.length, EMBED.asJson);
  }
}

function appendString(out: ByteWriter | undefined, bytes: Buffer, length: number): void {
  out?.varint(length);
  out?.copy(bytes, 0, length);
}
