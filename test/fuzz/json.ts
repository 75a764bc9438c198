import { ByteWriter } from "../../src/bytes/byte-writer.ts";
import { EMBED, embedOf, needsEscape } from "../../src/json/json-string.ts";
import { JsonObjectBuilder } from "../../src/json/object-builder.ts";
import type { Random } from "../support/data/random.ts";
import { isWithinLimits } from "../unit/json/limits.ts";
import { jsonValue, randomValue } from "../unit/json/values.ts";
import { mutated, randomBytes } from "./mutate.ts";
import { demand, type FuzzTarget } from "./target.ts";

const KEYS = [
  "a",
  "a.b",
  "a.b.c",
  "",
  ".",
  "a.",
  ".b",
  "b",
  "__proto__",
  "constructor",
  "length",
  "0",
  "a\0b",
  "é",
  "🙂",
];
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const builder = new JsonObjectBuilder();
const out = new ByteWriter(64);

interface Member {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** Members of different keys, also after invalid UTF-8 in them is repaired. */
function randomMembers(random: Random): Member[] {
  const members = new Map<string, Member>();
  for (let left = random.below(6); left > 0; left--) {
    const text = Buffer.from(random.pick(KEYS));
    const key = random.chance(0.3) ? randomBytes(random, random.below(6)) : text;
    const given = random.chance(0.3) ? Buffer.from(jsonValue(random, 3)) : randomValue(random);
    const value = random.chance(0.2) && given.length > 0 ? mutated(random, given) : given;
    members.set(collapsed(key), { key, value });
  }
  return [...members.values()];
}

/** Bytes as text; consecutive replacement characters, whose number no standard defines, count as one. */
function collapsed(bytes: Buffer): string {
  return bytes.toString().replace(/\ufffd+/g, "\ufffd");
}

/** Writes the members as an object; keys and values are surrounded by other bytes. */
function write(random: Random, members: readonly Member[]): { bytes: Buffer; embedded: boolean[] } {
  builder.reset();
  const embedded = members.map(({ key, value }) => {
    const [before, after] = [randomBytes(random, random.below(3)), randomBytes(random, random.below(9))];
    const keyBytes = Buffer.concat([before, key, after]);
    const valueBytes = Buffer.concat([after, value, before]);
    const keyEnd = before.length + key.length;
    const [start, end] = [after.length, after.length + value.length];
    const embed = embedOf(valueBytes, start, end);
    const isEscaped = needsEscape(keyBytes, before.length, keyEnd);
    builder.add(keyBytes, before.length, keyEnd, isEscaped, valueBytes, start, end, embed);
    return embed === EMBED.asJson;
  });
  out.reset();
  builder.write(out);
  return { bytes: out.written(), embedded };
}

function checkMember(object: object, { key, value }: Member, isEmbedded: boolean): void {
  const found = Object.entries(object).filter(([name]) => collapsed(Buffer.from(name)) === keyText(key));
  demand(found.length === 1, () => `Key ${key.toString("hex")} comes ${found.length} times`);
  const stored: unknown = found[0]?.[1];
  const isJson = parsed(value) !== undefined && strictly(value) !== null;
  demand(!isEmbedded || isJson, () => `${value.toString("hex")} is embedded and no JSON`);
  if (isEmbedded)
    demand(isWithinLimits(value.toString()), () => `${value.toString("hex")} is beyond the limits`);
  // What clashes with another member becomes a string after all.
  if (isEmbedded && JSON.stringify(stored) === JSON.stringify(parsed(value))) return;
  const text = strictly(value);
  demand(typeof stored === "string", () => `${value.toString("hex")} is stored as ${JSON.stringify(stored)}`);
  const isKept = text === null ? isRepaired(stored, value) : stored === text;
  demand(isKept, () => `${value.toString("hex")} is stored as ${JSON.stringify(stored)}`);
}

/** As far as it is valid, the beginning stays; the first byte that is not becomes U+FFFD. */
function isRepaired(stored: string, value: Buffer): boolean {
  const valid = value.toString().split("\ufffd", 1)[0] ?? "";
  return stored.startsWith(`${valid}\ufffd`);
}

/** The name that a key becomes. ClickHouse's repair of what a text's end cuts off takes the rest with it. */
function keyText(key: Buffer): string {
  const writer = new ByteWriter(16);
  const single = new JsonObjectBuilder();
  single.add(key, 0, key.length, needsEscape(key, 0, key.length), key, 0, 0, EMBED.asPlainString);
  single.write(writer);
  const [name = ""] = Object.keys(JSON.parse(writer.written().toString()) as object);
  return collapsed(Buffer.from(name));
}

function strictly(bytes: Buffer): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}

/** The value that JSON text stands for; undefined when it is not valid. */
function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString()) as unknown;
  } catch {
    return undefined;
  }
}

/** Metadata, whatever it holds, becomes a JSON object that has all of it. */
export const JSON_OBJECTS: FuzzTarget = {
  name: "json",
  share: 350_000,
  run: (random) => {
    const members = randomMembers(random);
    // Different bytes may be repaired to one name; which of their values counts is not checked here.
    if (new Set(members.map(({ key }) => keyText(key))).size < members.length) return;
    const { bytes, embedded } = write(random, members);
    const text = strictly(bytes);
    demand(text !== null, () => `${bytes.toString("hex")} is not UTF-8`);
    const object: unknown = JSON.parse(text);
    demand(typeof object === "object" && object !== null, () => "No object was written");
    demand(Object.keys(object).length === members.length, () => `${text} has another number of members`);
    members.forEach((member, i) => {
      checkMember(object, member, embedded[i] === true);
    });
  },
};
