/** A 128-bit hash, whose bits are as good as random. */
const KEY_BYTES = 16;
const KEY_WORDS = KEY_BYTES / 4;
/** Half of the slots stay free, so that searches stay short. */
const SLOTS_PER_KEY = 2;

/** A map from 16-byte keys, which are hashes, to numbers that are not negative. Open addressing; room for a fixed number of keys. */
export class KeyMap {
  readonly #keys: Int32Array;
  /** The number of each slot's key plus 1; 0: free. */
  readonly #numbers: Int32Array;
  readonly #slotCount: number;

  /** @param maxKeys more keys than these have no room. */
  constructor(maxKeys: number) {
    this.#slotCount = Math.max(1, maxKeys) * SLOTS_PER_KEY;
    this.#keys = new Int32Array(this.#slotCount * KEY_WORDS);
    this.#numbers = new Int32Array(this.#slotCount);
  }

  /** The number of the key that stands at `position` in `bytes`; -1 where it has none. */
  get(bytes: Buffer, position: number): number {
    return (this.#numbers[this.#slotOf(bytes, position)] as number) - 1;
  }

  set(bytes: Buffer, position: number, number: number): void {
    const slot = this.#slotOf(bytes, position);
    for (let word = 0; word < KEY_WORDS; word++) {
      this.#keys[slot * KEY_WORDS + word] = bytes.readInt32LE(position + word * 4);
    }
    this.#numbers[slot] = number + 1;
  }

  #slotOf(bytes: Buffer, position: number): number {
    let slot = Math.floor((bytes.readUInt32LE(position) * this.#slotCount) / 2 ** 32);
    while (this.#numbers[slot] !== 0 && !this.#isAt(slot, bytes, position)) {
      if (++slot === this.#slotCount) slot = 0;
    }
    return slot;
  }

  #isAt(slot: number, bytes: Buffer, position: number): boolean {
    const keys = this.#keys;
    const at = slot * KEY_WORDS;
    return (
      keys[at] === bytes.readInt32LE(position) &&
      keys[at + 1] === bytes.readInt32LE(position + 4) &&
      keys[at + 2] === bytes.readInt32LE(position + 8) &&
      keys[at + 3] === bytes.readInt32LE(position + 12)
    );
  }
}
