import { describe, expect, test } from "bun:test";
import { BufferPool } from "../../../src/bytes/buffer-pool.ts";
import { selectBlocks } from "../../../src/clickhouse/select-blocks.ts";
import { Server } from "../../../src/clickhouse/server.ts";
import { ServerError } from "../../../src/clickhouse/server-errors.ts";
import { RawServer } from "../../support/raw-server.ts";
import { encodeBlock } from "../native/slow-codec.ts";

const NEVER = new AbortController().signal;
const TAG = "abcdefghijklmnop";
const MESSAGE = "Code: 497. DB::Exception: Not enough privileges. (ACCESS_DENIED)";

function connect(url: URL, compression: "none" | "zstd" | "gzip" = "none"): Server {
  return new Server({ url: url.href, user: "u", password: "p", database: "d", compression });
}

function chunk(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);
}

describe("an exception in the middle of a response is found", () => {
  const block = encodeBlock([{ name: "c", type: "String", values: ["a", "b"] }]);
  const framed = Buffer.from(
    `\r\n__exception__\r\n${TAG}\r\n${MESSAGE}\n${MESSAGE.length} ${TAG}\r\n__exception__\r\n`,
  );

  test.each([
    [1, true],
    [7, true],
    [1000, true],
    [1, false],
    [1000, false],
  ])("where it comes in chunks of %d bytes, tagged: %p", async (size, isTagged) => {
    const exception = isTagged ? framed : Buffer.from(MESSAGE);
    await using server = await RawServer.start(async ({ socket, until }) => {
      await until("FORMAT Native");
      socket.setNoDelay(true);
      const tag = isTagged ? `X-ClickHouse-Exception-Tag: ${TAG}\r\n` : "";
      socket.write(
        `HTTP/1.1 200 OK\r\nX-ClickHouse-Format: Native\r\n${tag}Transfer-Encoding: chunked\r\n\r\n`,
      );
      socket.write(chunk(block));
      for (let at = 0; at < exception.length; at += size) {
        socket.write(chunk(exception.subarray(at, at + size)));
        await Bun.sleep(1);
      }
      socket.end();
    });
    const seen: number[] = [];
    const read = async (): Promise<void> => {
      const statement = { sql: "SELECT c FROM t" };
      for await (const { rows } of selectBlocks(connect(server.url), statement, new BufferPool(0), NEVER)) {
        seen.push(rows);
      }
    };
    const error = await read().catch((thrown: unknown) => thrown);
    // Without a tag the block might be part of a block and an exception.
    expect(seen).toEqual(isTagged ? [2] : []);
    expect(error).toBeInstanceOf(ServerError);
    expect(error).toMatchObject({ code: 497, words: MESSAGE });
    expect((error as ServerError).message).toMatch(/ \[query_id clickhouse-backfill-\S+-1\]$/);
  });

  test.each([20, 60, 500])("where it replaces the last %d bytes of a block", async (missing) => {
    const whole = encodeBlock([{ name: "c", type: "String", values: ["a", "b".repeat(600)] }]);
    const text = `${MESSAGE} (version 25.8.2.1 (official build))`;
    await using server = await RawServer.start(async ({ socket, until }) => {
      await until("FORMAT Native");
      socket.write("HTTP/1.1 200 OK\r\nX-ClickHouse-Format: Native\r\nTransfer-Encoding: chunked\r\n\r\n");
      socket.write(chunk(block));
      socket.write(chunk(Buffer.concat([whole.subarray(0, -missing), Buffer.from(`${text}\n`)])));
      socket.end("0\r\n\r\n");
    });
    const seen: number[] = [];
    const read = async (): Promise<void> => {
      const statement = { sql: "SELECT c FROM t" };
      for await (const { rows, bytes, at } of selectBlocks(
        connect(server.url),
        statement,
        new BufferPool(0),
        NEVER,
      )) {
        expect(bytes.subarray(0, at.end[at.streams - 1]).includes("Code: ")).toBe(false);
        seen.push(rows);
      }
    };
    const error = await read().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 497, words: text });
    // The block before is handed out once there is another one.
    expect(seen).toEqual(missing < text.length ? [2] : []);
  });
});

test.each(["none", "zstd", "gzip"] as const)(
  "an insert that is refused before its data is sent leaves the data alone afterwards, compression %s",
  async (compression) => {
    await using server = await RawServer.start(async ({ socket, until }) => {
      await until("HTTP/1.1\r\n");
      socket.pause();
      socket.write(
        `HTTP/1.1 403 Forbidden\r\nX-ClickHouse-Exception-Code: 497\r\nContent-Length: ${MESSAGE.length}\r\n\r\n${MESSAGE}`,
      );
    });
    for (let round = 0; round < 3; round++) {
      const body = Array.from({ length: 8 }, () =>
        Buffer.from(crypto.getRandomValues(new Uint8Array(65_536))),
      );
      const large = body.map((bytes) => Buffer.concat(new Array<Buffer>(64).fill(bytes)));
      const insert = connect(server.url, compression).insert({ sql: "INSERT INTO t" }, large, NEVER);
      await expect(insert).rejects.toMatchObject({ code: 497 });
      // The memory serves others now, or is gone.
      for (const { buffer } of large) (buffer as ArrayBuffer).transfer(0);
      await Bun.sleep(50);
    }
  },
);
