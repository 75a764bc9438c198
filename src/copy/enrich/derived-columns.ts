import { ByteWriter } from "../../bytes/byte-writer.ts";
import { encodeColumnHeader, LOW_CARDINALITY_FLAGS } from "../../clickhouse/native/parser.ts";
import { JSON_COLUMN_KEEPS, type KeptJson } from "../../json/kept-json.ts";
import type { DerivedColumn } from "../../mapping/resolve-mapping.ts";
import { DerivedJson, type JsonTarget } from "./derived-json.ts";
import { ExperimentColumns } from "./experiment-columns.ts";
import { StringArrays } from "./string-arrays.ts";

/** Index of each value of the `source` column among the keys that `SOURCE_KEYS` writes. */
export const SOURCE_INDEX = { ingestionApi: 1, otel: 2 } as const;
const SOURCE_KEYS = Buffer.from("\0\x0dingestion-api\x04otel", "latin1");
const SOURCE_KEY_COUNT = 3;

type DerivedData = ByteWriter | StringArrays | DerivedJson | ExperimentColumns;

/** The columns of a batch that a worker makes, in wire form; null where the target has no such column. */
export class DerivedColumns {
  readonly userId: ByteWriter | null;
  readonly sessionId: ByteWriter | null;
  readonly release: ByteWriter | null;
  readonly traceName: ByteWriter | null;
  readonly version: ByteWriter | null;
  readonly tags: StringArrays | null;
  readonly public: ByteWriter | null;
  readonly bookmarked: ByteWriter | null;
  readonly names: StringArrays | null;
  readonly values: StringArrays | null;
  readonly json: DerivedJson | null;
  readonly source: ByteWriter | null;
  readonly experiments: ExperimentColumns | null;
  /** Those that are not null. */
  readonly #inUse: readonly DerivedData[];
  readonly #columns: readonly DerivedColumn[];
  readonly #headers: readonly Buffer[];

  /** `takesJsonPaths`: the server reads JSON columns that come as paths. */
  constructor(
    columns: readonly DerivedColumn[],
    takesJsonPaths: boolean,
    keptJson: KeptJson = JSON_COLUMN_KEEPS,
  ) {
    const trace = (attribute: string): boolean =>
      columns.some(({ column: { source } }) => source.from === "trace" && source.attribute === attribute);
    const metadata = (part: string): boolean =>
      columns.some(({ column: { source } }) => source.from === "metadata" && source.part === part);
    const inUse: DerivedData[] = [];
    const use = <Column extends DerivedData>(column: Column): Column => {
      inUse.push(column);
      return column;
    };
    const bytes = (wanted: boolean): ByteWriter | null => (wanted ? use(new ByteWriter()) : null);
    const arrays = (wanted: boolean): StringArrays | null => (wanted ? use(new StringArrays()) : null);
    this.userId = bytes(trace("userId"));
    this.sessionId = bytes(trace("sessionId"));
    this.release = bytes(trace("release"));
    this.traceName = bytes(trace("traceName"));
    this.version = bytes(trace("version"));
    this.tags = arrays(trace("tags"));
    this.public = bytes(trace("public"));
    this.bookmarked = bytes(trace("bookmarked"));
    this.names = arrays(metadata("names"));
    this.values = arrays(metadata("values"));
    this.json = metadata("json") ? use(new DerivedJson(jsonTarget(columns, takesJsonPaths), keptJson)) : null;
    this.source = bytes(metadata("source"));
    this.experiments = columns.some(({ column: { source } }) => source.from === "experiment")
      ? use(new ExperimentColumns(columns))
      : null;
    this.#inUse = inUse;
    this.#columns = columns;
    this.#headers = columns.map((column) => encodeColumnHeader(column.column.name, wireTypeOf(column)));
  }

  /** How many columns there are. */
  get count(): number {
    return this.#columns.length;
  }

  reset(): void {
    for (const column of this.#inUse) column.reset();
  }

  /** False once there is something that the columns' present form cannot hold; `restartAsText` gives it one that can. */
  get isExact(): boolean {
    return this.json === null || this.json.isExact;
  }

  /** Begins the batch at hand again, with JSON as text. */
  restartAsText(): void {
    for (const column of this.#inUse) {
      if (column instanceof DerivedJson) column.restartAsText();
      else column.reset();
    }
  }

  /** Appends the columns, headers included, to the parts of a block of `rows` rows. */
  appendTo(parts: Buffer[], rows: number): void {
    this.#columns.forEach((column, i) => {
      parts.push(this.#headers[i] as Buffer);
      this.#appendData(parts, column, rows);
    });
  }

  #appendData(parts: Buffer[], derived: DerivedColumn, rows: number): void {
    const { source } = derived.column;
    switch (source.from) {
      case "constant":
        parts.push(Buffer.alloc(rows, source.wireByte));
        return;
      case "trace": {
        const column = this[source.attribute];
        if (column instanceof StringArrays) column.appendTo(parts);
        else if (column !== null) parts.push(column.written());
        return;
      }
      case "metadata":
        this.#appendMetadata(parts, source.part, rows);
        return;
      case "experiment":
        this.experiments?.appendTo(parts, derived.column.name);
        return;
      case "source":
        throw new Error(`Column ${derived.column.name} is copied, not derived`);
    }
  }

  #appendMetadata(parts: Buffer[], part: "names" | "values" | "json" | "source", rows: number): void {
    const column = this[part];
    if (column === null) return;
    if (column instanceof DerivedJson) {
      column.appendTo(parts, rows);
      return;
    }
    if (column instanceof StringArrays) {
      column.appendTo(parts);
      return;
    }
    if (part === "source") parts.push(sourceDictionary(rows));
    parts.push(column.written());
  }
}

/** How the target takes JSON. Paths suit a column of type JSON without limits and types of its own. */
function jsonTarget(columns: readonly DerivedColumn[], takesPaths: boolean): JsonTarget {
  const type = columns.find(({ column: { source } }) => source.from === "metadata" && source.part === "json");
  if (type?.targetType === "String") return "string";
  return takesPaths && type?.targetType === "JSON" ? "paths" : "text";
}

/** The type under which a derived column is sent; the server converts it to the target's. */
function wireTypeOf({ column, targetType }: DerivedColumn): string {
  switch (column.source.from) {
    case "constant":
      return "UInt8";
    case "metadata":
      // A JSON column's own type: sent as JSON without its limits, values would get other types than its text gives them.
      if (column.source.part === "json") return targetType;
      if (column.source.part === "source") return "LowCardinality(String)";
      return "Array(String)";
    case "experiment":
      if (column.kind === "nullableTime") return "Nullable(DateTime64(6))";
      return column.kind === "strings" ? "Array(String)" : "String";
    default:
      return column.kind === "strings" ? "Array(String)" : column.kind === "flag" ? "Bool" : "String";
  }
}

/** What precedes the indexes of the `source` column: version, flags for 1-byte indexes, the keys, the number of values. */
function sourceDictionary(rows: number): Buffer {
  const bytes = Buffer.alloc(24 + SOURCE_KEYS.length + 8);
  bytes.writeUInt32LE(1, 0);
  bytes.writeUInt32LE(LOW_CARDINALITY_FLAGS, 8);
  bytes.writeUInt32LE(SOURCE_KEY_COUNT, 16);
  SOURCE_KEYS.copy(bytes, 24);
  bytes.writeUInt32LE(rows, 24 + SOURCE_KEYS.length);
  return bytes;
}
