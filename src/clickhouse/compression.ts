import { pipeline, Readable, type Transform } from "node:stream";
import type { ReadableStream, ReadableStreamDefaultReader } from "node:stream/web";
import { constants, createGzip, createZstdCompress } from "node:zlib";
import type { Compression } from "./connection.ts";
import { describeNetworkError } from "./response.ts";
import { TransportError } from "./server-errors.ts";

export type Encoding = Exclude<Compression, "none">;

/**
 * How much work either side does for fewer bytes. zstd: a tenth more bytes than at its usual level 3, for a fifth less of
 * the processor. gzip: ClickHouse's usual level; at level 1 it makes 43 % more bytes.
 */
export const COMPRESSION_LEVEL: Readonly<Record<Encoding, number>> = { zstd: 1, gzip: 3 };

const CHUNK_BYTES = 256 * 1024;

/** `body` as a compressed stream, compressed as it is read; whoever does not read it to its end destroys it. */
export function compressed(
  body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  encoding: Encoding,
): Readable {
  // An error or an early end reaches whoever reads the outcome.
  return pipeline(Readable.from(copiesOf(body), { objectMode: false }), compressor(encoding), () => {});
}

/** Copies, since a compressor that is destroyed may be at work on one still, when the body's memory serves others already. */
async function* copiesOf(
  body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer, void, void> {
  for await (const part of body) {
    for (let at = 0; at < part.length; at += CHUNK_BYTES)
      yield Buffer.from(part.subarray(at, at + CHUNK_BYTES));
  }
}

function compressor(encoding: Encoding): Transform {
  const level = COMPRESSION_LEVEL[encoding];
  if (encoding === "gzip") return createGzip({ level, chunkSize: CHUNK_BYTES });
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 };
  return createZstdCompress({ params, chunkSize: CHUNK_BYTES });
}

/**
 * The bytes that compressed chunks hold, as they arrive. Everything that came before a failure is handed out before it is
 * thrown: the chunks' own error, or a TransportError when they end early, are damaged, or go on after their end. No chunk
 * at all is a response without rows, to which servers add nothing.
 */
export async function* decompressed(
  chunks: AsyncIterable<Uint8Array>,
  encoding: Encoding,
): AsyncGenerator<Uint8Array, void, void> {
  const decompressor = new Decompressor(encoding);
  try {
    let isEmpty = true;
    for await (const chunk of chunks) {
      isEmpty = false;
      yield* decompressor.add(chunk);
    }
    if (!isEmpty) yield* decompressor.end();
  } finally {
    decompressor.close();
  }
}

/** A decompressor that is fed and read by turns, so that no more than one chunk's worth of output waits. */
class Decompressor {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: ReturnType<DecompressionStream["writable"]["getWriter"]>;
  #output: ReturnType<ReadableStreamDefaultReader<Uint8Array>["read"]>;

  constructor(encoding: Encoding) {
    // Unlike Bun's streams of node:zlib, this one takes a zstd frame that is cut for an error.
    const stream = new DecompressionStream(encoding, { highWaterMark: CHUNK_BYTES });
    const readable: ReadableStream<Uint8Array> = stream.readable;
    this.#reader = readable.getReader();
    this.#writer = stream.writable.getWriter();
    // A failure shows in what is awaited.
    for (const { closed } of [this.#reader, this.#writer]) closed.catch(() => {});
    this.#output = this.#reader.read();
  }

  /** What comes out of a chunk. */
  add(chunk: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
    // A copy, since chunks are good until the next only and the stream does not say when it has read one.
    return this.#outputDuring(this.#writer.write(new Uint8Array(chunk)));
  }

  /** What has not come out yet; throws when that is not all. */
  end(): AsyncGenerator<Uint8Array, void, void> {
    // The reader fails and ends as well.
    this.#writer.close().catch(() => {});
    return this.#outputDuring(new Promise(() => {}));
  }

  close(): void {
    this.#writer.abort().catch(() => {});
    this.#output.catch(() => {});
  }

  async *#outputDuring(work: Promise<void>): AsyncGenerator<Uint8Array, void, void> {
    const over = work.then(() => null);
    try {
      for (;;) {
        // Of two that are there the first wins: the work is over when all that it gave is read.
        const next = await Promise.race([this.#output, over]);
        if (next === null || next.done) return;
        this.#output = this.#reader.read();
        yield next.value;
      }
    } catch (error) {
      throw new TransportError(`The response cannot be decompressed: ${describeNetworkError(error)}`, {
        cause: error,
      });
    }
  }
}
