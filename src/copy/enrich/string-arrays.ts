import { ByteWriter } from "../../bytes/byte-writer.ts";

/** An `Array(String)` column under construction. */
export class StringArrays {
  readonly offsets = new ByteWriter();
  readonly elements = new ByteWriter();
  #count = 0;

  /** Ends the array of a row, which has `count` elements. */
  endRow(count: number): void {
    this.#count += count;
    this.offsets.uint64(this.#count);
  }

  reset(): void {
    this.offsets.reset();
    this.elements.reset();
    this.#count = 0;
  }

  appendTo(parts: Buffer[]): void {
    parts.push(this.offsets.written(), this.elements.written());
  }
}
