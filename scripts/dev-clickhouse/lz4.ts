/**
 * Decodes an LZ4 frame (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md), block by block. Checksums are
 * not verified. Python's clickhouse-connect sends its inserts this way.
 * @throws {Error} when the frame is damaged or ends early
 */
export async function* decodeLz4Frame(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const input = new ByteQueue(source);
  const header = await input.take(7);
  if (header.readUInt32LE(0) !== MAGIC) throw new Error("LZ4 frame: wrong magic number");
  const flags = header.readUInt8(4);
  const maxBlockBytes = 1 << (8 + 2 * ((header.readUInt8(5) >> 4) & 7));
  // Size and dictionary id stand between the descriptor and its checksum of one byte: the same bytes in another order.
  await input.take((flags & CONTENT_SIZE ? 8 : 0) + (flags & DICTIONARY_ID ? 4 : 0));
  let window: Buffer = Buffer.alloc(0);
  for (;;) {
    const size = (await input.take(4)).readUInt32LE(0);
    if (size === 0) break;
    const block = await input.take(size & 0x7fffffff);
    const isPlain = size >>> 31 === 1;
    const decoded = isPlain ? Buffer.from(block) : decodeBlock(block, window, maxBlockBytes);
    if (flags & BLOCK_CHECKSUM) await input.take(4);
    yield decoded;
    // Blocks may refer to what the ones before them held.
    window = Buffer.concat([window, decoded]).subarray(-WINDOW_BYTES);
  }
  if (flags & CONTENT_CHECKSUM) await input.take(4);
}

const MAGIC = 0x184d2204;
const DICTIONARY_ID = 0x01;
const CONTENT_CHECKSUM = 0x04;
const CONTENT_SIZE = 0x08;
const BLOCK_CHECKSUM = 0x10;
const WINDOW_BYTES = 65_536;

/** One block (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md) after what precedes it. */
function decodeBlock(block: Buffer, window: Buffer, maxBytes: number): Buffer {
  const output = Buffer.allocUnsafe(window.length + maxBytes);
  window.copy(output);
  let to = window.length;
  let from = 0;
  const next = (): number => {
    const byte = block[from++];
    if (byte === undefined) throw new Error("LZ4 frame: damaged block");
    return byte;
  };
  const longLength = (short: number): number => {
    let length = short;
    if (short === 15) {
      for (let byte = 255; byte === 255; length += byte) byte = next();
    }
    return length;
  };
  while (from < block.length) {
    const token = next();
    const literals = longLength(token >> 4);
    if (from + literals > block.length || to + literals > output.length) {
      throw new Error("LZ4 frame: damaged block");
    }
    block.copy(output, to, from, from + literals);
    to += literals;
    from += literals;
    if (from === block.length) break;
    const offset = next() | (next() << 8);
    const end = to + longLength(token & 15) + 4;
    if (offset === 0 || offset > to || end > output.length) throw new Error("LZ4 frame: damaged block");
    if (offset >= end - to) {
      output.copy(output, to, to - offset, end - offset);
      to = end;
    } else {
      // Source and target overlap: every byte may be one just written.
      for (; to < end; to++) output[to] = output[to - offset] as number;
    }
  }
  return output.subarray(window.length, to);
}

class ByteQueue {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async take(count: number): Promise<Buffer> {
    const parts = [this.#rest];
    let length = this.#rest.length;
    while (length < count) {
      const step = await this.#source.next();
      if (step.done === true) throw new Error("LZ4 frame: unexpected end");
      parts.push(Buffer.from(step.value.buffer, step.value.byteOffset, step.value.length));
      length += step.value.length;
    }
    const all = parts.length === 1 ? this.#rest : Buffer.concat(parts);
    this.#rest = all.subarray(count);
    return all.subarray(0, count);
  }
}
