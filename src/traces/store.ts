import type { KeyDictionary } from "../clickhouse/native/key-dictionary.ts";
import { dictionaryOf, KeyCollector, type SharedKeys } from "./key-collector.ts";
import { compareTimes, FLAG_DELETED, isNewerRecord, KEY_BYTES, RECORD, sameKey } from "./record.ts";
import { TraceStoreFullError } from "./store-full-error.ts";

/**
 * The attributes of all traces in shared memory: segments hold the records, an open-addressing index finds them.
 *
 * An index slot is two 32-bit words: the record's address, and a tag from the key (0: free) that spares most look-ups of
 * other records' keys. An address counts units of 8 bytes over all segments, so the store holds up to 32 GiB.
 * The key is a 128-bit hash that the server computes; its bits are as good as random, so slots are chosen by them directly.
 */
export const SEGMENT_BYTES = 32 * 2 ** 20;
export const ADDRESS_UNIT_BYTES = 8;
const UNITS_PER_SEGMENT = SEGMENT_BYTES / ADDRESS_UNIT_BYTES;
const SEGMENT_SHIFT = Math.log2(UNITS_PER_SEGMENT);
const UNIT_MASK = UNITS_PER_SEGMENT - 1;
const MAX_SEGMENTS = 2 ** 32 / UNITS_PER_SEGMENT;
/** The largest SharedArrayBuffer that the runtime gives. */
const MAX_BUFFER_BYTES = 2 ** 32;
/** A third of the slots stay free, so that searches stay short. */
const MAX_LOAD = 0.67;
/** Records that are entered together. */
const ENTER_TOGETHER = 64;

/** Size of a record with its padding. */
export function paddedBytes(bytes: number): number {
  return Math.ceil(bytes / ADDRESS_UNIT_BYTES) * ADDRESS_UNIT_BYTES;
}

/** A segment and the number of records that follow each other in it. */
export interface FilledSegment {
  readonly segment: SharedArrayBuffer;
  readonly records: number;
}

/** What one writer has written: its segments, and the keys by the numbers that the records in them use. */
export interface WrittenTraces {
  readonly segments: readonly FilledSegment[];
  readonly keys: SharedKeys;
}

/** What threads exchange to share a store. */
export interface SharedTraceStore {
  /** In address order; a segment for records larger than `SEGMENT_BYTES` takes several places. */
  readonly segments: readonly SharedArrayBuffer[];
  readonly slots: SharedArrayBuffer;
  /** All keys of the traces' metadata. */
  readonly keys: SharedKeys;
  /** For each place the number (i32) of each key among `keys`, by the number that the records there use. */
  readonly keyNumbers: readonly SharedArrayBuffer[];
}

/** Creates the store from what the writers have written; `addRecords` fills its index. */
export function createTraceStore(written: readonly WrittenTraces[]): SharedTraceStore {
  const collector = new KeyCollector();
  const segments: SharedArrayBuffer[] = [];
  const keyNumbers: SharedArrayBuffer[] = [];
  let records = 0;
  for (const writer of written) {
    const numbers = collectKeys(writer.keys, collector);
    for (const filled of writer.segments) {
      records += filled.records;
      for (let places = placesOf(filled.segment); places > 0; places--) {
        segments.push(filled.segment);
        keyNumbers.push(numbers);
      }
    }
  }
  if (segments.length > MAX_SEGMENTS) {
    throw new TraceStoreFullError(
      `The traces' attributes take more than ${(MAX_SEGMENTS * SEGMENT_BYTES) / 2 ** 30} GiB`,
    );
  }
  const slots = new SharedArrayBuffer(indexBytes(records));
  return { segments, slots, keys: collector.share(), keyNumbers };
}

/** Size of the index of so many records. Throws when it exceeds what one buffer can hold. */
export function indexBytes(records: number): number {
  const bytes = Math.ceil((records + 1) / MAX_LOAD) * 8;
  if (bytes > MAX_BUFFER_BYTES) {
    throw new TraceStoreFullError(`${records} traces are more than the index can hold`);
  }
  return bytes;
}

/** Adds a writer's keys to those of all and returns the number of each. */
function collectKeys(keys: SharedKeys, collector: KeyCollector): SharedArrayBuffer {
  const { bytes, count, textStart, end } = dictionaryOf(keys);
  const shared = new SharedArrayBuffer(count * 4);
  const numbers = new Int32Array(shared);
  for (let key = 0; key < count; key++) {
    numbers[key] = collector.numberOf(bytes, textStart[key] as number, end[key] as number);
  }
  return shared;
}

