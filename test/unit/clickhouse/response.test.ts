import { describe, expect, test } from "bun:test";
import { describeNetworkError, exceptionIn, readLines, readText } from "../../../src/clickhouse/response.ts";

async function* chunksOf(...chunks: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

describe("the exception within a response", () => {
  const message = "Code: 395. DB::Exception: Value passed to 'throwIf' (version 26.7)\nmore: 12 words 34";
  const framed = (tag: string, text = message): Buffer =>
    Buffer.from(`\r\n__exception__\r\n${tag}\r\n${text}\n${text.length} ${tag}\r\n__exception__\r\n`);

  test("is found by its tag, after any bytes", () => {
    const bytes = Buffer.concat([Buffer.from([2, 200, 255, 13]), framed("tagtagtagtagtagt")]);
    const error = exceptionIn(bytes, "tagtagtagtagtagt");
    expect(error?.code).toBe(395);
    expect(error?.message).toBe(message);
  });

  test("is found by its tag when the response is cut before the closing", () => {
    const bytes = framed("tag").subarray(0, -10);
    expect(exceptionIn(bytes, "tag")?.code).toBe(395);
  });

  test("is not read from data that only looks like one", () => {
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

  test("is plain text that follows part of a block on servers that announce no tag", () => {
    const text = "Code: 395. DB::Exception: Code: 395. DB::Exception: Value (THROWN) (version 24.8.4.1)";
    const official = "Code: 241. DB::NetException: limit (NAME) (version 25.3.2.39 (official build))";
    for (const [message, code] of [
      [text, 395],
      [official, 241],
    ] as const) {
      const cut = Buffer.concat([
        Buffer.from([2, 9, 1, 0xff]),
        Buffer.from(`Code: 1. DB::Exception: of the data${message}\n`),
      ]);
      const error = exceptionIn(cut, undefined);
      expect(error?.code).toBe(code);
      expect(error?.message).toBe(message);
      expect(exceptionIn(Buffer.concat([cut, Buffer.from("more data")]), undefined)).toBeNull();
      expect(exceptionIn(cut, "tag")).toBeNull();
    }
  });

  test("is absent from an empty response", () => {
    expect(exceptionIn(Buffer.alloc(0), undefined)).toBeNull();
    expect(exceptionIn(Buffer.alloc(0), "tag")).toBeNull();
  });
});

describe("readLines", () => {
  test("joins lines and characters across chunks", async () => {
    const bytes = Buffer.from('["é🙂"]\n\n["b"]\n["rest"]');
    const single = Array.from(bytes, (byte) => Buffer.from([byte]));
    expect(await Array.fromAsync(readLines(chunksOf(...single)))).toEqual(['["é🙂"]', '["b"]', '["rest"]']);
  });
});

describe("readText", () => {
  test("reads no more than requested", async () => {
    expect(await readText(chunksOf("abc", "def", "ghi"), 5)).toBe("abcde");
  });
});

test("a network error names its code once", () => {
  expect(describeNetworkError(Object.assign(new Error("connect"), { code: "ECONNREFUSED" }))).toBe(
    "ECONNREFUSED: connect",
  );
  expect(describeNetworkError(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }))).toBe(
    "read ECONNRESET",
  );
  expect(describeNetworkError("odd")).toBe("odd");
});
