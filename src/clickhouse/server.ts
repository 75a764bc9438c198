import { randomUUID } from "node:crypto";
import { exceptionIn, readLines, readText } from "./answer.ts";
import { BlockChannel } from "./block-channel.ts";
import { compressed, decompressed, type Encoding } from "./compression.ts";
import type { Compression, ConnectionSettings } from "./connection.ts";
import { foreignResponse, isClickHouse } from "./foreign-response.ts";
import { OpenInsert } from "./open-insert.ts";
import { beginningOf, describeWait, type QueryObserver } from "./query-observer.ts";
import { ServerError, TransportError } from "./server-errors.ts";
import { FIRST_QUERY_SETTINGS } from "./settings/server-settings.ts";
import type { StatementSettings } from "./settings/statement-settings.ts";
import { parameter } from "./sql.ts";
import type { Statement } from "./statement.ts";
import type { Patience } from "./transport/byte-socket.ts";
import { credentialHeaders } from "./transport/credentials.ts";
import { HttpClient, type HttpResponse, type RequestBody } from "./transport/http-client.ts";

export type { QueryParams, QuerySettings, Statement } from "./statement.ts";

/** The formats of answers that this program reads. */
export type ResponseFormat = "Native" | "JSONCompactEachRow";

/** An answer that has begun: its chunks, and what tells an exception in their midst. */
export interface Answer {
  /** Good until the next ones are asked for. Rejects with a TransportError when the answer breaks off or stalls. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** The tag of exception messages in the midst of the answer; undefined for servers before 25.11. */
  readonly exceptionTag: string | undefined;
  readonly queryId: string;
  /** Notes rows that were found in the chunks, for the record of the query. */
  countRows(rows: number): void;
}

/** How a server is talked to, besides where it is. */
export interface ServerOptions {
  /** Sent by each kind of statement; until they are known, what the very first query needs. */
  readonly settings?: StatementSettings;
  readonly observer?: QueryObserver;
  /** Begins the id of each query, after the name of this program: the run, and the thread. */
  readonly queryIdPrefix?: string;
}

/** No byte for that long means that no answer is coming: longer than any pause of a healthy server. */
const STALL_TIMEOUT_MS = 300_000;
/** A silence that a person at the screen would wonder about. */
const QUIET_AFTER_MS = 20_000;
const MAX_ERROR_BYTES = 64 * 1024;

/** A ClickHouse server, by its HTTP interface. */
export class Server {
  readonly #http: HttpClient;
  /** Where it is, without credentials. */
  readonly url: string;
  readonly #path: string;
  readonly #database: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #password: string;
  readonly #compression: Compression;
  readonly #patience: Patience;
  readonly #observer: QueryObserver;
  readonly #queryIdPrefix: string;
  #queries = 0;
  /** Sent by each kind of statement; null before it is known what the server takes. */
  settings: StatementSettings | null;

