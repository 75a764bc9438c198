import type { Block } from "./block.ts";
import { NativeFormatError } from "./parser.ts";
import { readVarint } from "./varint.ts";

const FNV_OFFSET = 0x811c9dc5 | 0;
const FNV_PRIME = 0x01000193;

/**
 * The keys of a block's `LowCardinality(String)` step: where each stands and which
 * of them a given text is. Loaded once per block, so that rows deal in key numbers.
 */
export class KeyDictionary {
  #bytes: Buffer = Buffer.alloc(0);
  #count = 0;
  /** Where key i stands with its length, where its text begins, and where it ends. */
  wireStart: Int32Array = new Int32Array(0);
  textStart: Int32Array = new Int32Array(0);
  end: Int32Array = new Int32Array(0);
  /** Open addressing: key number + 1 by hash. */
  #table: Int32Array = new Int32Array(16);

  get count(): number {
    return this.#count;
  }

  /** Takes the keys of step `step` of the block, which stays in use until the next load. */
  load(block: Block, step: number): void {
    const count = block.at.keyCount[step] as number;
    this.#bytes = block.bytes;
    this.#reserve(count);
    this.#table.fill(0);
    const cursor = { position: block.at.keysStart[step] as number };
    for (let i = 0; i < count; i++) {
      this.wireStart[i] = cursor.position;
      const length = readVarint(block.bytes, cursor);
      this.textStart[i] = cursor.position;
      cursor.position += length;
      this.end[i] = cursor.position;
      this.#enter(i);
    }
    this.#count = count;
  }

  /** The number of the key with this text, or -1. */
  find(bytes: Buffer, start: number, end: number): number {
    const mask = this.#table.length - 1;
    for (let slot = hash(bytes, start, end) & mask; ; slot = (slot + 1) & mask) {
      const key = (this.#table[slot] as number) - 1;
      if (key < 0 || this.isKey(key, bytes, start, end)) return key;
    }
  }

  /** Reads index number `i` of a step whose dictionary this is; throws when it is none of the keys. */
  keyAt(block: Block, step: number, i: number): number {
    const width = block.at.indexWidth[step] as number;
    const at = (block.at.indexStart[step] as number) + i * width;
    const bytes = block.bytes;
    let key = bytes[at] as number;
    if (width > 1) key |= (bytes[at + 1] as number) << 8;
    if (width > 2) key |= ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
    if (key >>> 0 >= this.#count) throw new NativeFormatError(`Key ${key} of ${this.#count} in a dictionary`);
    return key;
  }

  #enter(key: number): void {
    const mask = this.#table.length - 1;
    let slot = hash(this.#bytes, this.textStart[key] as number, this.end[key] as number) & mask;
    while (this.#table[slot] !== 0) slot = (slot + 1) & mask;
    this.#table[slot] = key + 1;
  }

  /** Whether key number `key` has this text. */
  isKey(key: number, bytes: Buffer, start: number, end: number): boolean {
    let own = this.textStart[key] as number;
    if ((this.end[key] as number) - own !== end - start) return false;
    for (let at = start; at < end; at++, own++) {
      if (bytes[at] !== this.#bytes[own]) return false;
    }
    return true;
  }

  #reserve(count: number): void {
    if (count > this.wireStart.length) {
      const room = Math.max(64, count * 2);
      this.wireStart = new Int32Array(room);
      this.textStart = new Int32Array(room);
      this.end = new Int32Array(room);
    }
    let slots = this.#table.length;
    while (slots < count * 2) slots *= 2;
    if (slots !== this.#table.length) this.#table = new Int32Array(slots);
  }
}

/** FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/). */
function hash(bytes: Buffer, start: number, end: number): number {
  let value = FNV_OFFSET;
  for (let at = start; at < end; at++) value = Math.imul(value ^ (bytes[at] as number), FNV_PRIME);
  return value ^ (value >>> 15);
}
