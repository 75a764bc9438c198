import { ByteWriter } from "../bytes/byte-writer.ts";

/** The data of an `Array(Nullable(…))` column under construction. */
export class ArrayValues {
  readonly #ends = new ByteWriter(1024);
  readonly #areNull = new ByteWriter(1024);
  readonly #elements = new ByteWriter(4096);
  #count = 0;

  reset(): void {
    this.#ends.reset();
    this.#areNull.reset();
    this.#elements.reset();
    this.#count = 0;
  }

  /** Adds an element, whose value, also that of a null, the caller appends to the result. */
  element(isNull: boolean): ByteWriter {
    this.#areNull.byte(isNull ? 1 : 0);
    this.#count++;
    return this.#elements;
  }

  endArray(): void {
    this.#ends.uint64(this.#count);
  }

  appendTo(parts: Buffer[]): void {
    parts.push(this.#ends.written(), this.#areNull.written(), this.#elements.written());
  }
}