  constructor(connection: ConnectionSettings, options: ServerOptions = {}) {
    const { url, user, password, database, compression } = connection;
    const parsed = new URL(url);
    this.#patience = {
      timeoutMs: connection.stallTimeoutMs ?? STALL_TIMEOUT_MS,
      quietAfterMs: connection.quietAfterMs ?? QUIET_AFTER_MS,
    };
    this.#http = new HttpClient(parsed, this.#patience, connection);
    this.url = url;
    this.#path = parsed.pathname;
    this.#database = database;
    this.#headers = { ...credentialHeaders(user, password), "User-Agent": "clickhouse-backfill" };
    this.#password = password;
    this.#compression = compression ?? "none";
    this.#observer = options.observer ?? {};
    this.#queryIdPrefix = options.queryIdPrefix ?? randomUUID().slice(0, 8);
    this.settings = options.settings ?? null;
  }

  /** Closes idle connections. */
  close(): void {
    this.#http.close();
  }

  /**
   * The rows of a query as they arrive, as arrays of JSON values; 64-bit numbers come as strings or as numbers, as the
   * server's version has it. Throws a ServerError or a TransportError.
   */
  async *rows(statement: Statement, signal: AbortSignal): AsyncGenerator<unknown[], void, void> {
    const answer = await this.select(statement, "JSONCompactEachRow", signal);
    const lines = readLines(answer.chunks);
    for await (const line of lines) {
      const row = parseJson(line);
      if (!Array.isArray(row)) throw await unreadable(line, lines, answer);
      answer.countRows(1);
      yield row;
    }
  }

  /** All rows of a query with a small answer. */
  async allRows(statement: Statement, signal: AbortSignal): Promise<unknown[][]> {
    return await Array.fromAsync(this.rows(statement, signal));
  }

  /** Begins a query without FORMAT, for an answer in `format`. Rejects with a ServerError or a TransportError. */
  async select(statement: Statement, format: ResponseFormat, signal: AbortSignal): Promise<Answer> {
    const query = this.#begin(statement);
    try {
      const sql = Buffer.from(`${statement.sql} FORMAT ${format}`);
      // The other answers are small.
      const asked = format === "Native" ? this.#compression : "none";
      const accepted: Record<string, string> = asked === "none" ? {} : { "Accept-Encoding": asked };
      const answer = await this.#request(query, accepted, { parts: [sql], bytes: sql.length }, signal);
      const problem = responseProblem(answer, format, asked);
      if (problem !== null) {
        answer.cancel();
        throw new TransportError(`${problem}; is there a proxy in between?`);
      }
      return {
        chunks: observed(contentOf(answer), query),
        exceptionTag: answer.headers.get("x-clickhouse-exception-tag"),
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
   * Sends `body` as the data of an INSERT and returns how many rows the server says it wrote.
   * Rejects with a ServerError or a TransportError; then the rows may be written or not.
   */
  async insert(statement: Statement, body: readonly Buffer[], signal: AbortSignal): Promise<number> {
    const query = this.#begin({ ...statement, kind: "insert" });
    query.search.set("query", statement.sql);
    query.bytes = body.reduce((sum, part) => sum + part.length, 0);
    try {
      query.rows = await this.#insert(query, { parts: body, bytes: query.bytes }, signal);
      query.end(null);
      return query.rows;
    } catch (error) {
      query.end(error);
      throw error;
    }
  }

  /**
   * Begins an INSERT that stays open for blocks; `signal` ends it at once.
   */
  openInsert(statement: Statement, signal: AbortSignal): OpenInsert {
    const query = this.#begin({ ...statement, kind: "insert" });
    query.search.set("query", statement.sql);
    const channel = new BlockChannel();
    const response = this.#insert(query, { parts: channel, bytes: null }, signal).then(
      (rows) => {
        query.rows = rows;
        query.bytes = insert.bytes;
        query.end(null);
        return rows;
      },
      (error: unknown) => {
        query.bytes = insert.bytes;
        query.end(error);
        throw error;
      },
    );
    const insert = new OpenInsert(channel, response);
    return insert;
  }

  async #insert(query: Query, data: RequestBody, signal: AbortSignal): Promise<number> {
    const compression = this.#compression;
    if (compression === "none") return await this.#write(query, {}, data, signal);
    const parts = compressed(data.parts, compression);
    try {
      return await this.#write(query, { "Content-Encoding": compression }, { parts, bytes: null }, signal);
    } finally {
      parts.destroy();
    }
  }

  async #write(
    query: Query,
    coding: Readonly<Record<string, string>>,
    data: RequestBody,
    signal: AbortSignal,
  ): Promise<number> {
    const { headers, chunks } = await this.#request(query, coding, data, signal);
    await readText(chunks, MAX_ERROR_BYTES);
    return writtenRows(headers.get("x-clickhouse-summary"));
  }

  /** A query with what it has in its URL besides its text. */
  #begin({ sql, params, kind = "query", settings, isBare }: Statement): Query {
    const id = `clickhouse-backfill-${this.#queryIdPrefix}-${++this.#queries}`;
    const ofKind = isBare === true ? {} : (this.settings?.[kind] ?? FIRST_QUERY_SETTINGS);
    const sent = { ...ofKind, ...settings };
    const search = new URLSearchParams({ database: this.#database, query_id: id });
    for (const [name, value] of Object.entries(params ?? {})) search.set(`param_${name}`, parameter(value));
    for (const [name, value] of Object.entries(sent)) search.set(name, String(value));
    const startedMs = performance.now();
    const { onQuery } = this.#observer;
    let isOver = false;
    const query: Query = {
      id,
      search,
      rows: 0,
      bytes: 0,
      end: (error) => {
        if (isOver) return;
        isOver = true;
        onQuery?.({
          queryId: id,
          kind,
          sql: beginningOf(sql),
          settings: sent,
          durationMs: performance.now() - startedMs,
          rows: query.rows,
          bytes: query.bytes,
          error: error === null ? null : error instanceof Error ? error.message : String(error),
        });
      },
      onQuiet: (sinceMs) =>
        this.#observer.onQuiet?.({
          step: describeWait(kind, sql),
          sinceMs,
          limitMs: this.#patience.timeoutMs,
        }),
    };
    return query;
  }

  /** Resolves to an answer that is not the server's exception. */
  async #request(
    query: Query,
    headers: Readonly<Record<string, string>>,
    body: RequestBody,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const target = `${this.#path}?${query.search}`;
    const request = { target, headers: { ...this.#headers, ...headers }, body, onQuiet: query.onQuiet };
    const answer = await this.#http.request(request, signal);
    const code = Number(answer.headers.get("x-clickhouse-exception-code") ?? 0);
    const { status } = answer;
    if (status >= 200 && status < 300 && code === 0 && isClickHouse(answer.headers)) return answer;
    // What is known already says more than that its text was cut off.
    const text = await readText(contentOf(answer), MAX_ERROR_BYTES).catch(() => "");
    signal.throwIfAborted();
    if (!isClickHouse(answer.headers)) {
      // Its beginning is shown: cut within an echoed password, that could no longer be found and hidden.
      const shown = this.#password === "" ? text : text.replaceAll(this.#password, "***");
      throw foreignResponse(this.url, status, answer.headers, shown);
    }
    throw new ServerError(
      code,
      status,
      text.trim() || `HTTP status ${status}, code ${code}, without a message`,
      query.id,
    );
  }
}

