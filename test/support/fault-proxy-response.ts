import type { Socket } from "node:net";
import {
  constants,
  gunzipSync,
  gzipSync,
  type ZlibOptions,
  type ZstdOptions,
  zstdCompressSync,
  zstdDecompressSync,
} from "node:zlib";
import type { Fault, ResponseFraming } from "./fault-proxy-faults.ts";
import {
  announce,
  encodeHead,
  type Framing,
  frame,
  type Head,
  headerOf,
  send,
  setHeader,
  terminator,
} from "./fault-proxy-wire.ts";

/** A response on its way from the server: its head, its framing there, and its body as it arrives. */
export interface Upstream {
  readonly head: Head;
  readonly framing: Framing;
  readonly body: AsyncIterable<Buffer>;
}

const TAG = "dVZkzqsprXgaWlfM";

/**
 * Hands a response on, spoiled by the fault if that is about responds.
 * Resolves to whether the connection can serve another request.
 */
export async function relayResponse(
  client: Socket,
  upstream: Upstream,
  fault: Fault | null,
): Promise<boolean> {
  setHeader(upstream.head, "Connection", "keep-alive");
  switch (fault?.kind) {
    case "cutResponse":
      await sendCut(client, upstream, fault);
      return false;
    case "exception":
      await sendException(client, upstream, fault);
      return fault.style === "plain";
    case "stall":
      await sendStalling(client, upstream, fault.afterBytes);
      return false;
    case "edit": {
      fault.head?.(upstream.head);
      const body = await collect(upstream.body);
      await sendWhole(client, upstream.head, fault.body?.(body) ?? body);
      return true;
    }
    default:
      return await sendAsItComes(client, upstream);
  }
}

/** Sends a whole response with its length. */
export async function sendWhole(client: Socket, head: Head, body: Buffer): Promise<void> {
  announce(head, { kind: "length", bytes: body.length });
  await send(client, Buffer.concat([encodeHead(head), body]));
}

/** All bytes of a body. */
export async function collect(body: AsyncIterable<Buffer>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(body));
}

/** A body that is there already. */
export async function* iterate(bytes: Buffer): AsyncGenerator<Buffer, void, void> {
  if (bytes.length > 0) yield bytes;
}

/** The first bytes of a body; the chunks that follow are left in it. */
export async function* upTo(body: AsyncIterable<Buffer>, bytes: number): AsyncGenerator<Buffer, void, void> {
  // Leaving a `for await` would close the body.
  const chunks = body[Symbol.asyncIterator]();
  for (let left = bytes; left > 0; ) {
    const next = await chunks.next();
    if (next.done === true) return;
    yield next.value.subarray(0, left);
    left -= next.value.length;
  }
}

async function sendAsItComes(client: Socket, { head, framing, body }: Upstream): Promise<boolean> {
  announce(head, framing);
  if (framing.kind === "close") setHeader(head, "Connection", "close");
  await send(client, encodeHead(head));
  for await (const bytes of body) await send(client, frame(bytes, framing));
  await send(client, terminator(framing));
  return framing.kind !== "close";
}

async function sendCut(
  client: Socket,
  upstream: Upstream,
  fault: Extract<Fault, { kind: "cutResponse" }>,
): Promise<void> {
  const { head } = upstream;
  const { framing, body } = await reframe(upstream, fault.framing);
  announce(head, framing);
  if (framing.kind === "close") setHeader(head, "Connection", "close");
  await send(client, encodeHead(head));
  for await (const bytes of upTo(body, fault.afterBytes)) await send(client, frame(bytes, framing));
  // A chunk that says it has 16 bytes, and 3 of them.
  if (fault.isMidChunk) await send(client, Buffer.from("10\r\nabc"));
  await flushed(client);
}

/** The framing that a fault asks for. A length that is not known yet takes reading the body first. */
async function reframe(
  upstream: Upstream,
  wanted: ResponseFraming,
): Promise<{ framing: Framing; body: AsyncIterable<Buffer> }> {
  if (wanted !== "length") return { framing: { kind: wanted }, body: upstream.body };
  const body = await collect(upstream.body);
  // One byte more than there is: cut after its last byte the response must still be short.
  return { framing: { kind: "length", bytes: body.length + 1 }, body: iterate(body) };
}

async function sendException(
  client: Socket,
  { head, body }: Upstream,
  { afterBytes, style, text }: Extract<Fault, { kind: "exception" }>,
): Promise<void> {
  const framing: Framing = { kind: "chunked" };
  announce(head, framing);
  setHeader(head, "X-ClickHouse-Exception-Tag", style === "tagged" ? TAG : null);
  await send(client, encodeHead(head));
  const message = `${text}\n`;
  const tagged = `\r\n__exception__\r\n${TAG}\r\n${message}${Buffer.byteLength(message)} ${TAG}\r\n__exception__\r\n`;
  const exception = Buffer.from(style === "tagged" ? tagged : message);
  const encoding = headerOf(head, "content-encoding");
  if (encoding === undefined) {
    for await (const bytes of upTo(body, afterBytes)) await send(client, frame(bytes, framing));
    await send(client, frame(exception, framing));
  } else {
    const content = decompress(await collect(body), encoding).subarray(0, afterBytes);
    const spoiled = compress(Buffer.concat([content, exception]), encoding, style === "plain");
    await send(client, frame(spoiled, framing));
  }
  if (style === "plain") await send(client, terminator(framing));
  else await flushed(client);
}

function decompress(bytes: Buffer, encoding: string): Buffer {
  if (bytes.length === 0) return bytes;
  return encoding === "gzip" ? gunzipSync(bytes) : zstdDecompressSync(bytes);
}

/**
 * The server writes its exception into the compressed stream. `isEnded`: as older servers did; since 25.11 the stream is
 * flushed and then left without an end (ClickHouse, WriteBufferFromHTTPServerResponse::cancelWithException).
 */
function compress(bytes: Buffer, encoding: string, isEnded: boolean): Buffer {
  const gzip: ZlibOptions = { finishFlush: isEnded ? constants.Z_FINISH : constants.Z_SYNC_FLUSH };
  const zstd: ZstdOptions = { finishFlush: isEnded ? constants.ZSTD_e_end : constants.ZSTD_e_flush };
  return encoding === "gzip" ? gzipSync(bytes, gzip) : zstdCompressSync(bytes, zstd);
}

async function sendStalling(client: Socket, { head, body }: Upstream, afterBytes: number): Promise<void> {
  const framing: Framing = { kind: "chunked" };
  if (afterBytes >= 0) {
    announce(head, framing);
    await send(client, encodeHead(head));
    for await (const bytes of upTo(body, afterBytes)) await send(client, frame(bytes, framing));
  }
  if (!client.destroyed) await new Promise((resolve) => client.once("close", resolve));
}

/** Ends the connection well, so that nothing that was written is lost on its way. */
async function flushed(client: Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    client.once("close", () => resolve());
    client.end(() => resolve());
  });
}
