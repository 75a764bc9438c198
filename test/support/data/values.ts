import { METADATA_KEYS, METADATA_VALUES, ODD_IDS, ODD_TEXTS } from "./oddities.ts";
import type { Random } from "./random.ts";
import type { Text } from "./row-binary.ts";
import type { Entries } from "./rows.ts";

/** The month that all fixtures are about. */
export const PARTITION = "202511";
export const MONTH_START_MS = Date.UTC(2025, 10, 1);
/** The first millisecond after it. */
export const MONTH_END_MS = Date.UTC(2025, 11, 1);
export const DAY_MS = 86_400_000;

const WORDS = (
  "the agent looked up three invoices and found that two were paid while one is still open retrieve context for " +
  "customer question summarize policy response politely tool call returned an empty list retry with broader query naïve"
).split(" ");

const MAX_UINT64 = 2n ** 64n - 1n;
/** The largest Decimal(18, 12), unscaled. */
const MAX_DECIMAL = 10n ** 18n - 1n;

/** Prose of about that many characters. */
export function prose(random: Random, length: number): string {
  let written = "";
  while (written.length < length) written += `${random.pick(WORDS)} `;
  return random.chance(0.1) ? `${written}🙂` : written;
}

/** An id as clients make them, and now and then one that only a test makes. */
export function id(random: Random): Text {
  if (random.chance(0.6)) return random.uuid();
  if (random.chance(0.7)) return random.hex(random.pick([16, 32]));
  const odd = random.pick(ODD_IDS);
  // Else the few odd ids would all be versions of each other.
  return random.chance(0.3) ? odd : Buffer.concat([toBytes(odd), toBytes(random.hex(6))]);
}

/** NULL, the empty string, something ordinary or something odd. */
export function maybe(random: Random, ordinary: () => Text): Text | null {
  const dice = random.below(10);
  if (dice < 2) return null;
  if (dice < 4) return "";
  return dice < 9 ? ordinary() : random.pick(ODD_TEXTS);
}

/** Something ordinary, seldom something odd. */
export function seldomOdd(random: Random, ordinary: () => Text): Text {
  return random.chance(0.08) ? random.pick(ODD_TEXTS) : ordinary();
}

/** Metadata of mostly a few entries; none, repeated keys and hundreds of entries occur. */
export function metadata(random: Random): Entries<Text> {
  if (random.chance(0.15)) return [];
  const count = random.chance(0.002) ? 600 : 1 + random.below(8);
  // Some of the many repeat, too. Their values are of one kind, or their columns would become tens of thousands.
  if (count > 100) return Array.from({ length: count }, (_, at) => [`key ${at % 550}`, prose(random, 20)]);
  return Array.from({ length: count }, () => [
    random.pick(METADATA_KEYS),
    random.pick(METADATA_VALUES[random.pick(["plain", "plain", "json", "json", "json", "string"] as const)]),
  ]);
}

/** Token counts. */
export function usage(random: Random): Entries<bigint> {
  if (random.chance(0.3)) return [];
  const count = (): bigint => (random.chance(0.02) ? MAX_UINT64 : BigInt(random.below(5000)));
  return [
    ["input", count()],
    ["output", count()],
    ["total", count()],
    ...(random.chance(0.2) ? ([["input_cached_tokens", count()]] as const) : []),
  ];
}

/** Costs; now and then the extremes of the type, negative ones too. */
export function costs(random: Random): Entries<bigint> {
  if (random.chance(0.3)) return [];
  if (random.chance(0.05)) return [["total", random.pick([MAX_DECIMAL, -MAX_DECIMAL, -1n])]];
  const cost = (): bigint => BigInt(random.below(10 ** 9)) * 1000n + BigInt(random.below(1000));
  return [
    ["input", cost()],
    ["output", cost()],
    ["total", cost()],
  ];
}

export function toBytes(value: Text): Buffer {
  return typeof value === "string" ? Buffer.from(value) : value;
}

/** Equal for equal bytes: for use as a key. */
export function bytesKey(...values: readonly (Text | number)[]): string {
  return values
    .map((value) => (typeof value === "number" ? value : toBytes(value).toString("hex")))
    .join("/");
}
