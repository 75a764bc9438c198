import type { BufferPool } from "../../bytes/buffer-pool.ts";
import type { Block, BlockSchema } from "./block.ts";
import { NativeFormatError } from "./format-error.ts";
import { type ParseCursor, parseBlock } from "./parser.ts";

const NO_BYTES: Uint8Array = new Uint8Array(0);
/** Blocks are about as large as those before, and seldom larger by more than this part. */
const SPARE = 1 / 16;
/** By how much a buffer grows that is too small: what is beyond the need is memory that nothing uses. */
const GROWTH = 1.25;

/**
 * Puts the chunks of a response in ClickHouse's Native format together to blocks; no bytes at all are a response without
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
  /** The chunk at hand, and how much of it is copied to buffers. */
  #chunk = NO_BYTES;
  #copiedBytes = 0;

  constructor(buffers: BufferPool) {
    this.#buffers = buffers;
    this.#cursor = { bytes: buffers.acquire(1), end: 0, position: 0 };
    this.#parse = parseBlock(this.#cursor, null);
  }

  /** Takes in the next bytes, which are copied by the time when `next` returns null. */
  add(chunk: Uint8Array): void {
    this.#hold(chunk);
  }

  /** Takes in bytes after `next` has thrown, which `pending` shows with those before. */
  addUnparsed(chunk: Uint8Array): void {
    this.#hold(chunk);
    this.#copyRest();
  }

  /** The next block, or null while it has not arrived whole. */
  next(): Block | null {
    for (;;) {
      const cursor = this.#cursor;
      this.#copyFrom(Math.min(cursor.bytes.length - cursor.end, this.#chunk.length - this.#copiedBytes));
      if (cursor.end >= this.#wanted) {
        const result = this.#parseOn();
        if (result.done === true) {
          this.#begin(result.value);
          return result.value;
        }
        this.#wanted = result.value;
      } else if (this.#copiedBytes === this.#chunk.length) {
        // Its memory may be gone when the next one is requested.
        this.#hold(NO_BYTES);
        return null;
      } else {
        // No further than the chunk goes: what a broken response announces may be anything.
        this.#reserve(Math.min(this.#wanted, cursor.end + this.#chunk.length - this.#copiedBytes));
      }
    }
  }

  /** Throws when the bytes so far do not end with a whole block. */
  end(): void {
    if (this.#cursor.end === 0) return;
    throw new NativeFormatError(
      `The response ends in the middle of a block, ${this.#cursor.end} bytes after the block's beginning`,
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

  /**
   * Begins the next block with what has been copied beyond `finished`, in a buffer no larger than that: whoever takes the
   * finished block may be busy with it for long.
   */
  #begin(finished: Block): void {
    const { bytes, end, position } = this.#cursor;
    this.#schema = finished.schema;
    const buffers = this.#buffers;
    buffers.noteNeed(Math.ceil(position * (1 + SPARE)));
    const next = buffers.acquire(end - position);
    bytes.copy(next, 0, position, end);
    this.#cursor = { bytes: next, end: end - position, position: 0 };
    this.#parse = parseBlock(this.#cursor, this.#schema);
    this.#wanted = 1;
  }

  #parseOn(): IteratorResult<number, Block> {
    try {
      return this.#parse.next();
    } catch (error) {
      // There may be an exception in it, and its memory may be gone later.
      this.#copyRest();
      throw error;
    }
  }

  #hold(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#copiedBytes = 0;
  }

  #copyRest(): void {
    const rest = this.#chunk.length - this.#copiedBytes;
    this.#reserve(this.#cursor.end + rest);
    this.#copyFrom(rest);
    this.#hold(NO_BYTES);
  }

  #copyFrom(bytes: number): void {
    if (bytes === 0) return;
    const cursor = this.#cursor;
    cursor.bytes.set(this.#chunk.subarray(this.#copiedBytes, this.#copiedBytes + bytes), cursor.end);
    cursor.end += bytes;
    this.#copiedBytes += bytes;
  }

  #reserve(bytes: number): void {
    const cursor = this.#cursor;
    if (bytes <= cursor.bytes.length) return;
    const buffers = this.#buffers;
    const larger = buffers.acquire(
      Math.max(bytes, buffers.usualBytes, Math.ceil(cursor.bytes.length * GROWTH)),
    );
    cursor.bytes.copy(larger, 0, 0, cursor.end);
    buffers.release(cursor.bytes);
    cursor.bytes = larger;
  }
}
