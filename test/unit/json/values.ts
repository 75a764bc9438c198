import type { Random } from "../../support/data/random.ts";

/** Values as metadata may hold them: JSON, almost JSON, text and broken bytes. */
export function randomValue(random: Random): Buffer {
  const json = Buffer.from(jsonValue(random, 4));
  if (random.chance(0.35)) return json;
  if (random.chance(0.1)) return oddValue(random);
  return mutated(random, json);
}

/** Bytes of one to four of which something was changed, added, dropped or moved. */
function mutated(random: Random, bytes: Buffer): Buffer {
  let changed = bytes;
  for (let i = random.below(3); i >= 0; i--) {
    const at = random.below(changed.length + 1);
    const piece = random.pick(PIECES);
    const dropped = random.chance(0.4) ? random.below(3) : 0;
    changed = Buffer.concat([
      changed.subarray(0, at),
      random.chance(0.7) ? piece : Buffer.from([random.below(256)]),
      changed.subarray(Math.min(changed.length, at + dropped)),
    ]);
  }
  return changed;
}

const PIECES: readonly Buffer[] = [
  ...[
    "",
    ",",
    ":",
    "[",
    "]",
    "{",
    "}",
    '"',
    "\\",
    " ",
    "\t",
    "\n",
    "\r",
    "\f",
    "\v",
    "\0",
    "0",
    "-",
    "+",
    ".",
  ],
  ...[
    "e",
    "E5",
    "01",
    "null",
    "true",
    "nul",
    "NaN",
    "1e400",
    "1e-400",
    "0x1",
    "99999999999999999999",
    "//",
    "'",
  ],
  ...[
    '"a":',
    "[[",
    "]]",
    "{}",
    "[]",
    "\\u0000",
    "\\ud800",
    "\\udc00",
    "\\ud83d\\ude00",
    "\\u00",
    "\\x",
    "\\/",
  ],
  ...["\ufeff", "\u2028", "é", "🙂", "\x7f", "\x1f"],
]
  .map((text) => Buffer.from(text))
  .concat(
    ["\xff", "\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x99", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\xaf"].map(
      (bytes) => Buffer.from(bytes, "latin1"),
    ),
  );

const NUMBERS = [
  ...[
    "0",
    "-0",
    "1",
    "-1",
    "42",
    "0.5",
    "-0.0",
    "1e5",
    "1E+2",
    "2e-3",
    "0e9999",
    "1e-400",
    "1.7976931348623157e308",
  ],
  ...["1.7976931348623159e308", "1e308", "1e309", "-1e400", "9007199254740993", "9223372036854775807"],
  ...["9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615"],
  ...[
    "18446744073709551616",
    "18446744073709551616.0",
    "18446744073709551616e0",
    "100000000000000000000",
    "0.1e1",
  ],
];
const STRINGS = [
  ...[
    "",
    "text",
    "it's",
    "a\\nb",
    "\\u0041",
    "\\ud83d\\ude00",
    "\\u0000",
    "é🙂",
    "\\\\",
    '\\"',
    "\\/",
    "2024-1-1",
  ],
  ...["2024-01-01 10:00:00", "12", "true", "\u2028", "\x7f"],
];
const KEYS = ["a", "b", "c", "a.b", "", ".", "key with space", "\\u0061b", "ключ", '\\"', "\\u0000"];

/** Valid JSON, sometimes with a number that ClickHouse does not accept. */
export function jsonValue(random: Random, depth: number): string {
  const space = (): string => (random.chance(0.1) ? random.pick([" ", "\n", "\t", "\r\n", "  "]) : "");
  const inner = (): string => space() + jsonValue(random, depth - 1) + space();
  const kind = depth === 0 ? random.below(3) : random.below(5);
  switch (kind) {
    case 0:
      return random.pick(["null", "true", "false"]);
    case 1:
      return random.pick(NUMBERS);
    case 2:
      return `"${random.pick(STRINGS)}"`;
    case 3:
      return `[${space()}${Array.from({ length: random.below(4) }, inner).join(",")}${space()}]`;
    default: {
      const members = Array.from(
        { length: random.below(4) },
        () => `${space()}"${random.pick(KEYS)}"${space()}:${inner()}`,
      );
      return `{${members.join(",")}${space()}}`;
    }
  }
}

/** Values at the limits of depth, and random bytes. */
function oddValue(random: Random): Buffer {
  const depth = random.pick([7, 8, 9, 10, 100, 510, 511, 512, 513, 514, 600, 1021, 1022, 1023, 1024, 5000]);
  const nested = (open: string, close: string): Buffer =>
    Buffer.from(open.repeat(depth) + random.pick(["1", ""]) + close.repeat(depth));
  switch (random.below(5)) {
    case 0:
      return nested("[", "]");
    case 1:
      return Buffer.from(
        `${'{"a":'.repeat(depth)}${random.pick(["1", "{}", "[]", "null"])}${"}".repeat(depth)}`,
      );
    case 2:
      return nested('[{"a":', "}]");
    case 3:
      return Buffer.from(random.hex(2 * random.below(12)), "hex");
    default:
      return Buffer.concat([random.pick(PIECES), random.pick(PIECES), random.pick(PIECES)]);
  }
}
