import { BlockChannel } from "./block-channel.ts";
import { compressed, decompressed, type Encoding } from "./compression.ts";
import type { Compression, ConnectionSettings } from "./connection.ts";
import { OpenInsert } from "./open-insert.ts";
import type { Query } from "./query.ts";
import { readText } from "./response.ts";
import {
  contentEncoding,
  isSuccess,
  MAX_ERROR_BYTES,
  type ResponseHead,
  responseError,
  responseProblem,
} from "./response-check.ts";
import { ServerError, TransportError } from "./server-errors.ts";
import { parameter } from "./sql.ts";
import { storedGzip } from "./stored-gzip.ts";
import type { Patience } from "./transport/byte-socket.ts";
import type { Connector } from "./transport/connector.ts";
import { credentialHeaders } from "./transport/credentials.ts";
import { HttpClient, type HttpResponse, type RequestBody } from "./transport/http-client.ts";

/** A response in Native format that has begun: its chunks, and what identifies an exception among them. */
export interface NativeResponse {
  /** Each is valid until the next is requested. Rejects with a TransportError when the response breaks off or stalls. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** The tag of exception messages within the response; undefined for servers before 25.11. */
  readonly exceptionTag: string | undefined;
  readonly queryId: string;
  /** Counts rows that were found in the chunks, for the record of the query. */
  countRows(rows: number): void;
}

/** Carries the two byte streams: the response of a page and the data of an INSERT, both in Native format. */
export class StreamClient {
  readonly #http: HttpClient;
  readonly #url: string;
  readonly #path: string;
  readonly #database: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #password: string;
  readonly #compression: Compression;

  constructor(connection: ConnectionSettings, connector: Connector, patience: Patience) {
    const { url, user, password, database, compression } = connection;
    this.#http = new HttpClient(connector, patience);
    this.#url = url;
    this.#path = new URL(url).pathname;
    this.#database = database;
    this.#headers = { ...credentialHeaders(user, password), "User-Agent": "clickhouse-backfill" };
    this.#password = password;
    this.#compression = compression ?? "none";
  }

  /** Closes idle connections. */
  close(): void {
    this.#http.close();
  }

