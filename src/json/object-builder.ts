import type { ByteWriter } from "../bytes/byte-writer.ts";
import { EMBED, type Embed, writeJsonString } from "./json-string.ts";
import { clashesWith } from "./member-clash.ts";

const QUOTE = 0x22;
const COLON = 0x3a;
const COMMA = 0x2c;
const DOT = 0x2e;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** What a builder's `#positions` holds of each member. */
const KEY_START = 0;
const KEY_END = 1;
const KEY_ESCAPE = 2;
const VALUE_START = 3;
const VALUE_END = 4;
const EMBED_AS = 5;
const POSITIONS = 6;

/**
 * Puts one JSON object after another together from members that stand in buffers. Members are noted first and written at
 * the end, when all of them are known: an object member whose paths another member has too becomes a string.
 */
export class JsonObjectBuilder {
  readonly #keyBytes: Buffer[] = [];
  readonly #valueBytes: Buffer[] = [];
  #positions = new Int32Array(64 * POSITIONS);
  #count = 0;
  #hasObjects = false;

  /** Begins a new object. */
  reset(): void {
    this.#count = 0;
    this.#hasObjects = false;
  }

  /** Notes a member: the text of its key, and its value with the way it is embedded. The bytes must stay until `write`. */
  add(
    keyBytes: Buffer,
    keyStart: number,
    keyEnd: number,
    keyNeedsEscape: boolean,
    valueBytes: Buffer,
    valueStart: number,
    valueEnd: number,
    embed: Embed,
  ): void {
    const at = this.#count * POSITIONS;
    if (at === this.#positions.length) this.#grow();
    const positions = this.#positions;
    this.#keyBytes[this.#count] = keyBytes;
    this.#valueBytes[this.#count] = valueBytes;
    positions[at + KEY_START] = keyStart;
    positions[at + KEY_END] = keyEnd;
    positions[at + KEY_ESCAPE] = keyNeedsEscape ? 1 : 0;
    positions[at + VALUE_START] = valueStart;
    positions[at + VALUE_END] = valueEnd;
    positions[at + EMBED_AS] = embed;
    if (mayBeObject(embed, valueBytes[valueStart])) this.#hasObjects = true;
    this.#count++;
  }

  /** Writes the object to `out`. */
  write(out: ByteWriter): void {
    if (this.#hasObjects) this.#settleClashes();
    out.byte(OPEN_BRACE);
    for (let i = 0; i < this.#count; i++) {
      if (i > 0) out.byte(COMMA);
      this.#writeMember(out, i);
    }
    out.byte(CLOSE_BRACE);
  }

  #writeMember(out: ByteWriter, i: number): void {
    const at = i * POSITIONS;
    const positions = this.#positions;
    const keyBytes = this.#keyBytes[i] as Buffer;
    const keyStart = positions[at + KEY_START] as number;
    const keyEnd = positions[at + KEY_END] as number;
    if (positions[at + KEY_ESCAPE] === 1) writeJsonString(out, keyBytes, keyStart, keyEnd);
    else writeQuoted(out, keyBytes, keyStart, keyEnd);
    out.byte(COLON);
    const valueBytes = this.#valueBytes[i] as Buffer;
    const valueStart = positions[at + VALUE_START] as number;
    const valueEnd = positions[at + VALUE_END] as number;
    const embed = positions[at + EMBED_AS];
    if (embed === EMBED.asJson) out.copy(valueBytes, valueStart, valueEnd);
    else if (embed === EMBED.asPlainString) writeQuoted(out, valueBytes, valueStart, valueEnd);
    else writeJsonString(out, valueBytes, valueStart, valueEnd);
  }

  #settleClashes(): void {
    for (let i = 0; i < this.#count; i++) {
      const at = i * POSITIONS;
      const first = (this.#valueBytes[i] as Buffer)[this.#positions[at + VALUE_START] as number];
      if (!mayBeObject(this.#positions[at + EMBED_AS], first)) continue;
      if (this.#hasClash(i)) this.#positions[at + EMBED_AS] = EMBED.asEscapedString;
    }
  }

  #hasClash(i: number): boolean {
    for (let other = 0; other < this.#count; other++) {
      if (other === i || !this.#isBelow(other, i)) continue;
      if (this.#clashes(i, other)) return true;
    }
    return false;
  }

  /** Whether the key of member `other` is the key of member `i`, a dot, and something more. */
  #isBelow(other: number, i: number): boolean {
    const positions = this.#positions;
    const start = positions[i * POSITIONS + KEY_START] as number;
    const length = (positions[i * POSITIONS + KEY_END] as number) - start;
    const otherStart = positions[other * POSITIONS + KEY_START] as number;
    const otherLength = (positions[other * POSITIONS + KEY_END] as number) - otherStart;
    const otherBytes = this.#keyBytes[other] as Buffer;
    if (otherLength <= length || otherBytes[otherStart + length] !== DOT) return false;
    const bytes = this.#keyBytes[i] as Buffer;
    for (let k = 0; k < length; k++) {
      if (bytes[start + k] !== otherBytes[otherStart + k]) return false;
    }
    return true;
  }

  /** Rare enough to decode and to parse. */
  #clashes(i: number, other: number): boolean {
    const positions = this.#positions;
    const at = i * POSITIONS;
    const text = (this.#valueBytes[i] as Buffer).toString(
      "utf8",
      positions[at + VALUE_START],
      positions[at + VALUE_END],
    );
    if (!text.trimStart().startsWith("{")) return false;
    const keyLength = (positions[at + KEY_END] as number) - (positions[at + KEY_START] as number);
    const otherAt = other * POSITIONS;
    const rest = (this.#keyBytes[other] as Buffer).toString(
      "utf8",
      (positions[otherAt + KEY_START] as number) + keyLength + 1,
      positions[otherAt + KEY_END],
    );
    return clashesWith(text, rest);
  }

  #grow(): void {
    const larger = new Int32Array(this.#positions.length * 2);
    larger.set(this.#positions);
    this.#positions = larger;
  }
}

/** By the first byte of a value; space may precede an object. */
function mayBeObject(embed: number | undefined, firstByte: number | undefined): boolean {
  return embed === EMBED.asJson && (firstByte === OPEN_BRACE || (firstByte ?? 0) <= 0x20);
}

function writeQuoted(out: ByteWriter, bytes: Buffer, start: number, end: number): void {
  out.byte(QUOTE);
  out.copy(bytes, start, end);
  out.byte(QUOTE);
}
