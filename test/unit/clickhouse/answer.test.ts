import { describe, expect, test } from "bun:test";
import { Readable } from "node:stream";
import {
  describeNetworkError,
  exceptionIn,
  readChunks,
  readLines,
  readText,
} from "../../../src/clickhouse/answer.ts";
import { TransportError } from "../../../src/clickhouse/errors.ts";

const NEVER = new AbortController().signal;
const LONG_MS = 60_000;

async function* chunksOf(...chunks: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

describe("the exception within an answer", () => {
  const message = "Code: 395. DB::Exception: Value passed to 'throwIf' (version 26.7)\nmore: 12 words 34";
  const framed = (tag: string, text = message): Buffer =>
    Buffer.from(`\r\n__exception__\r\n${tag}\r\n${text}\n${text.length} ${tag}\r\n__exception__\r\n`);

  test("is found by its tag, after any bytes", () => {
    const bytes = Buffer.concat([Buffer.from([2, 200, 255, 13]), framed("tagtagtagtagtagt")]);
    const error = exceptionIn(bytes, "tagtagtagtagtagt");
    expect(error?.code).toBe(395);
    expect(error?.message).toBe(message);
  });

  test("is found by its tag when the answer is cut before the closing", () => {
    const bytes = framed("tag").subarray(0, -10);
    expect(exceptionIn(bytes, "tag")?.code).toBe(395);
  });

  test("is not taken from data that only looks alike", () => {
    expect(exceptionIn(framed("other"), "tag")).toBeNull();
    expect(exceptionIn(Buffer.from(message), "tag")).toBeNull();
    expect(exceptionIn(framed("tag", "hello"), "tag")).toBeNull();
    expect(exceptionIn(Buffer.from(`\x05data ${message}`), undefined)).toBeNull();
  });

  test("is plain text on servers that announce no tag", () => {
    const error = exceptionIn(Buffer.from(`${message}\n`), undefined);
    expect(error?.code).toBe(395);
    expect(error?.message).toBe(message);
  });

  test("is none in nothing", () => {
    expect(exceptionIn(Buffer.alloc(0), undefined)).toBeNull();
    expect(exceptionIn(Buffer.alloc(0), "tag")).toBeNull();
  });
});

describe("readChunks", () => {
  test("hands the chunks on", async () => {
    const stream = Readable.from([Buffer.from("a"), Buffer.from("bc")], { objectMode: false });
    expect(await readText(readChunks(stream, LONG_MS, NEVER))).toBe("abc");
  });

  test("ends with a TransportError when nothing arrives", async () => {
    const stream = new Readable({ read() {} });
    stream.push("first");
    const chunks = readChunks(stream, 20, NEVER);
    expect((await chunks.next()).value?.toString()).toBe("first");
    await expect(chunks.next()).rejects.toBeInstanceOf(TransportError);
    expect(stream.destroyed).toBe(true);
  });

  test("does not count the time that its consumer takes", async () => {
    const stream = new Readable({ read() {} });
    stream.push("first");
    const chunks = readChunks(stream, 20, NEVER);
    await chunks.next();
    await Bun.sleep(80);
    stream.push("second");
    stream.push(null);
    expect((await chunks.next()).value?.toString()).toBe("second");
    expect((await chunks.next()).done).toBe(true);
  });

  test("ends with a TransportError when the stream breaks", async () => {
    const stream = new Readable({
      read() {
        this.destroy(Object.assign(new Error("socket hang up"), { code: "ECONNRESET" }));
      },
    });
    const failed = readText(readChunks(stream, LONG_MS, NEVER));
    await expect(failed).rejects.toThrow("ECONNRESET: socket hang up");
    await expect(failed).rejects.toBeInstanceOf(TransportError);
  });

  test("ends with the signal's reason", async () => {
    const controller = new AbortController();
    const stream = new Readable({ read() {} });
    const chunks = readChunks(stream, LONG_MS, controller.signal);
    const next = chunks.next();
    const reason = new Error("stop");
    controller.abort(reason);
    await expect(next).rejects.toBe(reason);
    expect(stream.destroyed).toBe(true);
  });

  test("frees the stream when its consumer leaves early", async () => {
    const stream = new Readable({ read() {} });
    stream.push("first");
    for await (const _ of readChunks(stream, LONG_MS, NEVER)) break;
    expect(stream.destroyed).toBe(true);
  });
});

describe("readLines", () => {
  test("puts lines and characters together over chunks", async () => {
    const bytes = Buffer.from('["é🙂"]\n\n["b"]\n["rest"]');
    const single = Array.from(bytes, (byte) => Buffer.from([byte]));
    expect(await Array.fromAsync(readLines(chunksOf(...single)))).toEqual(['["é🙂"]', '["b"]', '["rest"]']);
  });
});

describe("readText", () => {
  test("reads no more than asked", async () => {
    expect(await readText(chunksOf("abc", "def", "ghi"), 5)).toBe("abcde");
  });
});

test("network errors tell their code once", () => {
  expect(describeNetworkError(Object.assign(new Error("connect"), { code: "ECONNREFUSED" }))).toBe(
    "ECONNREFUSED: connect",
  );
  expect(describeNetworkError(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }))).toBe(
    "read ECONNRESET",
  );
  expect(describeNetworkError("odd")).toBe("odd");
});