/** A query that is under way. */
interface Query {
  readonly id: string;
  readonly search: URLSearchParams;
  rows: number;
  bytes: number;
  /** Records how it ended; only the first call counts. */
  readonly end: (error: unknown) => void;
  readonly onQuiet: (sinceMs: number) => void;
}

/** Hands the chunks on, and records the query when they end. */
async function* observed(
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

/** The content of an answer, decompressed. */
function contentOf({ headers, chunks }: HttpResponse): AsyncIterable<Uint8Array> {
  const encoding = encodingOf(headers);
  return isKnown(encoding) ? decompressed(chunks, encoding) : chunks;
}

/** The coding of an answer's content; "identity" is none (RFC 9110, section 12.5.3). */
function encodingOf(headers: HttpResponse["headers"]): string {
  const encoding = (headers.get("content-encoding") ?? "identity").toLowerCase();
  return encoding === "identity" ? "none" : encoding;
}

function isKnown(encoding: string): encoding is Encoding {
  return encoding === "zstd" || encoding === "gzip";
}

/** The error of an answer with a line that is not JSON: the server's exception, if what follows shows one. */
async function unreadable(
  line: string,
  following: AsyncIterator<string>,
  { exceptionTag, queryId }: Answer,
): Promise<ServerError | TransportError> {
  let text = line;
  while (text.length < MAX_ERROR_BYTES) {
    // The answer is known to be broken; how it ends adds nothing.
    const next = await following.next().catch(() => null);
    if (next === null || next.done === true) break;
    text += `\n${next.value}`;
  }
  const exception = exceptionIn(Buffer.from(text), exceptionTag, queryId);
  return exception ?? new TransportError(`Expected JSON, got ${JSON.stringify(text.slice(0, 200))}`);
}

/** Why an answer cannot be trusted to be ClickHouse's, and to be whole when it ends; null when it can. */
function responseProblem(
  { headers, isFramed }: HttpResponse,
  format: ResponseFormat,
  compression: Compression,
): string | null {
  if (headers.get("x-clickhouse-format") !== format) {
    return `An answer without the header X-ClickHouse-Format: ${format}, which is not ClickHouse's`;
  }
  if (!isFramed) {
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
function writtenRows(summary: string | undefined): number {
  const parsed = summary === undefined ? undefined : parseJson(summary);
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