  /** Begins a query without FORMAT for a response in Native. Rejects with a ServerError or a TransportError. */
  async select(query: Query, signal: AbortSignal): Promise<NativeResponse> {
    try {
      const sql = Buffer.from(`${query.sql} FORMAT Native`);
      const accepted: Record<string, string> =
        this.#compression === "none" ? {} : { "Accept-Encoding": this.#compression };
      const body = { parts: [sql], bytes: sql.length };
      const response = await this.#request(query, this.#search(query), accepted, body, signal);
      const { headers, isFramed } = response;
      const problem = responseProblem(headers, isFramed, "Native", this.#compression);
      if (problem !== null) {
        response.cancel();
        throw new TransportError(`${problem}; is there a proxy in between?`);
      }
      return {
        chunks: recorded(contentOf(response), query),
        exceptionTag: headers.get("x-clickhouse-exception-tag"),
        queryId: query.id,
        countRows: (rows) => {
          query.rows += rows;
        },
      };
    } catch (error) {
      query.end(error);
      throw error;
    }
  }

  /**
   * Sends `body` as the data of an INSERT and returns how many rows the server reports as written.
   * Rejects with a ServerError or a TransportError; then the rows may be written or not.
   */
  async insert(query: Query, body: readonly Buffer[], signal: AbortSignal): Promise<number> {
    query.bytes = body.reduce((sum, part) => sum + part.length, 0);
    return await this.#insert(query, { parts: body, bytes: query.bytes }, signal);
  }

  /**
   * Runs an INSERT … SELECT and returns how many rows the server reports as written; rows of materialized views count too.
   * Rejects with a ServerError or a TransportError; then the rows may be written or not, now or later.
   */
  async insertSelect(query: Query, signal: AbortSignal): Promise<number> {
    // As the body: in the URL it would have to fit what proxies take.
    const sql = Buffer.from(query.sql);
    try {
      const body = { parts: [sql], bytes: sql.length };
      const response = await this.#request(query, this.#search(query), {}, body, signal);
      query.rows = await writtenRows(response);
      query.end(null);
      return query.rows;
    } catch (error) {
      query.end(error);
      throw error;
    }
  }

  /** Begins an INSERT that stays open for blocks; `signal` ends it at once. Sealed: the server rejects data that ends early. */
  openInsert(query: Query, isSealed: boolean, signal: AbortSignal): OpenInsert {
    const channel = new BlockChannel();
    const data = { parts: countBytes(channel, query), bytes: null };
    return new OpenInsert(channel, this.#insert(query, data, signal, isSealed));
  }

  async #insert(query: Query, data: RequestBody, signal: AbortSignal, isSealed = false): Promise<number> {
    try {
      query.rows = await this.#write(query, data, signal, isSealed);
      query.end(null);
      return query.rows;
    } catch (error) {
      query.end(error);
      throw error;
    }
  }

  async #write(query: Query, data: RequestBody, signal: AbortSignal, isSealed: boolean): Promise<number> {
    const search = this.#search(query);
    search.set("query", query.sql);
    const compression = this.#compression;
    if (compression === "none") {
      if (!isSealed) return await writtenRows(await this.#request(query, search, {}, data, signal));
      const sealed = { parts: storedGzip(data.parts), bytes: null };
      const coding = { "Content-Encoding": "gzip" };
      return await writtenRows(await this.#request(query, search, coding, sealed, signal));
    }
    const parts = compressed(data.parts, compression);
    try {
      const coding = { "Content-Encoding": compression };
      return await writtenRows(await this.#request(query, search, coding, { parts, bytes: null }, signal));
    } finally {
      parts.destroy();
    }
  }

  #search({ id, params, settings }: Query): URLSearchParams {
    const search = new URLSearchParams({ database: this.#database, query_id: id });
    for (const [name, value] of Object.entries(params)) search.set(`param_${name}`, parameter(value));
    for (const [name, value] of Object.entries(settings)) search.set(name, String(value));
    return search;
  }

  /** Resolves to a response that is not the server's exception. */
  async #request(
    query: Query,
    search: URLSearchParams,
    headers: Readonly<Record<string, string>>,
    body: RequestBody,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const target = `${this.#path}?${search}`;
    const request = { target, headers: { ...this.#headers, ...headers }, body, onQuiet: query.onQuiet };
    const response = await this.#http.request(request, signal);
    if (isSuccess(response)) return response;
    const asker = { url: this.#url, password: this.#password, queryId: query.id };
    const error = await responseError(response, contentOf(response), asker);
    signal.throwIfAborted();
    throw error;
  }
}

/** Hands the chunks on, and records the query when they end. */
async function* recorded(
  chunks: AsyncIterable<Uint8Array>,
  query: Query,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    for await (const chunk of chunks) {
      query.bytes += chunk.length;
      yield chunk;
    }
  } catch (error) {
    query.end(error);
    throw error;
  } finally {
    // Also when nobody reads on.
    query.end(null);
  }
}

async function* countBytes(
  parts: AsyncIterable<Uint8Array>,
  query: Query,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const part of parts) {
    query.bytes += part.length;
    yield part;
  }
}

/** The content of a response, decompressed. */
function contentOf({
  headers,
  chunks,
}: ResponseHead & Pick<HttpResponse, "chunks">): AsyncIterable<Uint8Array> {
  const encoding = contentEncoding(headers);
  return isKnown(encoding) ? decompressed(chunks, encoding) : chunks;
}

function isKnown(encoding: string): encoding is Encoding {
  return encoding === "zstd" || encoding === "gzip";
}

/**
 * The rows written, by the X-ClickHouse-Summary header of the response; rows that materialized views write count too.
 * Without the header nothing shows that the rows arrived: throws a ServerError.
 */
async function writtenRows({ headers, chunks }: HttpResponse): Promise<number> {
  await readText(chunks, MAX_ERROR_BYTES);
  const rows = writtenIn(headers.get("x-clickhouse-summary") ?? "");
  if (rows !== null) return rows;
  throw new ServerError(
    0,
    200,
    "The response to an INSERT has no X-ClickHouse-Summary header with the rows written; is there a proxy in between that drops it?",
  );
}

function writtenIn(summary: string): number | null {
  try {
    const parsed: unknown = JSON.parse(summary);
    if (typeof parsed !== "object" || parsed === null || !("written_rows" in parsed)) return null;
    const rows = Number(parsed.written_rows);
    return Number.isSafeInteger(rows) ? rows : null;
  } catch {
    return null;
  }
}
