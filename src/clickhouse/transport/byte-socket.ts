import type { Socket } from "node:net";
import { describeNetworkError } from "../response.ts";
import { TransportError } from "../server-errors.ts";

/** More than that is not read ahead of a consumer who is busy. */
const MAX_WAITING_BYTES = 2 ** 20;

/** How long a silent server is waited for. */
export interface Patience {
  /** Then the wait ends with an error. */
  readonly timeoutMs: number;
  /** Then the silence is reported, and again each time that it has doubled. */
  readonly quietAfterMs: number;
}

/**
 * A socket that is read and written by waiting for it. Bytes are handed on in the memory in which they arrived, which is the
 * reader's from then on.
 */
export class ByteSocket {
  readonly #socket: Socket;
  readonly #arrived: Buffer[] = [];
  #arrivedBytes = 0;
  #hasEnded = false;
  #failure: Error | null = null;
  #wakeReader: (() => void) | null = null;
  #wakeWriter: (() => void) | null = null;
  #pendingWrite = false;
  /** When the wait began, or bytes came or went during it. */
  #waitingSinceMs = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#takeIn(bytes));
    socket.on("drain", () => this.#wakeUp());
    socket.on("end", () => this.#end(null));
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => this.#end(null));
  }

  /** Nothing can be sent or received any more. */
  get isClosed(): boolean {
    return this.#hasEnded || this.#failure !== null;
  }

  /** Bytes have arrived that nobody has read. */
  get hasUnread(): boolean {
    return this.#arrived.length > 0;
  }

  /**
   * The next bytes, or null when the peer sends no more. Rejects with the error that the socket was destroyed with, or with a
   * TransportError, after all that had arrived before it.
   */
  async read(): Promise<Buffer | null> {
    for (;;) {
      const bytes = this.#arrived.shift();
      if (bytes !== undefined) {
        this.#arrivedBytes -= bytes.length;
        if (this.#socket.isPaused() && this.#arrivedBytes < MAX_WAITING_BYTES) this.#socket.resume();
        return bytes;
      }
      if (this.#failure !== null) throw this.#failure;
      if (this.#hasEnded) return null;
      this.#waitingSinceMs = performance.now();
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }

  /** Resolves when there is room for more. Rejects when the bytes cannot go out any more. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#throwIfClosed();
    if (this.#socket.write(bytes)) return;
    this.#waitingSinceMs = performance.now();
    await new Promise<void>((resolve) => {
      this.#wakeWriter = resolve;
    });
    this.#throwIfClosed();
  }

  /**
   * Resolves when the bytes have left the runtime, so that their memory may serve others: a socket that still connects, or that
   * has another write under way, keeps no copy of what it has accepted. Rejects when they cannot go out.
   */
  async writeThrough(bytes: Uint8Array): Promise<void> {
    this.#throwIfClosed();
    this.#waitingSinceMs = performance.now();
    const { promise, resolve } = Promise.withResolvers<void>();
    // An error, or the end of the connection, wakes the writer as well.
    this.#wakeWriter = resolve;
    this.#pendingWrite = true;
    this.#socket.write(bytes, () => {
      this.#pendingWrite = false;
      this.#wakeUp();
    });
    await promise;
    this.#throwIfClosed();
  }

  /**
   * Destroys the socket when somebody has waited for `timeoutMs` and nothing has come or gone, and when the signal fires,
   * with its reason; until the returned function is called. `onQuiet` is called with the length
   * of a silence that is worth a report.
   */
  watch(
    { timeoutMs, quietAfterMs }: Patience,
    signal: AbortSignal,
    onQuiet?: (sinceMs: number) => void,
  ): () => void {
    let reportAtMs = quietAfterMs;
    // One timer for the whole exchange: arming one per chunk would cost more than the chunks.
    const timer = setInterval(
      () => {
        const isWaitedFor = this.#wakeReader !== null || this.#wakeWriter !== null;
        const sinceMs = isWaitedFor ? performance.now() - this.#waitingSinceMs : 0;
        if (sinceMs > timeoutMs) this.destroy(stalled(timeoutMs));
        else if (sinceMs < quietAfterMs) reportAtMs = quietAfterMs;
        else if (sinceMs >= reportAtMs) {
          onQuiet?.(sinceMs);
          reportAtMs *= 2;
        }
      },
      Math.min(timeoutMs / 4, quietAfterMs / 10),
    );
    const abort = (): void => this.destroy(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    return () => {
      clearInterval(timer);
      signal.removeEventListener("abort", abort);
    };
  }

  /** Ends the connection at once; whoever waits for it gets the error. */
  destroy(error: Error): void {
    this.#failure ??= error;
    this.#socket.destroy();
    this.#wakeUp();
  }

  #takeIn(bytes: Buffer): void {
    this.#arrived.push(bytes);
    this.#arrivedBytes += bytes.length;
    if (this.#arrivedBytes >= MAX_WAITING_BYTES) this.#socket.pause();
    this.#wakeUp();
  }

  #end(error: Error | null): void {
    if (error !== null && !this.isClosed) {
      this.#failure = new TransportError(describeNetworkError(error), { cause: error });
    }
    this.#hasEnded = true;
    this.#wakeUp();
  }

  #throwIfClosed(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#hasEnded) throw new TransportError("The server closed the connection");
  }

  #wakeUp(): void {
    this.#waitingSinceMs = performance.now();
    this.#wakeReader?.();
    this.#wakeReader = null;
    // Bytes that arrive make no room for those that go out.
    if ((this.#pendingWrite || this.#socket.writableNeedDrain) && !this.isClosed) return;
    this.#wakeWriter?.();
    this.#wakeWriter = null;
  }
}

/** The error of a server that fell silent. */
export function stalled(timeoutMs: number): TransportError {
  return new TransportError(`The server sent nothing for ${Math.round(timeoutMs / 1000)} s`);
}
