import { isTypeName, parseTypeName, type TypeName } from "./type-name.ts";

/**
 * One run of bytes of a column, in wire order. `level` is the nesting depth whose number of values it holds: level 0 has
 * as many as the block has rows, and every `offsets` stream says how many the next level has.
 */
export type ColumnStream =
  /** u64 1, in front of the whole column, once for every LowCardinality type in it. */
  | { readonly kind: "version" }
  | { readonly kind: "fixed"; readonly level: number; readonly width: number }
  | { readonly kind: "strings"; readonly level: number }
  /** Cumulative u64 ends of the arrays of `level`, whose elements make up `child`. */
  | { readonly kind: "offsets"; readonly level: number; readonly child: number }
  | { readonly kind: "lowCardinality"; readonly level: number };

/** How the values of a type are laid out in a Native block. */
export interface ColumnLayout {
  readonly streams: readonly ColumnStream[];
  /** The number of nesting levels, at least 1. */
  readonly levels: number;
}

const VERSION_STREAM: ColumnStream = { kind: "version" };

/** Bytes per value of the types whose values have a fixed size. */
const FIXED_WIDTH_BYTES: Readonly<Record<string, number>> = {
  Bool: 1,
  Int8: 1,
  UInt8: 1,
  Enum8: 1,
  Int16: 2,
  UInt16: 2,
  Enum16: 2,
  Date: 2,
  BFloat16: 2,
  Int32: 4,
  UInt32: 4,
  Float32: 4,
  Date32: 4,
  DateTime: 4,
  Decimal32: 4,
  IPv4: 4,
  Time: 4,
  Int64: 8,
  UInt64: 8,
  Float64: 8,
  DateTime64: 8,
  Decimal64: 8,
  Time64: 8,
  Int128: 16,
  UInt128: 16,
  Decimal128: 16,
  UUID: 16,
  IPv6: 16,
  Int256: 32,
  UInt256: 32,
  Decimal256: 32,
};

/**
 * The layout of a type, by its name.
 * Throws a TypeError for a type whose layout this program does not know.
 * The format: https://clickhouse.com/docs/interfaces/formats/Native, and ClickHouse's `src/DataTypes/Serializations`.
 */
export function layoutOf(typeName: string): ColumnLayout {
  const streams: ColumnStream[] = [];
  const levels = addStreams(parseTypeName(typeName), typeName, 0, 1, streams);
  const versions = streams.filter((stream) => stream.kind === "lowCardinality").map(() => VERSION_STREAM);
  return { streams: [...versions, ...streams], levels };
}

/** Appends the streams of `type` at `level` and returns the number of levels used so far. */
function addStreams(
  type: TypeName,
  typeName: string,
  level: number,
  levels: number,
  streams: ColumnStream[],
): number {
  const [first, second] = type.args;
  switch (type.name) {
    case "String":
      streams.push({ kind: "strings", level });
      return levels;
    case "Nullable":
      if (!isTypeName(first)) break;
      streams.push({ kind: "fixed", level, width: 1 });
      return addStreams(first, typeName, level, levels, streams);
    case "LowCardinality":
      // The keys of any other type are not strings; Langfuse has none.
      if (!isTypeName(first) || (first.name !== "String" && !isNullableString(first))) break;
      streams.push({ kind: "lowCardinality", level });
      return levels;
    case "Array":
      if (!isTypeName(first)) break;
      streams.push({ kind: "offsets", level, child: levels });
      return addStreams(first, typeName, levels, levels + 1, streams);
    case "Map": {
      if (!isTypeName(first) || !isTypeName(second)) break;
      const entries = levels;
      streams.push({ kind: "offsets", level, child: entries });
      const levelsAfterKeys = addStreams(first, typeName, entries, levels + 1, streams);
      return addStreams(second, typeName, entries, levelsAfterKeys, streams);
    }
    default: {
      const width = fixedWidthBytes(type);
      if (width === undefined) break;
      streams.push({ kind: "fixed", level, width });
      return levels;
    }
  }
  throw unsupported(typeName);
}

function isNullableString(type: TypeName): boolean {
  const [inner] = type.args;
  return type.name === "Nullable" && isTypeName(inner) && inner.name === "String";
}

function fixedWidthBytes(type: TypeName): number | undefined {
  const [first] = type.args;
  const argument = first !== undefined && "literal" in first ? Number(first.literal) : Number.NaN;
  if (type.name === "FixedString") return argument >= 1 ? argument : undefined;
  if (type.name === "Decimal") {
    if (!(argument >= 1 && argument <= 76)) return undefined;
    return argument <= 9 ? 4 : argument <= 18 ? 8 : argument <= 38 ? 16 : 32;
  }
  return Object.hasOwn(FIXED_WIDTH_BYTES, type.name) ? FIXED_WIDTH_BYTES[type.name] : undefined;
}

function unsupported(typeName: string): TypeError {
  return new TypeError(`The type ${typeName} cannot be copied: its Native layout is unknown to this program`);
}
