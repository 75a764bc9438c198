import { TransportError } from "../server-errors.ts";
import type { HttpHead } from "./head.ts";

/** Finds where the content of a response ends (RFC 9112, section 6.3). */
export interface Framing {
  /** The content in the bytes that have arrived, as parts of them. Throws a TransportError for bytes that do not fit. */
  take(bytes: Buffer): Generator<Buffer, void, void>;
  /** All of the content has arrived. */
  readonly isComplete: boolean;
}

/** How the content of a response ends; null: with the connection, so that its end looks like a cut. */
export function framingOf({ status, headers }: HttpHead): Framing | null {
  if (status === 204 || status === 304) return new LengthFraming(0);
  if (/\bchunked\s*$/i.test(headers.get("transfer-encoding") ?? "")) return new ChunkedFraming();
  const length = headers.get("content-length");
  if (length === undefined) return null;
  if (!/^\d{1,15}$/.test(length)) throw new TransportError(`Content-Length: ${length} is no length`);
  return new LengthFraming(Number(length));
}

class LengthFraming implements Framing {
  #leftBytes: number;

  constructor(bytes: number) {
    this.#leftBytes = bytes;
  }

  get isComplete(): boolean {
    return this.#leftBytes === 0;
  }

  *take(bytes: Buffer): Generator<Buffer, void, void> {
    if (bytes.length > this.#leftBytes) throw new TransportError("The response goes on after its end");
    this.#leftBytes -= bytes.length;
    if (bytes.length > 0) yield bytes;
  }
}

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;
/** Of 2^52 bytes. */
const MAX_SIZE_DIGITS = 13;

/** What is expected next. */
const AT = {
  size: 0,
  /** The rest of the line of a size. */
  extension: 1,
  data: 2,
  /** The line break after a chunk's data. */
  dataEnd: 3,
  /** At the beginning of a line after the last chunk, and in the midst of one. */
  trailerStart: 4,
  trailer: 5,
  end: 6,
} as const;

/** Content in chunks, each after its size in hexadecimal digits (RFC 9112, section 7.1). Extensions and trailers are passed over. */
class ChunkedFraming implements Framing {
  #at: (typeof AT)[keyof typeof AT] = AT.size;
  #digits = 0;
  #size = 0;
  #leftBytes = 0;

  get isComplete(): boolean {
    return this.#at === AT.end;
  }

  *take(bytes: Buffer): Generator<Buffer, void, void> {
    for (let i = 0; i < bytes.length; ) {
      if (this.#at === AT.data) {
        const end = Math.min(bytes.length, i + this.#leftBytes);
        this.#leftBytes -= end - i;
        if (this.#leftBytes === 0) this.#at = AT.dataEnd;
        yield bytes.subarray(i, end);
        i = end;
      } else {
        this.#read(bytes[i++] as number);
      }
    }
  }

  /** Reads a byte between chunks. */
  #read(byte: number): void {
    switch (this.#at) {
      case AT.size:
        if (byte === CR || byte === LF || byte === SEMICOLON) this.#endSize(byte);
        else this.#readDigit(byte);
        return;
      case AT.extension:
        if (byte === LF) this.#beginChunk();
        return;
      case AT.dataEnd:
        if (byte === LF) this.#at = AT.size;
        else if (byte !== CR) throw malformed();
        return;
      case AT.trailerStart:
        if (byte === LF) this.#at = AT.end;
        else if (byte !== CR) this.#at = AT.trailer;
        return;
      case AT.trailer:
        if (byte === LF) this.#at = AT.trailerStart;
        return;
      default:
        throw new TransportError("The response goes on after its end");
    }
  }

  #readDigit(byte: number): void {
    const digit = Number.parseInt(String.fromCharCode(byte), 16);
    if (Number.isNaN(digit) || this.#digits === MAX_SIZE_DIGITS) throw malformed();
    this.#size = this.#size * 16 + digit;
    this.#digits++;
  }

  #endSize(byte: number): void {
    if (this.#digits === 0) throw malformed();
    if (byte === LF) this.#beginChunk();
    else this.#at = AT.extension;
  }

  #beginChunk(): void {
    this.#leftBytes = this.#size;
    this.#at = this.#size === 0 ? AT.trailerStart : AT.data;
    this.#size = 0;
    this.#digits = 0;
  }
}

function malformed(): TransportError {
  return new TransportError("The response's chunks cannot be read");
}
