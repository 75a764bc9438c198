import { freeMemory } from "../../bytes/free-memory.ts";
import { TransportError } from "../server-errors.ts";
import { ByteSocket, type Patience } from "./byte-socket.ts";
import type { Connector } from "./connector.ts";
import { type Framing, framingOf } from "./framing.ts";
import { type HttpHead, parseHead } from "./head.ts";

/** A request to a server. */
export interface HttpRequest {
  /** Path and query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: RequestBody;
  /** Called while the server is waited for and silent, with how long it has been. */
  readonly onQuiet?: (sinceMs: number) => void;
}

/** What goes out with a request. */
export interface RequestBody {
  readonly parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /** Size of all parts together; null: not known, so that they go out as chunks. */
  readonly bytes: number | null;
}

/** A response that has begun. */
export interface HttpResponse extends HttpHead {
  /**
   * The content as it arrives. Bytes are valid until the next ones are requested. Rejects with a TransportError when the
   * response breaks off or stalls, or with the reason of the request's signal.
   */
  readonly chunks: AsyncGenerator<Uint8Array, void, void>;
  /** Whether its end differs from a cut. */
  readonly isFramed: boolean;
  /** Ends the exchange when the content is not going to be read. */
  cancel(): void;
}

/** Below the servers' keep-alive timeout (3 s before 23.11), so that no request goes out on a socket about to close. */
const MAX_IDLE_MS = 1_500;
const MAX_HEAD_BYTES = 256 * 1024;
/** The runtime copies what the socket does not take at once: smaller writes need less memory, and half of the processor. */
const MAX_WRITE_BYTES = 512 * 1024;
const HEAD_END = "\r\n\r\n";
const CRLF = Buffer.from("\r\n");
const LAST_CHUNK = Buffer.from(`0${HEAD_END}`);

/**
 * HTTP/1.1 over the runtime's sockets (RFC 9112), as far as ClickHouse needs it: POST, bodies of known length or in chunks, no
 * redirects, no cookies. It is here since it hands bytes on in the memory in which they arrive, which halves what a client
 * of node:http or fetch takes of the processor for them.
 */
export class HttpClient {
  readonly #connector: Connector;
  readonly #patience: Patience;
  readonly #idle: { readonly socket: ByteSocket; readonly sinceMs: number }[] = [];

  constructor(connector: Connector, patience: Patience) {
    this.#connector = connector;
    this.#patience = patience;
  }

  /** Closes idle connections. */
  close(): void {
    for (const { socket } of this.#idle.splice(0)) socket.destroy(new TransportError("Closed"));
  }

  /**
   * Sends a request and resolves when its response has begun, whatever its status. Rejects with a TransportError, with the
   * error of the body's parts, or with the signal's reason.
   */
  async request(request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
    signal.throwIfAborted();
    const socket = this.#takeIdle() ?? new ByteSocket(await this.#connector.connect(signal));
    const exchange = new Exchange(socket, socket.watch(this.#patience, signal, request.onQuiet));
    return await exchange.begin(this.#headOf(request), request.body, () => this.#keep(socket));
  }

  #takeIdle(): ByteSocket | null {
    for (;;) {
      const last = this.#idle.pop();
      if (last === undefined) return null;
      const { socket, sinceMs } = last;
      // Bytes that nobody requested would be taken for the beginning of the next response.
      const isUsable = !socket.isClosed && !socket.hasUnread && performance.now() - sinceMs < MAX_IDLE_MS;
      if (isUsable) return socket;
      socket.destroy(new TransportError("Not used any more"));
    }
  }

  #keep(socket: ByteSocket): void {
    if (!socket.isClosed) this.#idle.push({ socket, sinceMs: performance.now() });
  }

  #headOf({ target, headers, body }: HttpRequest): Buffer {
    const length =
      body.bytes === null ? { "Transfer-Encoding": "chunked" } : { "Content-Length": String(body.bytes) };
    const { host, origin, proxyHeaders } = this.#connector;
    const lines = Object.entries({ Host: host, ...proxyHeaders, ...headers, ...length });
    return Buffer.from(
      `POST ${origin}${target} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`,
    );
  }
}

/** One request and its response. */
class Exchange {
  readonly #socket: ByteSocket;
  readonly #unwatch: () => void;
  #isSent = false;

