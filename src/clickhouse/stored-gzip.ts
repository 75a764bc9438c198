import { crc32 } from "node:zlib";

/** ID1, ID2, CM = deflate, no flags, no time, no extra flags, unknown system (RFC 1952, section 2.3). */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
const TRAILER_BYTES = 8;
/** A stored block begins with three bits and padding in one byte, and a 16-bit length with its complement (RFC 1951, section 3.2.4). */
const BLOCK_HEADER_BYTES = 5;
const MAX_STORED_BYTES = 65_535;
const BLOCKS_PER_CHUNK = 16;
const IS_LAST = 1;

/**
 * The bytes of `parts` as a gzip stream that compresses nothing. A server rejects every proper prefix of it, where it would take Native
 * data that ends after one of its blocks to be whole; and the checksum at its end covers every byte. A yielded chunk is valid
 * until the next one is requested. The memory of a part is needed until the next part is requested.
 */
export async function* storedGzip(
  parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  const chunk = Buffer.allocUnsafe(BLOCKS_PER_CHUNK * (BLOCK_HEADER_BYTES + MAX_STORED_BYTES));
  let checksum = 0;
  let bytes = 0;
  let blockStart = 0;
  let end = BLOCK_HEADER_BYTES;
  yield HEADER;
  for await (const part of parts) {
    checksum = crc32(part, checksum);
    bytes += part.length;
    for (let at = 0; at < part.length; ) {
      const room = MAX_STORED_BYTES - (end - blockStart - BLOCK_HEADER_BYTES);
      const taken = Math.min(room, part.length - at);
      chunk.set(part.subarray(at, at + taken), end);
      at += taken;
      end += taken;
      if (taken < room) continue;
      writeBlockHeader(chunk, blockStart, MAX_STORED_BYTES, 0);
      if (end === chunk.length) {
        yield chunk;
        end = 0;
      }
      blockStart = end;
      end += BLOCK_HEADER_BYTES;
    }
  }
  writeBlockHeader(chunk, blockStart, end - blockStart - BLOCK_HEADER_BYTES, IS_LAST);
  yield chunk.subarray(0, end);
  const trailer = Buffer.alloc(TRAILER_BYTES);
  trailer.writeUInt32LE(checksum, 0);
  // ISIZE is the size modulo 2^32 (RFC 1952, section 2.3.1).
  trailer.writeUInt32LE(bytes % 2 ** 32, 4);
  yield trailer;
}

function writeBlockHeader(chunk: Buffer, at: number, length: number, isLast: 0 | typeof IS_LAST): void {
  chunk[at] = isLast;
  chunk.writeUInt16LE(length, at + 1);
  chunk.writeUInt16LE(~length & 0xffff, at + 3);
}
