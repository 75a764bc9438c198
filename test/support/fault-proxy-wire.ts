import type { Socket } from "node:net";

/** The start of an HTTP/1.1 message: its first line and its headers, names as they came. */
export interface Head {
  startLine: string;
  headers: [name: string, value: string][];
}

/** How a body's end is told (RFC 9112, section 6). `close`: by the end of the connection. */
export type Framing =
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "close" };

/** The connection ended in the middle of a message. */
export class CutError extends Error {
  override readonly name = "CutError";
}

const HEAD_END = "\r\n\r\n";

/** Reads HTTP messages off a socket, one after another, as the bytes arrive. */
export class MessageReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]();
  }

  /** The next message's head, or null when the connection has ended before it. */
  async head(): Promise<Head | null> {
    let end = this.#rest.indexOf(HEAD_END);
    while (end < 0) {
      if (!(await this.#more())) {
        if (this.#rest.length === 0) return null;
        throw new CutError("The connection ended within the head of a message");
      }
      end = this.#rest.indexOf(HEAD_END);
    }
    const [startLine = "", ...lines] = this.#rest.toString("latin1", 0, end).split("\r\n");
    this.#rest = this.#rest.subarray(end + HEAD_END.length);
    const headers = lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    });
    return { startLine, headers };
  }

  /** The body's bytes as they arrive, without framing. Throws a CutError when the connection ends early. */
  async *body(framing: Framing): AsyncGenerator<Buffer, void, void> {
    switch (framing.kind) {
      case "length":
        return yield* this.#exactly(framing.bytes);
      case "chunked":
        for (;;) {
          const bytes = Number.parseInt(await this.#line(), 16);
          if (bytes > 0) yield* this.#exactly(bytes);
          await this.#line();
          if (bytes === 0) return;
        }
      case "close":
        do {
          if (this.#rest.length > 0) yield this.#take(this.#rest.length);
        } while (await this.#more());
    }
  }

  async *#exactly(bytes: number): AsyncGenerator<Buffer, void, void> {
    for (let left = bytes; left > 0; ) {
      if (this.#rest.length === 0 && !(await this.#more())) throw new CutError(`${left} bytes are missing`);
      const taken = this.#take(Math.min(left, this.#rest.length));
      left -= taken.length;
      yield taken;
    }
  }

  async #line(): Promise<string> {
    let end = this.#rest.indexOf("\r\n");
    while (end < 0) {
      if (!(await this.#more())) throw new CutError("The connection ended within chunked encoding");
      end = this.#rest.indexOf("\r\n");
    }
    const line = this.#take(end).toString("latin1");
    this.#take(2);
    return line;
  }

  #take(bytes: number): Buffer {
    const taken = this.#rest.subarray(0, bytes);
    this.#rest = this.#rest.subarray(bytes);
    return taken;
  }

  async #more(): Promise<boolean> {
    // A reset counts as an end: which of the two it was is not ours to judge.
    const next = await this.#chunks.next().catch(() => null);
    if (next === null || next.done === true) return false;
    this.#rest = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value]);
    return true;
  }
}

/** The value of a header, or undefined. */
export function headerOf(head: Head, name: string): string | undefined {
  return head.headers.find(([key]) => key.toLowerCase() === name)?.[1];
}

/** Sets a header; null removes it. */
export function setHeader(head: Head, name: string, value: string | null): void {
  const others = head.headers.filter(([key]) => key.toLowerCase() !== name.toLowerCase());
  head.headers = value === null ? others : [...others, [name, value]];
}

/** Makes a head announce a framing. */
export function announce(head: Head, framing: Framing): void {
  setHeader(head, "Content-Length", framing.kind === "length" ? String(framing.bytes) : null);
  setHeader(head, "Transfer-Encoding", framing.kind === "chunked" ? "chunked" : null);
}

/** The framing that a head announces; `otherwise` is what the absence of both headers means. */
export function framingOf(head: Head, otherwise: Framing): Framing {
  if (headerOf(head, "transfer-encoding")?.toLowerCase() === "chunked") return { kind: "chunked" };
  const length = headerOf(head, "content-length");
  return length === undefined ? otherwise : { kind: "length", bytes: Number(length) };
}

export function encodeHead({ startLine, headers }: Head): Buffer {
  const lines = [startLine, ...headers.map(([name, value]) => `${name}: ${value}`)];
  return Buffer.from(`${lines.join("\r\n")}${HEAD_END}`, "latin1");
}

/** Bytes of a body in their framing. */
export function frame(bytes: Buffer, framing: Framing): Buffer {
  if (framing.kind !== "chunked") return bytes;
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);
}

/** What ends a body in this framing. */
export function terminator(framing: Framing): Buffer {
  return Buffer.from(framing.kind === "chunked" ? "0\r\n\r\n" : "");
}

/** Writes, and waits while the other side is slow to read. Throws a CutError when it is gone. */
export async function send(socket: Socket, bytes: Buffer): Promise<void> {
  if (socket.destroyed || !socket.writable) throw new CutError("The other side is gone");
  if (bytes.length === 0 || socket.write(bytes)) return;
  await new Promise<void>((resolve, reject) => {
    const settle = (): void => {
      socket.off("drain", settle);
      socket.off("close", settle);
      if (socket.destroyed) reject(new CutError("The other side is gone"));
      else resolve();
    };
    socket.on("drain", settle);
    socket.on("close", settle);
  });
}
