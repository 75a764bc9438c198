import { Readable } from "node:stream";
import { getCACertificates } from "node:tls";
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from "@clickhouse/client";
import { describeNetworkError, exceptionIn, readChunks, readLines, readText, stalled } from "./answer.ts";
import { compressed, decompressed, type Encoding } from "./compression.ts";
import type { Compression, ConnectionSettings } from "./connection.ts";
import { ServerError, TransportError } from "./errors.ts";

/** Values of `{name:Type}` parameters. */
export type QueryParams = Readonly<Record<string, string | number>>;
/** ClickHouse settings of one request. */
export type QuerySettings = Readonly<Record<string, string | number>>;

/** A statement with its parameters and settings. */
export interface Statement {
  readonly sql: string;
  readonly params?: QueryParams;
  readonly settings?: QuerySettings;
}

/** The formats of answers that this program reads. */
export type AnswerFormat = "Native" | "JSONCompactEachRow";

/** An answer that has begun: its chunks, and what tells an exception in their midst. */
export interface Answer {
  /** Rejects with a TransportError when the answer breaks off or stalls. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** The tag of exception messages in the midst of the answer; undefined for servers before 25.11. */
  readonly exceptionTag: string | undefined;
}

/** No byte for that long means that no answer is coming: longer than any pause of a healthy server. */
const STALL_TIMEOUT_MS = 300_000;
/** The client's own timeout also fires on slow consumers, so it is out of the way; stalls are detected here. */
const CLIENT_TIMEOUT_MS = 2 ** 31 - 1;
/** Below the servers' keep-alive timeout (3 s before 23.11), so that no request goes out on a socket about to close. */
const IDLE_SOCKET_TTL_MS = 1_500;
const MAX_ERROR_BYTES = 64 * 1024;

type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** A ClickHouse server, by its HTTP interface. */
export class Server {
  readonly #client: ClickHouseClient;
  readonly #stallTimeoutMs: number;
  readonly #compression: Compression;
  /** Sent with every query for rows; none before it is known which ones the server takes. */
  querySettings: QuerySettings = {};

  constructor(connection: ConnectionSettings) {
    this.#stallTimeoutMs = connection.stallTimeoutMs ?? STALL_TIMEOUT_MS;
    this.#compression = connection.compression ?? "none";
    this.#client = createClient({
      url: connection.url,
      username: connection.user,
      password: connection.password,
      database: connection.database,
      application: "clickhouse-backfill",
      request_timeout: CLIENT_TIMEOUT_MS,
      max_open_connections: 64,
      // Bun trusts the certificates that it brings; those that a company has installed count as well.
      ...(connection.url.startsWith("https:") ? { tls: { ca_cert: trustedCertificates() } } : {}),
      keep_alive: { enabled: true, idle_socket_ttl: IDLE_SOCKET_TTL_MS, eagerly_destroy_stale_sockets: true },
      // Every error reaches the caller; a second telling of it would only garble the progress bar.
      log: { level: ClickHouseLogLevel.OFF },
    });
  }

  /** Closes idle connections. */
  close(): Promise<void> {
    return this.#client.close();
  }

  /**
   * The rows of a query as they arrive, as arrays of JSON values; 64-bit numbers come as strings or as numbers, as the
   * server's settings have it. Throws a ServerError or a TransportError.
   */
  async *rows(statement: Statement, signal: AbortSignal): AsyncGenerator<unknown[], void, void> {
    const settings = { ...this.querySettings, ...statement.settings };
    const answer = await this.select({ ...statement, settings }, "JSONCompactEachRow", signal);
    const lines = readLines(answer.chunks);
    for await (const line of lines) {
      const row = parseJson(line);
      if (!Array.isArray(row)) throw await unreadable(line, lines, answer.exceptionTag);
      yield row;
    }
  }

  /** All rows of a query with a small answer. */
  async allRows(statement: Statement, signal: AbortSignal): Promise<unknown[][]> {
    return await Array.fromAsync(this.rows(statement, signal));
  }

  /** Begins a query without FORMAT, for an answer in `format`. Rejects with a ServerError or a TransportError. */
  async select(statement: Statement, format: AnswerFormat, signal: AbortSignal): Promise<Answer> {
    const sql = `${statement.sql} FORMAT ${format}`;
    // The other answers are small.
    const asked = format === "Native" ? this.#compression : "none";
    const accepted: Record<string, string> = asked === "none" ? {} : { "Accept-Encoding": asked };
    const { stream, headers } = await this.#request({ ...statement, sql }, accepted, undefined, signal);
    const problem = answerProblem(headers, format, asked);
    if (problem !== null) {
      stream.destroy();
      throw new TransportError(`${problem}; is there a proxy in between?`);
    }
    const tag = headers["x-clickhouse-exception-tag"];
    return {
      chunks: this.#read(stream, headers, signal),
      exceptionTag: typeof tag === "string" ? tag : undefined,
    };
  }

  /**
   * Sends `body` as the data of an INSERT and returns how many rows the server says it wrote.
   * Rejects with a ServerError or a TransportError; then the rows may be written or not.
   */
  async insert(statement: Statement, body: readonly Buffer[], signal: AbortSignal): Promise<number> {
    const { source, httpHeaders } = requestBody(body, this.#compression);
    const { stream, headers } = await this.#request(statement, httpHeaders, source, signal);
    await readText(readChunks(stream, this.#stallTimeoutMs, signal), MAX_ERROR_BYTES);
    return writtenRows(headers["x-clickhouse-summary"]);
  }

  async #request(
    { sql, params, settings }: Statement,
    httpHeaders: Readonly<Record<string, string>>,
    values: Readable | undefined,
    signal: AbortSignal,
  ): Promise<{ stream: Readable; headers: ResponseHeaders }> {
    signal.throwIfAborted();
    const request = {
      query: sql,
      ...(params === undefined ? {} : { query_params: params }),
      ...(settings === undefined ? {} : { clickhouse_settings: settings }),
      http_headers: { ...httpHeaders },
      ignore_error_response: true,
      // Here: the client takes a zstd frame that is cut for a whole one, and drops what came before an error.
      decompress_response_stream: false,
    };
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), this.#stallTimeoutMs);
    const abortSignal = AbortSignal.any([signal, deadline.signal]);
    const result = await this.#client
      .exec({ ...request, abort_signal: abortSignal, ...(values === undefined ? {} : { values }) })
      .catch((error: unknown) => {
        signal.throwIfAborted();
        if (deadline.signal.aborted) throw stalled(this.#stallTimeoutMs);
        throw new TransportError(describeNetworkError(error), { cause: error });
      })
      .finally(() => clearTimeout(timer));
    const headers = result.response_headers;
    const status = result.http_status_code ?? 0;
    const code = Number(headers["x-clickhouse-exception-code"] ?? 0);
    if (status >= 200 && status < 300 && code === 0) return { stream: result.stream, headers };
    const chunks = this.#read(result.stream, headers, signal);
    // What is known already says more than that its text was cut off.
    const text = await readText(chunks, MAX_ERROR_BYTES).catch(() => "");
    signal.throwIfAborted();
    throw new ServerError(
      code,
      status,
      text.trim() || `HTTP status ${status}, code ${code}, without a message`,
    );
  }

  /** The content of an answer. */
  #read(stream: Readable, headers: ResponseHeaders, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const chunks = readChunks(stream, this.#stallTimeoutMs, signal);
    const encoding = encodingOf(headers);
    return isKnown(encoding) ? decompressed(chunks, encoding) : chunks;
  }
}