/** Where each of the segments, which have so many records, comes to stand among the store's. */
export function segmentPlaces(segments: readonly FilledSegment[]): { place: number; records: number }[] {
  let next = 0;
  return segments.map(({ segment, records }) => {
    const place = next;
    next += placesOf(segment);
    return { place, records };
  });
}

function placesOf(segment: SharedArrayBuffer): number {
  return Math.ceil(segment.byteLength / SEGMENT_BYTES);
}

/** One thread's view of a shared store. */
export class TraceStore {
  /** All keys of the traces' metadata. */
  readonly keys: KeyDictionary;
  readonly #segments: readonly Buffer[];
  readonly #keyNumbers: readonly Int32Array[];
  readonly #slots: Int32Array;
  readonly #slotCount: number;
  readonly #one = new Int32Array(1);
  /** A sink that keeps the prefetching reads alive. */
  #seenTags = 0;

  constructor(shared: SharedTraceStore) {
    const views = new Map<SharedArrayBuffer, Buffer>();
    this.#segments = shared.segments.map((segment) => {
      const view = views.get(segment) ?? Buffer.from(segment);
      views.set(segment, view);
      return view;
    });
    this.keys = dictionaryOf(shared.keys);
    this.#keyNumbers = shared.keyNumbers.map((numbers) => new Int32Array(numbers));
    this.#slots = new Int32Array(shared.slots);
    this.#slotCount = this.#slots.length / 2;
  }

  /** The address of the trace whose 16-byte key stands at `position` in `bytes`; 0 when there is none. */
  find(bytes: Buffer, position: number): number {
    const found = this.#one;
    this.findAll(bytes, position, 1, found);
    return found[0] as number;
  }

  /**
   * Puts the addresses of the traces whose keys follow each other from `position` on into `addresses`; 0 where there is
   * none. Looked up one after another without work in between, the processor waits for several places in memory at once.
   */
  findAll(bytes: Buffer, position: number, count: number, addresses: Int32Array): void {
    const slots = this.#slots;
    const segments = this.#segments;
    const slotCount = this.#slotCount;
    for (let i = 0, key = position; i < count; i++, key += KEY_BYTES) {
      const tag = tagOf(bytes, key);
      let slot = firstSlot(bytes, key, slotCount);
      let address = 0;
      for (let found = slots[slot * 2 + 1]; found !== 0; found = slots[slot * 2 + 1]) {
        if (found === tag) {
          const candidate = slots[slot * 2] as number;
          const segment = segments[candidate >>> SEGMENT_SHIFT] as Buffer;
          const record = (candidate & UNIT_MASK) * ADDRESS_UNIT_BYTES;
          if (sameKey(segment, record + RECORD.key, bytes, key)) {
            if (((segment[record + RECORD.flags] as number) & FLAG_DELETED) === 0) address = candidate;
            break;
          }
        }
        if (++slot === slotCount) slot = 0;
      }
      addresses[i] = address;
    }
  }

  /**
   * Whether the store knows a newer version of a trace, or its deletion, than the one whose key, event_ts and date stand at the given
   * positions in `bytes`. Of a trace that arrived after the traces were loaded it knows nothing.
   */
  isSuperseded(bytes: Buffer, key: number, eventTs: number, date: number): boolean {
    const address = this.#addressOf(bytes, key);
    if (address === 0) return false;
    const segment = this.segmentOf(address);
    const record = this.positionOf(address);
    const order =
      compareTimes(segment, record + RECORD.eventTs, bytes, eventTs) ||
      segment.readUInt16LE(record + RECORD.date) - bytes.readUInt16LE(date);
    return order === 0 ? ((segment[record + RECORD.flags] as number) & FLAG_DELETED) !== 0 : order > 0;
  }

  /** The address of the trace's record, deleted or not; 0 when there is none. */
  #addressOf(bytes: Buffer, key: number): number {
    const tag = tagOf(bytes, key);
    let slot = firstSlot(bytes, key, this.#slotCount);
    for (let found = this.#slots[slot * 2 + 1]; found !== 0; found = this.#slots[slot * 2 + 1]) {
      const address = this.#slots[slot * 2] as number;
      if (
        found === tag &&
        sameKey(this.segmentOf(address), this.positionOf(address) + RECORD.key, bytes, key)
      ) {
        return address;
      }
      if (++slot === this.#slotCount) slot = 0;
    }
    return 0;
  }

  /** The segment that holds the record of an address. */
  segmentOf(address: number): Buffer {
    return this.#segments[address >>> SEGMENT_SHIFT] as Buffer;
  }

  /** The number among `keys` of each key, by the number that the record of an address uses. */
  keyNumbersOf(address: number): Int32Array {
    return this.#keyNumbers[address >>> SEGMENT_SHIFT] as Int32Array;
  }

  /** Where in its segment the record of an address begins. */
  positionOf(address: number): number {
    return (address & UNIT_MASK) * ADDRESS_UNIT_BYTES;
  }

  /**
   * Enters the `count` records that follow each other from the beginning of the segment at `place`. Of records with one key
   * the newest stays. Several threads may enter records at the same time.
   */
  addRecords(place: number, count: number): void {
    const segment = this.#segments[place] as Buffer;
    const slots = this.#slots;
    const positions = new Int32Array(ENTER_TOGETHER);
    const firstSlots = new Int32Array(ENTER_TOGETHER);
    let position = ADDRESS_UNIT_BYTES;
    for (let left = count; left > 0; left -= ENTER_TOGETHER) {
      const group = Math.min(left, ENTER_TOGETHER);
      for (let i = 0; i < group; i++) {
        positions[i] = position;
        firstSlots[i] = firstSlot(segment, position + RECORD.key, this.#slotCount);
        position += paddedBytes(segment.readUInt32LE(position + RECORD.bytes));
      }
      // Looked at one after another without work in between, so that the processor waits for several places at once.
      for (let i = 0; i < group; i++) this.#seenTags ^= slots[(firstSlots[i] as number) * 2 + 1] as number;
      for (let i = 0; i < group; i++) {
        const at = positions[i] as number;
        const address = (place << SEGMENT_SHIFT) | (at / ADDRESS_UNIT_BYTES) | 0;
        this.#add(segment, at, address, firstSlots[i] as number);
      }
    }
  }

  /** Hides the trace with this key when its newest version is older than the deletion. */
  delete(bytes: Buffer, keyPosition: number, eventTsPosition: number): void {
    const address = this.find(bytes, keyPosition);
    if (address === 0) return;
    const segment = this.segmentOf(address);
    const record = this.positionOf(address);
    const isOlder = compareTimes(segment, record + RECORD.eventTs, bytes, eventTsPosition) < 0;
    if (isOlder) segment[record + RECORD.flags] = (segment[record + RECORD.flags] as number) | FLAG_DELETED;
  }

  #add(segment: Buffer, position: number, address: number, firstSlot: number): void {
    const slots = this.#slots;
    const tag = tagOf(segment, position + RECORD.key);
    for (let slot = firstSlot; ; ) {
      const found = Atomics.compareExchange(slots, slot * 2 + 1, 0, tag);
      if (found === 0) {
        Atomics.store(slots, slot * 2, address);
        return;
      }
      if (found === tag && this.#replaceIfSame(slot, segment, position, address)) return;
      if (++slot === this.#slotCount) slot = 0;
    }
  }

  /** Settles the contest when the slot's record has the same key; returns false when it has another. */
  #replaceIfSame(slot: number, segment: Buffer, position: number, address: number): boolean {
    let current = Atomics.load(this.#slots, slot * 2);
    // The thread that set the tag sets the address next.
    while (current === 0) current = Atomics.load(this.#slots, slot * 2);
    for (;;) {
      const other = this.segmentOf(current);
      const otherPosition = this.positionOf(current);
      if (!sameKey(other, otherPosition + RECORD.key, segment, position + RECORD.key)) return false;
      if (!isNewerRecord(segment, position, other, otherPosition)) return true;
      const before = Atomics.compareExchange(this.#slots, slot * 2, current, address);
      if (before === current) return true;
      current = before;
    }
  }
}

/** The slot where the search for a key begins. */
function firstSlot(bytes: Buffer, keyPosition: number, slotCount: number): number {
  return Math.floor((bytes.readUInt32LE(keyPosition) * slotCount) / 2 ** 32);
}

function tagOf(bytes: Buffer, keyPosition: number): number {
  const tag = bytes.readInt32LE(keyPosition + 4);
  return tag === 0 ? 1 : tag;
}
