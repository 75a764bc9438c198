import type { Random } from "../../support/data/random.ts";
import { fixed, type SlowColumn, type Value } from "./slow-codec.ts";

/** Types that Langfuse's tables have, and their likes, with a maker of values of each. */
const MAKERS: readonly { readonly type: string; readonly make: (random: Random) => Value }[] = [
  { type: "String", make: text },
  { type: "Nullable(String)", make: maybe(text) },
  { type: "LowCardinality(String)", make: key },
  { type: "LowCardinality(Nullable(String))", make: maybe(key) },
  { type: "DateTime64(3)", make: integer(8) },
  { type: "DateTime64(6, 'UTC')", make: integer(8) },
  { type: "Nullable(DateTime64(3))", make: maybe(integer(8)) },
  { type: "Bool", make: (random) => fixed(random.below(2), 1) },
  { type: "UInt8", make: integer(1) },
  { type: "Nullable(UInt16)", make: maybe(integer(2)) },
  { type: "UInt64", make: integer(8) },
  { type: "Decimal(18, 12)", make: integer(8) },
  { type: "FixedString(16)", make: (random) => Buffer.from(random.hex(32), "hex").toString("latin1") },
  { type: "Enum8('a' = 1, 'it\\'s, (b)' = 2)", make: (random) => fixed(1 + random.below(2), 1) },
  { type: "Map(LowCardinality(String), String)", make: list(pair(key, text)) },
  { type: "Map(LowCardinality(String), UInt64)", make: list(pair(key, integer(8))) },
  { type: "Map(LowCardinality(String), Decimal(18, 12))", make: list(pair(key, integer(8))) },
  { type: "Map(String, String)", make: list(pair(text, text)) },
  { type: "Map(String, Array(String))", make: list(pair(text, list(text))) },
  {
    type: "Map(LowCardinality(String), LowCardinality(Nullable(String)))",
    make: list(pair(key, maybe(key))),
  },
  { type: "Array(String)", make: list(text) },
  { type: "Array(Nullable(String))", make: list(maybe(text)) },
  { type: "Array(LowCardinality(String))", make: list(key) },
  { type: "Array(Array(String))", make: list(list(text)) },
  { type: "Array(Array(LowCardinality(String)))", make: list(list(key)) },
  // Then only a string shows where a block ends.
  { type: "String", make: text },
];

/** A column of each type, of `rows` random values. */
export function sampleColumns(random: Random, rows: number): SlowColumn[] {
  return MAKERS.map(({ type, make }, i) => ({
    name: `c${i} ${type}`,
    type,
    values: Array.from({ length: rows }, () => make(random)),
  }));
}

function text(random: Random): string {
  const length = random.chance(0.02) ? 100 + random.below(400) : random.below(12);
  return Buffer.from(random.hex(length * 2), "hex").toString("latin1");
}

function key(random: Random): string {
  return random.pick(["", "SPAN", "GENERATION", "\0", `key ${random.below(300)}`, "k".repeat(130)]);
}

function integer(bytes: 1 | 2 | 8): (random: Random) => string {
  return (random) => Buffer.from(random.hex(bytes * 2), "hex").toString("latin1");
}

function maybe(make: (random: Random) => Value): (random: Random) => Value {
  return (random) => (random.chance(0.3) ? null : make(random));
}

function list(make: (random: Random) => Value): (random: Random) => Value {
  return (random) => Array.from({ length: random.chance(0.3) ? 0 : random.below(5) }, () => make(random));
}

function pair(
  first: (random: Random) => Value,
  second: (random: Random) => Value,
): (random: Random) => Value {
  return (random) => [first(random), second(random)];
}
