import {
  isTypeName,
  parseTypeName,
  type TypeLiteral,
  type TypeName,
  unwrap,
} from "../clickhouse/native/type-name.ts";
import type { ValueKind } from "./mapped-column.ts";

/** What each kind of value is called in messages. */
const EXPECTED: Readonly<Record<ValueKind, string>> = {
  string: "String",
  nullableString: "Nullable(String)",
  time: "DateTime64",
  nullableTime: "Nullable(DateTime64)",
  flag: "Bool or UInt8",
  nullableUInt16: "Nullable(UInt16)",
  uint64: "UInt64",
  strings: "Array(String)",
  stringMap: "Map(String, String)",
  countMap: "Map(String, UInt64)",
  costMap: "Map(String, Decimal(18, 12))",
  json: "JSON or String",
};

/** Whether values of `kind` can be read from a source column of this type: null, or what was expected instead. */
export function sourceProblem(kind: ValueKind, typeName: string): string | null {
  const type = parse(typeName);
  return type !== null && holds(kind, bare(type)) ? null : EXPECTED[kind];
}

/**
 * Whether a target column of this type takes values of `kind` unharmed, as they come from a source column of `sourceType`
 * (null: they are derived here): null, or what was expected instead. The server itself converts without a word what does not
 * fit: it cuts integers and drops fractions of a second.
 */
export function targetProblem(kind: ValueKind, typeName: string, sourceType: string | null): string | null {
  const type = parse(typeName);
  if (type === null) return EXPECTED[kind];
  // The type decides how the value is sent; a column of any other would have the server convert JSON to text.
  if (!holds(kind, kind === "json" ? type : bare(type))) return EXPECTED[kind];
  if (kind === "json" && type.args.some(isTypedPath)) return "JSON without types for single paths";
  const source = sourceType === null ? null : parse(sourceType);
  const alwaysMayBeNull = kind === "nullableTime" || kind === "nullableUInt16";
  // NULL strings become empty ones on the way; other NULLs must find a place.
  const mayBeNull = alwaysMayBeNull || (kind !== "string" && source !== null && isNullable(source));
  if (mayBeNull && !isNullable(type)) return nullable(EXPECTED[kind]);
  if (source !== null && (kind === "time" || kind === "nullableTime")) {
    const digits = secondFractionDigits(bare(source));
    if (secondFractionDigits(bare(type)) < digits) {
      return `at least as many digits of a second as the source has (${digits})`;
    }
  }
  return null;
}

function parse(typeName: string): TypeName | null {
  try {
    return parseTypeName(typeName);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function nullable(expected: string): string {
  return expected.startsWith("Nullable(") ? expected : `Nullable(${expected})`;
}

function bare(type: TypeName): TypeName {
  return unwrap(unwrap(type, "LowCardinality"), "Nullable");
}

function isNullable(type: TypeName): boolean {
  return unwrap(type, "LowCardinality").name === "Nullable";
}

function holds(kind: ValueKind, type: TypeName): boolean {
  switch (kind) {
    case "string":
    case "nullableString":
      return type.name === "String";
    case "time":
    case "nullableTime":
      return type.name === "DateTime64" || type.name === "DateTime";
    case "flag":
      return type.name === "Bool" || type.name === "UInt8";
    case "nullableUInt16":
      return type.name === "UInt16";
    case "uint64":
      return type.name === "UInt64";
    case "strings":
      return type.name === "Array" && argumentHolds(type, 0, "string");
    case "stringMap":
      return isMapTo(type, (value) => value.name === "String");
    case "countMap":
      return isMapTo(type, (value) => value.name === "UInt64");
    case "costMap":
      return isMapTo(type, isCost);
    case "json":
      return type.name === "JSON" || type.name === "String";
  }
}

/** `a.b UInt64` among the arguments of JSON: a value that does not fit would fail its batch. */
function isTypedPath(arg: TypeName | TypeLiteral): boolean {
  return "name" in arg || !/^(max_dynamic_(paths|types)\s*=|SKIP\s)/.test(arg.literal);
}

function isMapTo(type: TypeName, isValue: (value: TypeName) => boolean): boolean {
  const value = type.args[1];
  return type.name === "Map" && argumentHolds(type, 0, "string") && isTypeName(value) && isValue(bare(value));
}

function argumentHolds(type: TypeName, index: number, kind: ValueKind): boolean {
  const argument = type.args[index];
  return isTypeName(argument) && holds(kind, bare(argument));
}

/** Decimal(18, 12), in any of its spellings. */
function isCost(type: TypeName): boolean {
  const literals = type.args.map((arg) => ("literal" in arg ? arg.literal : ""));
  return type.name === "Decimal"
    ? literals.join() === "18,12"
    : type.name === "Decimal64" && literals[0] === "12";
}

function secondFractionDigits(type: TypeName): number {
  const [precision] = type.args;
  if (type.name !== "DateTime64") return 0;
  return precision !== undefined && "literal" in precision ? Number(precision.literal) : 3;
}
