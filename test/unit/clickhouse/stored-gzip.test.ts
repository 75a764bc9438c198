import { describe, expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { storedGzip } from "../../../src/clickhouse/stored-gzip.ts";
import { newSeed, randomFrom } from "../../support/data/random.ts";

const BLOCK = 65_535;

/** The stream as one buffer; copies, since a chunk is valid until the next one only. */
async function streamOf(parts: readonly Buffer[]): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of storedGzip(parts)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

describe("a stored gzip stream", () => {
  const sizes = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 16 * BLOCK - 1, 16 * BLOCK, 16 * BLOCK + 1, 40 * BLOCK];
  test.each(sizes)("holds the bytes of one part of %d bytes", async (size) => {
    const data = Buffer.alloc(size, "0123456789abc");
    expect(gunzipSync(await streamOf([data])).equals(data)).toBe(true);
  });

  const seed = newSeed();
  test(`holds the bytes of many parts, seed ${seed}`, async () => {
    const random = randomFrom(seed);
    for (let round = 0; round < 20; round++) {
      const parts = Array.from({ length: random.below(30) }, () =>
        Buffer.alloc(random.below(200_000), random.hex(40)),
      );
      expect(gunzipSync(await streamOf(parts)).equals(Buffer.concat(parts))).toBe(true);
    }
  });

  test("is rejected wherever it is cut", async () => {
    const stream = await streamOf([Buffer.alloc(2 * BLOCK, "x")]);
    for (const length of [stream.length - 1, stream.length - 8, stream.length - 9, BLOCK + 15, 10]) {
      expect(() => gunzipSync(stream.subarray(0, length))).toThrow("unexpected end of file");
    }
  });

  test("is rejected when a byte has changed", async () => {
    const stream = await streamOf([Buffer.alloc(1000, "x")]);
    stream[500] = "y".charCodeAt(0);
    expect(() => gunzipSync(stream)).toThrow("incorrect data check");
  });
});
