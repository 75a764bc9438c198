import { KEY_BYTES, sameKey } from "./record.ts";

/**
 * A set of traces, in shared memory: an open-addressing table of the 16-byte keys that the server computes. A free slot is all zero,
 * which a 128-bit hash is as good as never. At 24 bytes a trace it is far smaller than the store of their attributes.
 */
export interface SharedTraceSet {
  readonly slots: SharedArrayBuffer;
  readonly count: number;
}

/** A third of the slots stay free, so that searches stay short. */
const MAX_LOAD = 0.67;

/** Creates the set of `count` keys that follow each other in `keys`; repeated ones count once. */
export function createTraceSet(keys: Buffer, count: number): SharedTraceSet {
  const slotCount = Math.ceil((count + 1) / MAX_LOAD);
  const shared = new SharedArrayBuffer(slotCount * KEY_BYTES);
  const slots = Buffer.from(shared);
  let distinct = 0;
  for (let key = 0; key < count * KEY_BYTES; key += KEY_BYTES) {
    const slot = slotOf(slots, slotCount, keys, key);
    if (sameKey(slots, slot, keys, key)) continue;
    keys.copy(slots, slot, key, key + KEY_BYTES);
    distinct++;
  }
  return { slots: shared, count: distinct };
}

/** One thread's view of a shared set. */
export class TraceSet {
  /** How many traces there are. */
  readonly count: number;
  readonly #slots: Buffer;
  readonly #slotCount: number;

  constructor({ slots, count }: SharedTraceSet) {
    this.count = count;
    this.#slots = Buffer.from(slots);
    this.#slotCount = slots.byteLength / KEY_BYTES;
  }

  /** Whether the trace whose 16-byte key stands at `position` in `bytes` is one of them. */
  has(bytes: Buffer, position: number): boolean {
    if (this.count === 0) return false;
    const slot = slotOf(this.#slots, this.#slotCount, bytes, position);
    return sameKey(this.#slots, slot, bytes, position);
  }
}

/** Where the key stands among the slots, or else the free slot for it. */
function slotOf(slots: Buffer, slotCount: number, keys: Buffer, key: number): number {
  let slot = Math.floor((keys.readUInt32LE(key) * slotCount) / 2 ** 32);
  for (;;) {
    const at = slot * KEY_BYTES;
    if (sameKey(slots, at, keys, key) || isFree(slots, at)) return at;
    if (++slot === slotCount) slot = 0;
  }
}

function isFree(slots: Buffer, at: number): boolean {
  return (
    slots.readInt32LE(at) === 0 &&
    slots.readInt32LE(at + 4) === 0 &&
    slots.readInt32LE(at + 8) === 0 &&
    slots.readInt32LE(at + 12) === 0
  );
}