/** What goes out as the data of an INSERT, and the headers that tell of it. */
function requestBody(
  body: readonly Buffer[],
  compression: Compression,
): { source: Readable; httpHeaders: Readonly<Record<string, string>> } {
  if (compression !== "none") {
    return { source: compressed(body, compression), httpHeaders: { "Content-Encoding": compression } };
  }
  // A body of known length takes 40 % less of the processor than one in chunks.
  const bytes = body.reduce((sum, part) => sum + part.length, 0);
  return {
    source: Readable.from(body, { objectMode: false, highWaterMark: 2 ** 20 }),
    httpHeaders: { "Content-Length": String(bytes) },
  };
}

/** The coding of an answer's content; "identity" is none (RFC 9110, section 12.5.3). */
function encodingOf(headers: ResponseHeaders): string {
  const encoding = String(headers["content-encoding"] ?? "identity").toLowerCase();
  return encoding === "identity" ? "none" : encoding;
}

function isKnown(encoding: string): encoding is Encoding {
  return encoding === "zstd" || encoding === "gzip";
}

/** The error of an answer with a line that is not JSON: the server's exception, if what follows shows one. */
async function unreadable(
  line: string,
  following: AsyncIterator<string>,
  exceptionTag: string | undefined,
): Promise<ServerError | TransportError> {
  let text = line;
  while (text.length < MAX_ERROR_BYTES) {
    // The answer is known to be broken; how it ends adds nothing.
    const next = await following.next().catch(() => null);
    if (next === null || next.done === true) break;
    text += `\n${next.value}`;
  }
  const exception = exceptionIn(Buffer.from(text), exceptionTag);
  return exception ?? new TransportError(`Expected JSON, got ${JSON.stringify(text.slice(0, 200))}`);
}

/** The certificates that Bun brings, those of the system, and those of NODE_EXTRA_CA_CERTS, as PEM. */
function trustedCertificates(): Buffer {
  const all = (["bundled", "system", "extra"] as const).flatMap((kind) => getCACertificates(kind));
  return Buffer.from([...new Set(all)].join("\n"));
}

/** Why an answer cannot be trusted to be ClickHouse's, and to be whole when it ends; null when it can. */
function answerProblem(
  headers: ResponseHeaders,
  format: AnswerFormat,
  compression: Compression,
): string | null {
  if (headers["x-clickhouse-format"] !== format) {
    return `An answer without the header X-ClickHouse-Format: ${format}, which is not ClickHouse's`;
  }
  if (headers["content-length"] === undefined && headers["transfer-encoding"] === undefined) {
    return "An answer with neither Content-Length nor chunked encoding, whose end could not be told from a cut";
  }
  const encoding = encodingOf(headers);
  if (encoding !== "none" && encoding !== compression) {
    return `An answer with Content-Encoding: ${encoding}, which was not asked for`;
  }
  return null;
}

/**
 * The rows written, by the X-ClickHouse-Summary header of the answer; materialized views count too.
 * Without the header nothing proves that the rows arrived: throws a ServerError.
 */
function writtenRows(summary: string | string[] | undefined): number {
  const parsed: unknown = typeof summary === "string" ? parseJson(summary) : undefined;
  if (typeof parsed === "object" && parsed !== null && "written_rows" in parsed) {
    const rows = Number(parsed.written_rows);
    if (Number.isSafeInteger(rows)) return rows;
  }
  throw new ServerError(
    0,
    200,
    "The answer to an INSERT has no X-ClickHouse-Summary header that tells the rows written; is there a proxy in between that drops it?",
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
