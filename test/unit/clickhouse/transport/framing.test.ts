import { describe, expect, test } from "bun:test";
import { TransportError } from "../../../../src/clickhouse/server-errors.ts";
import { framingOf } from "../../../../src/clickhouse/transport/framing.ts";
import { parseHead } from "../../../../src/clickhouse/transport/head.ts";
import { chooseSeed, randomFrom } from "../../../support/data/random.ts";

const random = randomFrom(chooseSeed());

function headOf(...lines: string[]) {
  return parseHead(["HTTP/1.1 200 OK", ...lines].join("\r\n"));
}

/** The content that the framing finds in a response that arrives in these pieces, and whether it is whole. */
function read(header: string, pieces: readonly Buffer[]): { content: string; isComplete: boolean } {
  const framing = framingOf(headOf(header));
  if (framing === null) throw new Error("There is no framing");
  const content: Buffer[] = [];
  for (const piece of pieces) content.push(...framing.take(piece));
  return { content: Buffer.concat(content).toString("latin1"), isComplete: framing.isComplete };
}

/** Cuts bytes at random places. */
function cut(bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + random.below(5));
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}

const CHUNKED = "Transfer-Encoding: chunked";

describe("content in chunks", () => {
  test("is read correctly however it is sent and cut", () => {
    for (let round = 0; round < 300; round++) {
      const parts = Array.from({ length: random.below(5) }, () => "x\r\n0".repeat(1 + random.below(9)));
      const extension = random.below(2) === 0 ? "" : ';name="value"';
      const trailer = random.below(2) === 0 ? "" : "X-Trailer: 1\r\nX-Other: 2\r\n";
      const size = (part: string) =>
        random.below(2) === 0 ? part.length.toString(16) : `00${part.length.toString(16).toUpperCase()}`;
      const chunks = parts.map((part) => `${size(part)}${extension}\r\n${part}\r\n`).join("");
      const bytes = Buffer.from(`${chunks}0${extension}\r\n${trailer}\r\n`);
      expect(read(CHUNKED, cut(bytes))).toEqual({ content: parts.join(""), isComplete: true });
    }
  });

  test("is not whole before the last byte", () => {
    const bytes = Buffer.from("5\r\nhello\r\n0\r\nX: 1\r\n\r\n");
    for (let end = 0; end < bytes.length; end++) {
      expect(read(CHUNKED, [bytes.subarray(0, end)]).isComplete).toBe(false);
    }
    expect(read(CHUNKED, [bytes])).toEqual({ content: "hello", isComplete: true });
  });

  test.each([
    "hello",
    "\r\n",
    "5\r\nhelloworld\r\n0\r\n\r\n",
    "-1\r\n",
    `${"1".repeat(14)}\r\n`,
    "0\r\n\r\nmore",
    ";x\r\n",
  ])("that is malformed is an error: %j", (text) => {
    expect(() => read(CHUNKED, [Buffer.from(text)])).toThrow(TransportError);
  });
});

describe("content of known length", () => {
  test("is whole when all of it has arrived", () => {
    expect(read("Content-Length: 5", cut(Buffer.from("hello")))).toEqual({
      content: "hello",
      isComplete: true,
    });
    expect(read("Content-Length: 5", [Buffer.from("hell")]).isComplete).toBe(false);
    expect(read("content-length: 0", [])).toEqual({ content: "", isComplete: true });
  });

  test("does not go on", () => {
    expect(() => read("Content-Length: 5", [Buffer.from("hello!")])).toThrow(TransportError);
  });

  test.each(["-1", "5, 5", "five", "1e3"])("has a length: not %s", (length) => {
    expect(() => framingOf(headOf(`Content-Length: ${length}`))).toThrow(TransportError);
  });

  test("is refused where it is chunked as well", () => {
    const framing = framingOf(headOf("Content-Length: 3", CHUNKED));
    const content = [...(framing?.take(Buffer.from("5\r\nhello\r\n0\r\n\r\n")) ?? [])];
    expect(Buffer.concat(content).toString()).toBe("hello");
  });
});

test("content that ends with the connection has no framing; some responses have none", () => {
  expect(framingOf(headOf())).toBeNull();
  expect(framingOf(headOf("Transfer-Encoding: gzip"))).toBeNull();
  expect(framingOf(parseHead("HTTP/1.1 204 No Content"))?.isComplete).toBe(true);
});

describe("the head", () => {
  test("has its status and headers", () => {
    const head = parseHead(
      "HTTP/1.1 503 Service Unavailable\r\nX-One:  a b \r\nSet-Cookie: a\r\nset-cookie: b\r\nEmpty:",
    );
    expect(head.status).toBe(503);
    expect([...head.headers]).toEqual([
      ["x-one", "a b"],
      ["set-cookie", "a, b"],
      ["empty", ""],
    ]);
  });

  test("shows whether the connection stays open", () => {
    expect(headOf().keepsAlive).toBe(true);
    expect(headOf("Connection: Keep-Alive").keepsAlive).toBe(true);
    expect(headOf("Connection: Close").keepsAlive).toBe(false);
    expect(parseHead("HTTP/1.0 200 OK").keepsAlive).toBe(false);
  });

  test.each([
    "SSH-2.0-OpenSSH_9.6",
    "HTTP/2 200",
    "HTTP/1.1 20",
    "",
    "HTTP/1.1 200 OK\r\nno colon",
    "HTTP/1.1 200 OK\r\n: x",
  ])("of another protocol is an error: %j", (text) => {
    expect(() => parseHead(text)).toThrow("Expected a response in HTTP/1.1");
  });
});
