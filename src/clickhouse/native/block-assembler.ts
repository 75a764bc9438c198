import type { Block, BlockSchema } from "./block.ts";
import type { BufferPool } from "./buffer-pool.ts";
import { NativeFormatError, type ParseCursor, parseBlock } from "./parser.ts";

/**
 * Puts the chunks of an answer in ClickHouse's Native format together to blocks; no bytes at all are an answer without
 * rows. Each block's buffer comes from the pool and belongs to the caller, who releases it.
 * Throws NativeFormatError when the bytes are no blocks or end in the middle of one.
 */
export class BlockAssembler {
  readonly #buffers: BufferPool;
  #schema: BlockSchema | null = null;
  #cursor: ParseCursor;
  #parse: Generator<number, Block, void>;
  /** Parsing makes no progress before bytes have arrived up to here. */
  #wanted = 1;
  /** Large enough for the blocks so far, so that buffers seldom have to grow. */
  #expectedBytes = 1 << 20;

  constructor(buffers: BufferPool) {
    this.#buffers = buffers;
    this.#cursor = { bytes: buffers.acquire(this.#expectedBytes), end: 0, position: 0 };
    this.#parse = parseBlock(this.#cursor, null);
  }

  /** Takes in the next bytes; the chunk is copied. */
  add(chunk: Uint8Array): void {
    const cursor = this.#cursor;
    this.#reserve(cursor.end + chunk.length);
    cursor.bytes.set(chunk, cursor.end);
    cursor.end += chunk.length;
  }

  /** The next block, or null while it has not arrived whole. */
  next(): Block | null {
    const cursor = this.#cursor;
    if (cursor.end < this.#wanted) return null;
    const result = this.#parse.next();
    if (result.done !== true) {
      this.#wanted = result.value;
      return null;
    }
    this.#begin(result.value);
    return result.value;
  }

  /** Throws when the bytes so far do not end with a whole block. */
  end(): void {
    if (this.#cursor.end === 0) return;
    throw new NativeFormatError(
      `The answer ends in the middle of a block, ${this.#cursor.end} bytes after the block's beginning`,
    );
  }

  /** The bytes that have arrived of the unfinished block, for looking for an error message among them. */
  get pending(): Buffer {
    return this.#cursor.bytes.subarray(0, this.#cursor.end);
  }

  /** Gives the buffer of the unfinished block back; nothing else may be called afterwards. */
  close(): void {
    this.#buffers.release(this.#cursor.bytes);
  }

  /** Begins the next block in a buffer of its own with what has arrived beyond `finished`. */
  #begin(finished: Block): void {
    const { bytes, end, position } = this.#cursor;
    this.#schema = finished.schema;
    this.#expectedBytes = Math.max(this.#expectedBytes, position);
    const next = this.#buffers.acquire(Math.max(this.#expectedBytes, end - position));
    bytes.copy(next, 0, position, end);
    this.#cursor = { bytes: next, end: end - position, position: 0 };
    this.#parse = parseBlock(this.#cursor, this.#schema);
    this.#wanted = 1;
  }

  #reserve(bytes: number): void {
    const cursor = this.#cursor;
    if (bytes <= cursor.bytes.length) return;
    const larger = this.#buffers.acquire(Math.max(bytes, cursor.bytes.length * 2));
    cursor.bytes.copy(larger, 0, 0, cursor.end);
    this.#buffers.release(cursor.bytes);
    cursor.bytes = larger;
  }
}
