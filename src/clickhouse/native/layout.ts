import { isTypeName, parseTypeName, type TypeName } from "./type-name.ts";

/**
 * One run of bytes of a column, in wire order. `level` is the nesting depth whose number of values it holds: level 0 has
 * as many as the block has rows, and every `offsets` step says how many the next level has.
 */
export type Step =
  /** u64 1, in front of the whole column, once for every LowCardinality type in it. */
  | { readonly kind: "version" }
  | { readonly kind: "fixed"; readonly level: number; readonly width: number }
  | { readonly kind: "strings"; readonly level: number }
  /** Cumulative u64 ends of the arrays of `level`, whose elements make up `child`. */
  | { readonly kind: "offsets"; readonly level: number; readonly child: number }
  | { readonly kind: "lowCardinality"; readonly level: number };

/** How the values of a type are laid out in a Native block. */
export interface ColumnLayout {
  readonly steps: readonly Step[];
  /** The number of nesting levels, at least 1. */
  readonly levels: number;
}

const VERSION_STEP: Step = { kind: "version" };

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
  const steps: Step[] = [];
  const levels = addSteps(parseTypeName(typeName), typeName, 0, 1, steps);
  const versions = steps.filter((step) => step.kind === "lowCardinality").map(() => VERSION_STEP);
  return { steps: [...versions, ...steps], levels };
}

/** Appends the steps of `type` at `level` and returns the number of levels used so far. */
function addSteps(type: TypeName, typeName: string, level: number, levels: number, steps: Step[]): number {
  const [first, second] = type.args;
  switch (type.name) {
    case "String":
      steps.push({ kind: "strings", level });
      return levels;
    case "Nullable":
      if (!isTypeName(first)) break;
      steps.push({ kind: "fixed", level, width: 1 });
      return addSteps(first, typeName, level, levels, steps);
    case "LowCardinality":
      // The keys of any other type are not strings; Langfuse has none.
      if (!isTypeName(first) || (first.name !== "String" && !isNullableString(first))) break;
      steps.push({ kind: "lowCardinality", level });
      return levels;
    case "Array":
      if (!isTypeName(first)) break;
      steps.push({ kind: "offsets", level, child: levels });
      return addSteps(first, typeName, levels, levels + 1, steps);
    case "Map": {
      if (!isTypeName(first) || !isTypeName(second)) break;
      const entries = levels;
      steps.push({ kind: "offsets", level, child: entries });
      const levelsAfterKeys = addSteps(first, typeName, entries, levels + 1, steps);
      return addSteps(second, typeName, entries, levelsAfterKeys, steps);
    }
    default: {
      const width = fixedWidthBytes(type);
      if (width === undefined) break;
      steps.push({ kind: "fixed", level, width });
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
