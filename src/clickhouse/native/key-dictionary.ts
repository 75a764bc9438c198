import { readVarint } from "../../bytes/varint.ts";
import type { Block } from "./block.ts";
import { NativeFormatError } from "./format-error.ts";

const FNV_OFFSET = 0x811c9dc5 | 0;
const FNV_PRIME = 0x01000193;

/**
 * Distinct keys that stand in bytes in wire form (varuint length and text), each with a number: where each stands, and
 * which of them a given text is. Rows deal in key numbers.
 */
export class KeyDictionary {
  #bytes: Buffer = Buffer.alloc(0);
  #count = 0;
  /** Where key i stands with its length, where its text begins, and where it ends. */
  wireStart: Int32Array = new Int32Array(64);
  textStart: Int32Array = new Int32Array(64);
  end: Int32Array = new Int32Array(64);
  /** Open addressing: key number + 1 by hash; at most half full. */
  #table: Int32Array = new Int32Array(128);
  readonly #cursor = { position: 0 };

  /** What the keys stand in. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  get count(): number {
    return this.#count;
  }

  /** Takes the keys of a `LowCardinality(String)` stream of the block, which stays in use until the next load. */
  loadStream(block: Block, stream: number): void {
    this.load(block.bytes, block.at.keysStart[stream] as number, block.at.keyCount[stream] as number);
  }

  /** Takes the `count` keys that follow each other from `start` on, in place of those before. */
  load(bytes: Buffer, start: number, count: number): void {
    this.#table.fill(0);
    this.#count = 0;
    this.#bytes = bytes;
    for (let i = 0, at = start; i < count; i++) at = this.#append(at);
  }

  /** Adds the key that stands at `wireStart` in `bytes`, which hold the other keys too, where they stood before. */
  append(bytes: Buffer, wireStart: number): void {
    this.#bytes = bytes;
    this.#append(wireStart);
  }

  /** The number of the key with this text, or -1. */
  find(bytes: Buffer, start: number, end: number): number {
    const mask = this.#table.length - 1;
    for (let slot = hash(bytes, start, end) & mask; ; slot = (slot + 1) & mask) {
      const key = (this.#table[slot] as number) - 1;
      if (key < 0 || this.#isKey(key, bytes, start, end)) return key;
    }
  }

  /** Reads index number `i` of a stream whose dictionary this is; throws when it is none of the keys. */
  keyAt(block: Block, stream: number, i: number): number {
    const width = block.at.indexWidth[stream] as number;
    const at = (block.at.indexStart[stream] as number) + i * width;
    const bytes = block.bytes;
    let key = bytes[at] as number;
    if (width > 1) key |= (bytes[at + 1] as number) << 8;
    if (width > 2) key |= ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
    if (key >>> 0 >= this.#count) throw new NativeFormatError(`Key ${key} of ${this.#count} in a dictionary`);
    return key;
  }

  /** Returns where the key ends. */
  #append(wireStart: number): number {
    const key = this.#count;
    if (key === this.wireStart.length) this.#grow();
    this.#cursor.position = wireStart;
    const length = readVarint(this.#bytes, this.#cursor);
    const end = this.#cursor.position + length;
    this.wireStart[key] = wireStart;
    this.textStart[key] = this.#cursor.position;
    this.end[key] = end;
    this.#enter(key);
    this.#count++;
    return end;
  }

  #enter(key: number): void {
    const mask = this.#table.length - 1;
    let slot = hash(this.#bytes, this.textStart[key] as number, this.end[key] as number) & mask;
    while (this.#table[slot] !== 0) slot = (slot + 1) & mask;
    this.#table[slot] = key + 1;
  }

  #isKey(key: number, bytes: Buffer, start: number, end: number): boolean {
    let own = this.textStart[key] as number;
    if ((this.end[key] as number) - own !== end - start) return false;
    for (let at = start; at < end; at++, own++) {
      if (bytes[at] !== this.#bytes[own]) return false;
    }
    return true;
  }

  #grow(): void {
    const room = this.wireStart.length * 2;
    this.wireStart = enlarged(this.wireStart, room);
    this.textStart = enlarged(this.textStart, room);
    this.end = enlarged(this.end, room);
    this.#table = new Int32Array(room * 2);
    for (let key = 0; key < this.#count; key++) this.#enter(key);
  }
}

function enlarged(values: Int32Array, length: number): Int32Array {
  const larger = new Int32Array(length);
  larger.set(values);
  return larger;
}

/** FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/). */
function hash(bytes: Buffer, start: number, end: number): number {
  let value = FNV_OFFSET;
  for (let at = start; at < end; at++) value = Math.imul(value ^ (bytes[at] as number), FNV_PRIME);
  return value ^ (value >>> 15);
}