  constructor(socket: ByteSocket, unwatch: () => void) {
    this.#socket = socket;
    this.#unwatch = unwatch;
  }

  /** `onReusable` is called when the connection takes another request. */
  async begin(head: Buffer, body: RequestBody, onReusable: () => void): Promise<HttpResponse> {
    void this.#send(head, body);
    try {
      const { rest, ...response } = await this.#readHead();
      const framing = framingOf(response);
      const chunks = this.#read(rest, framing, response.keepsAlive ? onReusable : null);
      return { ...response, chunks, isFramed: framing !== null, cancel: () => this.#end(notRead()) };
    } catch (error) {
      this.#end(error as Error);
      throw error;
    }
  }

  /** Sends the request; never rejects, since whoever reads the response gets the failure. */
  async #send(head: Buffer, { parts, bytes }: RequestBody): Promise<void> {
    const socket = this.#socket;
    try {
      await socket.write(head);
      for await (const part of parts) {
        // As a chunk it would be the last one.
        if (part.length === 0) continue;
        if (bytes === null) await socket.write(Buffer.from(`${part.length.toString(16)}\r\n`));
        for (let at = 0; at < part.length; at += MAX_WRITE_BYTES) {
          const bytesToSend = part.subarray(at, at + MAX_WRITE_BYTES);
          // The memory of a part of unknown followers is reused when the next one is requested.
          if (bytes === null) await socket.writeThrough(bytesToSend);
          else await socket.write(bytesToSend);
        }
        if (bytes === null) await socket.write(CRLF);
      }
      if (bytes === null) await socket.write(LAST_CHUNK);
      this.#isSent = true;
    } catch (error) {
      // A request without its end is void. Where the connection broke, a response may have come before.
      if (!socket.isClosed) socket.destroy(error as Error);
    }
  }

  /** Reads up to the content; `rest` is what has arrived of that already. */
  async #readHead(): Promise<HttpHead & { rest: Buffer }> {
    let bytes: Buffer = Buffer.alloc(0);
    for (;;) {
      const more = await this.#socket.read();
      if (more === null) throw new TransportError("The server closed the connection without a response");
      bytes = bytes.length === 0 ? more : Buffer.concat([bytes, more]);
      for (let end = bytes.indexOf(HEAD_END); end >= 0; end = bytes.indexOf(HEAD_END)) {
        const head = parseHead(bytes.toString("latin1", 0, end));
        bytes = bytes.subarray(end + HEAD_END.length);
        // Those of the first hundred only announce the response (RFC 9110, section 15.2).
        if (head.status >= 200) return { ...head, rest: bytes };
      }
      if (bytes.length > MAX_HEAD_BYTES) throw new TransportError("The response's headers do not end");
    }
  }

  async *#read(
    rest: Buffer,
    framing: Framing | null,
    onReusable: (() => void) | null,
  ): AsyncGenerator<Uint8Array, void, void> {
    let isReusable = false;
    try {
      if (framing === null) {
        yield rest;
        for (let bytes = await this.#socket.read(); bytes !== null; bytes = await this.#socket.read())
          yield bytes;
        return;
      }
      yield* framing.take(rest);
      while (!framing.isComplete) {
        const bytes = await this.#socket.read().catch(brokeOff);
        if (bytes === null)
          throw new TransportError("The response broke off: the server closed the connection");
        yield* framing.take(bytes);
        freeMemory(bytes);
      }
      isReusable = this.#isSent && onReusable !== null;
    } finally {
      if (!isReusable) this.#end(notRead());
    }
    this.#unwatch();
    onReusable?.();
  }

  #end(error: Error): void {
    this.#unwatch();
    this.#socket.destroy(error);
  }
}

/** Says of what happened to the connection what it happened to. */
function brokeOff(error: unknown): never {
  if (!(error instanceof TransportError) || error.cause === undefined) throw error;
  throw new TransportError(`The response broke off: ${error.message}`, { cause: error.cause });
}

function notRead(): TransportError {
  return new TransportError("The response was not read to its end");
}
