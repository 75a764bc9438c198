import { ByteWriter } from "../bytes/byte-writer.ts";
import { KeyDictionary } from "../clickhouse/native/key-dictionary.ts";
import { TraceStoreFullError } from "./store-full-error.ts";

/** Keys that follow each other in wire form, for other threads. */
export interface SharedKeys {
  readonly bytes: SharedArrayBuffer;
  readonly count: number;
}

/** Positions within the keys are 32-bit numbers. */
const MAX_KEY_BYTES = 2 ** 31 - 1;

/** Collects distinct keys and numbers them in the order in which they come. */
export class KeyCollector {
  readonly #keys = new ByteWriter(4096);
  readonly #dictionary = new KeyDictionary();

  /** The number of the key whose text is `bytes[start, end)`; a new one is added. Throws when the keys exceed 2 GiB. */
  numberOf(bytes: Buffer, start: number, end: number): number {
    const known = this.#dictionary.find(bytes, start, end);
    if (known >= 0) return known;
    const keys = this.#keys;
    const wireStart = keys.length;
    if (wireStart + 8 + end - start > MAX_KEY_BYTES) {
      throw new TraceStoreFullError("The keys of the traces' metadata take more than 2 GiB");
    }
    keys.varint(end - start);
    keys.copy(bytes, start, end);
    this.#dictionary.append(keys.bytes, wireStart);
    return this.#dictionary.count - 1;
  }

  /** A copy of all keys, in the order of their numbers. */
  share(): SharedKeys {
    const bytes = new SharedArrayBuffer(this.#keys.length);
    Buffer.from(bytes).set(this.#keys.written());
    return { bytes, count: this.#dictionary.count };
  }
}

/** A dictionary of shared keys, whose numbers are their order. */
export function dictionaryOf({ bytes, count }: SharedKeys): KeyDictionary {
  const dictionary = new KeyDictionary();
  dictionary.load(Buffer.from(bytes), 0, count);
  return dictionary;
}
