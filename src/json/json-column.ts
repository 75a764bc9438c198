import { ByteWriter } from "../bytes/byte-writer.ts";
import { VALUE } from "./json-column-path.ts";
import { isUtf8, JsonColumnPaths, TOP } from "./json-column-paths.ts";
import { JsonColumnValues } from "./json-column-values.ts";
import { EMBED, type Embed, writeJsonString } from "./json-string.ts";
import { appendText } from "./json-text.ts";

/** The serialization version of a JSON column that says: the list of paths, then a Dynamic column for each. */
const FLATTENED = 3;
/** A JSON column keeps 1024 paths apart by default (max_dynamic_paths); which those are is not requested from it. */
const MAX_PATHS = 512;

/**
 * A JSON column under construction, in the flattened serialization, which ClickHouse reads without parsing JSON (25.6 and
 * later, https://github.com/ClickHouse/ClickHouse/pull/80499). The values have the paths and types that the server's own
 * parser would give them; where that is not certain, the column says that it is not exact.
 *
 * The types are those that the parser infers with its default settings, and without dates and times.
 */
export class JsonColumn {
  readonly #paths = new JsonColumnPaths();
  readonly #values = new JsonColumnValues(this.#paths);
  readonly #repaired = new ByteWriter(4096);
  readonly #prefix = new ByteWriter(4096);
  /** The members of the row at hand whose keys have dots. */
  readonly #dotted: number[] = [];
  #row = 0;
  /** Identifies the current row among all rows, including those of earlier batches. */
  #stamp = 1;
  #isExact = true;

  /** Begins a new batch; the numbers that `pathOf` gave are void. */
  reset(): void {
    this.#paths.reset();
    this.#dotted.length = 0;
    this.#row = 0;
    this.#stamp++;
    this.#isExact = true;
  }

  /** False once something was added that the server's parser may store differently: the batch must then go as text. */
  get isExact(): boolean {
    return this.#isExact;
  }

  /** The number that stands for a top-level key in `add`, up to the next `reset`. */
  pathOf(bytes: Buffer, start: number, end: number): number {
    return this.#paths.member(TOP, bytes, start, end);
  }

  /** Adds the value `bytes[start, end)`, embedded as `embedOf` decides, to the current row. */
  add(path: number, bytes: Buffer, start: number, end: number, embed: Embed): void {
    if (!this.#isExact) return;
    if (path < 0 || !this.#paths.isPlain(path)) {
      this.#isExact = false;
      return;
    }
    if (this.#paths.prefixesOf(path) !== undefined) this.#dotted.push(path);
    if (embed === EMBED.asJson) {
      this.#isExact = this.#values.read(path, bytes, start, end, this.#row, this.#stamp);
    } else if (embed === EMBED.asPlainString || isUtf8(bytes, start, end)) {
      this.#addText(path, bytes, start, end);
    } else {
      const repaired = this.#repaired;
      repaired.reset();
      writeJsonString(repaired, bytes, start, end);
      this.#isExact = this.#values.read(path, repaired.bytes, 0, repaired.length, this.#row, this.#stamp);
    }
  }

  /** Ends the row at hand and begins the next. */
  endRow(): void {
    if (this.#paths.inUse.length > MAX_PATHS) this.#isExact = false;
    if (this.#dotted.length > 0) {
      if (this.#hasObjectAboveDotted()) this.#isExact = false;
      this.#dotted.length = 0;
    }
    this.#row++;
    this.#stamp++;
  }

  /** Appends the column's data, without name and type, to the parts of a block; to be called once per batch. */
  appendTo(parts: Buffer[], rows: number): void {
    if (!this.#isExact) throw new Error("A JSON column that is not exact must not be sent");
    if (rows !== this.#row) throw new Error(`A JSON column of ${this.#row} rows, not ${rows}`);
    const paths = this.#paths.inUse;
    const prefix = this.#prefix;
    prefix.reset();
    prefix.uint64(FLATTENED);
    prefix.varint(paths.length);
    for (const { path } of paths) {
      prefix.varint(path.length);
      prefix.copy(path, 0, path.length);
    }
    for (const path of paths) path.appendPrefix(prefix);
    parts.push(prefix.written());
    for (const path of paths) path.appendData(parts, rows);
  }

  #addText(member: number, bytes: Buffer, start: number, end: number): void {
    const path = this.#paths.pathOf(member);
    if (path.namedIn === this.#stamp) {
      this.#isExact = false;
      return;
    }
    path.namedIn = this.#stamp;
    appendText(path.scalarAt(this.#row, VALUE.string), bytes, start, end);
  }

  /** Whether the row has an object `a` beside a key `a.b`: where their paths meet, the object becomes a string. */
  #hasObjectAboveDotted(): boolean {
    for (const member of this.#dotted) {
      for (const prefix of this.#paths.prefixesOf(member) ?? []) {
        if (prefix < 0 || this.#paths.pathOf(prefix).objectIn === this.#stamp) return true;
      }
    }
    return false;
  }
}
