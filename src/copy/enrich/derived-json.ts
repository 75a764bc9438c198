import { ByteWriter } from "../../bytes/byte-writer.ts";
import type { KeyDictionary } from "../../clickhouse/native/key-dictionary.ts";
import { JsonColumn } from "../../json/json-column.ts";
import type { Embed } from "../../json/json-string.ts";
import { JSON_COLUMN_KEEPS, type KeptJson } from "../../json/kept-json.ts";
import { JsonObjectBuilder } from "../../json/object-builder.ts";

/** Version of the JSON column's serialization that says: the values follow as strings. */
const AS_STRINGS = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
/** Once a batch could not be sent as paths, so many batches at most go as text before paths are tried again. */
const MAX_TEXT_BATCHES = 64;

/** How a target takes JSON: as a column of type String; as one of type JSON, text that the server parses, or also paths. */
export type JsonTarget = "string" | "text" | "paths";

/** The numbers that a JSON column gives to the keys of a dictionary, each looked up once. */
export class KeyPaths {
  #paths = new Int32Array(64);
  #stamps = new Int32Array(64);
  #stamp = 0;

  /** Forgets all numbers; as many keys may follow. */
  begin(keys: number): void {
    this.#stamp++;
    if (keys <= this.#paths.length) return;
    this.#paths = new Int32Array(keys * 2);
    this.#stamps = new Int32Array(keys * 2);
  }

  numberOf(key: number, keys: KeyDictionary, column: JsonColumn): number {
    if (this.#stamps[key] === this.#stamp) return this.#paths[key] as number;
    const path = column.pathOf(keys.bytes, keys.textStart[key] as number, keys.end[key] as number);
    this.#stamps[key] = this.#stamp;
    this.#paths[key] = path;
    return path;
  }
}

/**
 * The merged metadata of a batch as one JSON column: in paths where that is exact, which spares the server a parser's
 * work, else as text.
 */
export class DerivedJson {
  readonly #target: JsonTarget;
  /** Which values may be embedded as JSON. */
  readonly kept: KeptJson;
  readonly #column = new JsonColumn();
  readonly #members = new JsonObjectBuilder();
  /** The object of the row at hand, and those of all rows. */
  readonly #object = new ByteWriter(4096);
  readonly #text = new ByteWriter();
  #isText: boolean;
  /** Batches that go as text before paths are tried again, now and after the next failure. */
  #textBatches = 0;
  #nextTextBatches = 1;
  #rows = 0;

  constructor(target: JsonTarget, kept: KeptJson = JSON_COLUMN_KEEPS) {
    this.#target = target;
    this.kept = kept;
    this.#isText = target !== "paths";
  }

  /** False once a value was added that paths may not hold exactly: the batch must be derived again, as text. */
  get isExact(): boolean {
    return this.#isText || this.#column.isExact;
  }

  /** Begins the next batch; one without rows says nothing about those that follow. */
  reset(): void {
    if (this.#target === "paths" && this.#rows > 0) {
      if (!this.#isText) this.#nextTextBatches = 1;
      this.#isText = this.#textBatches > 0;
      if (this.#isText) this.#textBatches--;
    }
    this.#clear();
  }

  /** Begins the batch at hand again, as text. */
  restartAsText(): void {
    this.#isText = true;
    this.#textBatches = this.#nextTextBatches;
    this.#nextTextBatches = Math.min(this.#nextTextBatches * 2, MAX_TEXT_BATCHES);
    this.#clear();
  }

  /**
   * Adds a member to the row at hand: a key of a dictionary, with its number for the column and whether it needs escaping,
   * and its value `bytes[start, end)` with the way it is embedded. The bytes must stay until the row ends.
   */
  add(
    keys: KeyDictionary,
    key: number,
    paths: KeyPaths,
    keyNeedsEscape: boolean,
    bytes: Buffer,
    start: number,
    end: number,
    embed: Embed,
  ): void {
    if (!this.#isText) {
      this.#column.add(paths.numberOf(key, keys, this.#column), bytes, start, end, embed);
      return;
    }
    const keyStart = keys.textStart[key] as number;
    const keyEnd = keys.end[key] as number;
    this.#members.add(keys.bytes, keyStart, keyEnd, keyNeedsEscape, bytes, start, end, embed);
  }

  /** Adds a member whose key is text that needs no escaping. */
  addNamed(name: Buffer, bytes: Buffer, start: number, end: number, embed: Embed): void {
    if (this.#isText) this.#members.add(name, 0, name.length, false, bytes, start, end, embed);
    else this.#column.add(this.#column.pathOf(name, 0, name.length), bytes, start, end, embed);
  }

  endRow(): void {
    this.#rows++;
    if (!this.#isText) {
      this.#column.endRow();
      return;
    }
    const object = this.#object;
    object.reset();
    this.#members.write(object);
    this.#members.reset();
    this.#text.varint(object.length);
    this.#text.copy(object.bytes, 0, object.length);
  }

  /** Appends the column's data to the parts of a block of `rows` rows. */
  appendTo(parts: Buffer[], rows: number): void {
    if (!this.#isText) {
      this.#column.appendTo(parts, rows);
      return;
    }
    if (this.#target !== "string") parts.push(AS_STRINGS);
    parts.push(this.#text.written());
  }

  #clear(): void {
    this.#rows = 0;
    this.#column.reset();
    this.#members.reset();
    this.#text.reset();
  }
}
