import { describe, expect, test } from "bun:test";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { compressed, decompressed, type Encoding } from "../../../src/clickhouse/compression.ts";
import { TransportError } from "../../../src/clickhouse/server-errors.ts";

/** Compresses to a few hundred kilobytes, so that it crosses in many pieces. */
const DATA = Buffer.from(Array.from({ length: 60_000 }, (_, i) => String((i * 7919) % 100_003)).join());

const COMPRESS: Readonly<Record<Encoding, (flush?: number) => Buffer>> = {
  gzip: (finishFlush = constants.Z_FINISH) => gzipSync(DATA, { finishFlush }),
  // ClickHouse adds the checksum too.
  zstd: (finishFlush = constants.ZSTD_e_end) =>
    zstdCompressSync(DATA, { finishFlush, params: { [constants.ZSTD_c_checksumFlag]: 1 } }),
};
const FLUSH: Readonly<Record<Encoding, number>> = {
  gzip: constants.Z_SYNC_FLUSH,
  zstd: constants.ZSTD_e_flush,
};

function pieces(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  );
}

/** What comes out, and the error that it ends with. */
async function read(
  parts: readonly Uint8Array[],
  encoding: Encoding,
  failure?: Error,
): Promise<{ bytes: Buffer; error: unknown }> {
  async function* source(): AsyncGenerator<Uint8Array, void, void> {
    yield* parts;
    if (failure !== undefined) throw failure;
  }
  const output: Uint8Array[] = [];
  let error: unknown = null;
  try {
    for await (const chunk of decompressed(source(), encoding)) output.push(chunk);
  } catch (thrown) {
    error = thrown;
  }
  return { bytes: Buffer.concat(output), error };
}

describe.each(["zstd", "gzip"] as const)("%s", (encoding) => {
  const whole = COMPRESS[encoding]();
  const sizes = [1, 1000, 65_536, whole.length];

  test("compressed data is restored", async () => {
    const chunks = await Array.fromAsync(compressed([DATA.subarray(0, 9), DATA.subarray(9)], encoding));
    const bytes = Buffer.concat(chunks);
    expect(bytes.length).toBeLessThan(DATA.length / 2);
    expect(await read([bytes], encoding)).toEqual({ bytes: DATA, error: null });
  });

  test.each(sizes)("a whole response, in pieces of %d bytes", async (size) => {
    expect(await read(pieces(whole, size), encoding)).toEqual({ bytes: DATA, error: null });
  });

  test("an empty response has no rows", async () => {
    expect(await read([], encoding)).toEqual({ bytes: Buffer.alloc(0), error: null });
  });

  test("a response that ends early is an error, wherever it is cut", async () => {
    for (const bytes of [1, 4, 5, whole.length >> 1, whole.length - 4, whole.length - 1]) {
      const { error } = await read(pieces(whole.subarray(0, bytes), 1000), encoding);
      expect(error, `after ${bytes} bytes`).toBeInstanceOf(TransportError);
    }
  });

  test("a response that stops between two of the compressor's blocks is an error, after all that arrived", async () => {
    const { bytes, error } = await read(pieces(COMPRESS[encoding](FLUSH[encoding]), 1000), encoding);
    expect(error).toBeInstanceOf(TransportError);
    expect(bytes.equals(DATA)).toBe(true);
  });

  test("a response that goes on after its end is an error", async () => {
    for (const rest of ["garbage", "\0\0\0\0\0\0\0\0"]) {
      for (const parts of [[whole, Buffer.from(rest)], [Buffer.concat([whole, Buffer.from(rest)])]]) {
        expect((await read(parts, encoding)).error).toBeInstanceOf(TransportError);
      }
    }
  });

  test("damaged and foreign bytes are an error", async () => {
    const damaged = Buffer.from(whole);
    damaged.fill(0xff, whole.length >> 1, (whole.length >> 1) + 64);
    for (const bytes of [damaged, DATA]) {
      expect((await read([bytes], encoding)).error).toBeInstanceOf(TransportError);
    }
  });

  test.each(sizes)(
    "an error of the connection comes after all that arrived in pieces of %d",
    async (size) => {
      const cut = new TransportError("The response broke off");
      const flushed = COMPRESS[encoding](FLUSH[encoding]);
      const { bytes, error } = await read(pieces(flushed, size), encoding, cut);
      expect(error).toBe(cut);
      expect(bytes.equals(DATA)).toBe(true);
      expect((await read([], encoding, cut)).error).toBe(cut);
    },
  );

  test("a reader that stops early closes the response", async () => {
    let isClosed = false;
    async function* source(): AsyncGenerator<Uint8Array, void, void> {
      try {
        yield* pieces(whole, 1000);
      } finally {
        isClosed = true;
      }
    }
    for await (const _ of decompressed(source(), encoding)) break;
    expect(isClosed).toBe(true);
  });

  test("a slow reader holds the response back", async () => {
    const zeros = Buffer.alloc(64 * 2 ** 20);
    const bomb = encoding === "gzip" ? gzipSync(zeros) : zstdCompressSync(zeros);
    const parts = pieces(Buffer.concat(Array.from({ length: 8 }, () => bomb)), 1000);
    let taken = 0;
    async function* source(): AsyncGenerator<Uint8Array, void, void> {
      for (const part of parts) {
        taken += 1;
        yield part;
      }
    }
    const chunks = decompressed(source(), encoding);
    await chunks.next();
    await Bun.sleep(50);
    expect(taken).toBeLessThan(parts.length);
    const { value } = await chunks.next();
    expect(value?.length).toBeLessThanOrEqual(2 ** 20);
    await chunks.return();
  });
});
