import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { hostname } from "node:os";
import { constants, createGzip, createZstdCompress, type Gzip, type ZstdCompress } from "node:zlib";
import { type EngineException, httpStatusOf } from "./exception.ts";

/** The counters of X-ClickHouse-Summary. */
export interface Summary {
  readonly readRows: number;
  readonly readBytes: number;
  readonly writtenRows: number;
  readonly writtenBytes: number;
  readonly totalRowsToRead: number;
  readonly resultRows: number;
  readonly resultBytes: number;
}

export const EMPTY_SUMMARY: Summary = {
  readRows: 0,
  readBytes: 0,
  writtenRows: 0,
  writtenBytes: 0,
  totalRowsToRead: 0,
  resultRows: 0,
  resultBytes: 0,
};

/** What `enable_http_compression` and `http_zlib_compression_level` say. */
export interface CompressionSettings {
  readonly isEnabled: boolean;
  /** Of either encoding. */
  readonly level: number;
}

/** How a response is compressed. */
export interface Compression {
  readonly encoding: "gzip" | "zstd";
  readonly level: number;
}

/** Raised when the client has closed the connection: no one is left to respond to. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

/** One response: headers with the first bytes, then a body sent as fast as the client takes it. */
export class QueryResponse {
  readonly queryId: string;
  readonly #response: ServerResponse;
  readonly #startedAt = performance.now();
  readonly #tag = randomBytes(8).toString("hex");
  readonly #version: string;
  readonly #compression: Compression | undefined;
  readonly #gone = new AbortController();
  #compressor: Gzip | ZstdCompress | undefined;

  constructor(
    response: ServerResponse,
    options: {
      readonly queryId: string;
      readonly version: string;
      readonly timezone: string;
      readonly compression: Compression | undefined;
    },
  ) {
    this.queryId = options.queryId;
    this.#response = response;
    this.#version = options.version;
    this.#compression = options.compression;
    response.on("close", () => {
      if (!response.writableFinished) this.#gone.abort(new ClientGone("The client closed the connection"));
    });
    response.setHeader("X-ClickHouse-Server-Display-Name", hostname());
    response.setHeader("X-ClickHouse-Query-Id", options.queryId);
    response.setHeader("X-ClickHouse-Timezone", options.timezone);
    response.setHeader("X-ClickHouse-Exception-Tag", this.#tag);
  }

  /** Aborted, with a {@link ClientGone}, when the client closes the connection before the response's end. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Fixes the headers; they leave with the first bytes. */
  begin(format: string | undefined, summary: Summary): void {
    if (format !== undefined) {
      this.#response.setHeader("X-ClickHouse-Format", format);
      this.#response.setHeader("Content-Type", contentTypeOf(format));
    }
    this.#response.setHeader("X-ClickHouse-Summary", this.#summaryText(summary));
    if (this.#compression !== undefined) {
      this.#response.setHeader("Content-Encoding", this.#compression.encoding);
      this.#compressor = compressorOf(this.#compression);
      this.#compressor.pipe(this.#response);
    }
  }

  /** Resolves when there is room for more. @throws {ClientGone} */
  async write(bytes: Uint8Array): Promise<void> {
    this.gone.throwIfAborted();
    const target = this.#compressor ?? this.#response;
    if (!target.write(bytes)) await this.#event(target, "drain");
  }

  /** Ends the response well. */
  async end(): Promise<void> {
    this.gone.throwIfAborted();
    const finished = this.#event(this.#response, "finish");
    (this.#compressor ?? this.#response).end();
    await finished;
  }

  /**
   * Ends the response badly: as a plain error while nothing has left, else with the tagged block that servers from 25.11
   * write, and without the last chunk, so that no client takes the body for complete.
   */
  async fail(exception: EngineException): Promise<void> {
    if (this.gone.aborted) return;
    const message = `${exception.message} (version ${this.#version})`;
    if (!this.#response.headersSent && this.#compressor === undefined) {
      this.#response.statusCode = httpStatusOf(exception.code);
      this.#response.setHeader("Content-Type", "text/plain; charset=UTF-8");
      this.#response.setHeader("X-ClickHouse-Exception-Code", exception.code);
      this.#response.setHeader("X-ClickHouse-Summary", this.#summaryText(EMPTY_SUMMARY));
      this.#response.end(`${message}\n`);
      return;
    }
    const text = `${message}\n`;
    const block = `\r\n__exception__\r\n${this.#tag}\r\n${text}${Buffer.byteLength(text)} ${this.#tag}\r\n__exception__\r\n`;
    await this.#writeFlushed(Buffer.from(block));
    this.#response.socket?.end();
  }

  async #writeFlushed(bytes: Buffer): Promise<void> {
    if (this.#compressor !== undefined) {
      const compressor = this.#compressor;
      compressor.write(bytes);
      const flush = this.#compression?.encoding === "gzip" ? constants.Z_SYNC_FLUSH : constants.ZSTD_e_flush;
      await new Promise<void>((resolve) => compressor.flush(flush, resolve));
    } else {
      this.#response.write(bytes);
    }
    if (this.#response.writableNeedDrain) await this.#event(this.#response, "drain").catch(ignoreGone);
  }

  async #event(target: ServerResponse | Gzip | ZstdCompress, event: "drain" | "finish"): Promise<void> {
    try {
      await once(target, event, { signal: this.gone });
    } catch (error) {
      this.gone.throwIfAborted();
      throw error;
    }
  }

  #summaryText(summary: Summary): string {
    const text = (value: number) => String(Math.round(value));
    return JSON.stringify({
      read_rows: text(summary.readRows),
      read_bytes: text(summary.readBytes),
      written_rows: text(summary.writtenRows),
      written_bytes: text(summary.writtenBytes),
      total_rows_to_read: text(summary.totalRowsToRead),
      result_rows: text(summary.resultRows),
      result_bytes: text(summary.resultBytes),
      elapsed_ns: text((performance.now() - this.#startedAt) * 1e6),
    });
  }
}

/** How to compress the response: in one of the client's encodings, if the settings have it compressed. */
export function responseCompression(
  request: IncomingMessage,
  { isEnabled, level }: CompressionSettings,
): Compression | undefined {
  if (!isEnabled) return undefined;
  const accepted = String(request.headers["accept-encoding"] ?? "");
  const encoding = (["gzip", "zstd"] as const).find((name) => new RegExp(`\\b${name}\\b`).test(accepted));
  return encoding && { encoding, level };
}

function compressorOf({ encoding, level }: Compression): Gzip | ZstdCompress {
  if (encoding === "gzip") return createGzip({ level, chunkSize: COMPRESSED_CHUNK_BYTES });
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 };
  return createZstdCompress({ params, chunkSize: COMPRESSED_CHUNK_BYTES });
}

const COMPRESSED_CHUNK_BYTES = 262_144;

function ignoreGone(error: unknown): void {
  if (!(error instanceof ClientGone)) throw error;
}

function contentTypeOf(format: string): string {
  if (/^(TSV|TabSeparated)/i.test(format)) return "text/tab-separated-values; charset=UTF-8";
  if (/^CSV/i.test(format)) return "text/csv; charset=UTF-8";
  if (/EachRow|NDJSON|JSONLines/i.test(format)) return "application/x-ndjson; charset=UTF-8";
  if (/^JSON/i.test(format)) return "application/json; charset=UTF-8";
  if (/^(Native|RowBinary|Parquet|Arrow|ORC|Avro|MsgPack|Npy|BSON|Protobuf)/i.test(format)) {
    return "application/octet-stream";
  }
  return "text/plain; charset=UTF-8";
}
