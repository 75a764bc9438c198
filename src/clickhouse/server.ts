import { exceptionIn, readLines, readText } from "./answer.ts";
import { compressed, decompressed, type Encoding } from "./compression.ts";
import type { Compression, ConnectionSettings } from "./connection.ts";
import { ServerError, TransportError } from "./errors.ts";
import { type HttpAnswer, HttpClient, type RequestBody } from "./http/client.ts";
import { parameter } from "./sql.ts";

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
  /** Good until the next ones are asked for. Rejects with a TransportError when the answer breaks off or stalls. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** The tag of exception messages in the midst of the answer; undefined for servers before 25.11. */
  readonly exceptionTag: string | undefined;
}

/** No byte for that long means that no answer is coming: longer than any pause of a healthy server. */
const STALL_TIMEOUT_MS = 300_000;
const MAX_ERROR_BYTES = 64 * 1024;

/** A ClickHouse server, by its HTTP interface. */
export class Server {
  readonly #http: HttpClient;
  readonly #path: string;
  readonly #database: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #compression: Compression;
  /** Sent with every query for rows; none before it is known which ones the server takes. */
  querySettings: QuerySettings = {};

  constructor({ url, user, password, database, compression, stallTimeoutMs }: ConnectionSettings) {
    const parsed = new URL(url);
    this.#http = new HttpClient(parsed, stallTimeoutMs ?? STALL_TIMEOUT_MS);
    this.#path = parsed.pathname;
    this.#database = database;
    this.#headers = {
      Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
      "User-Agent": "clickhouse-backfill",
    };
    this.#compression = compression ?? "none";
  }

  /** Closes idle connections. */
  close(): void {
    this.#http.close();
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
    const sql = Buffer.from(`${statement.sql} FORMAT ${format}`);
    // The other answers are small.
    const asked = format === "Native" ? this.#compression : "none";
    const accepted: Record<string, string> = asked === "none" ? {} : { "Accept-Encoding": asked };
    const body = { parts: [sql], bytes: sql.length };
    const answer = await this.#request(this.#searchOf(statement), accepted, body, signal);
    const problem = answerProblem(answer, format, asked);
    if (problem !== null) {
      answer.cancel();
      throw new TransportError(`${problem}; is there a proxy in between?`);
    }
    return { chunks: contentOf(answer), exceptionTag: answer.headers.get("x-clickhouse-exception-tag") };
  }

  /**
   * Sends `body` as the data of an INSERT and returns how many rows the server says it wrote.
   * Rejects with a ServerError or a TransportError; then the rows may be written or not.
   */
  async insert(statement: Statement, body: readonly Buffer[], signal: AbortSignal): Promise<number> {
    const search = this.#searchOf(statement);
    search.set("query", statement.sql);
    const compression = this.#compression;
    if (compression === "none") {
      const bytes = body.reduce((sum, part) => sum + part.length, 0);
      return await this.#insert(search, {}, { parts: body, bytes }, signal);
    }
    const parts = compressed(body, compression);
    try {
      return await this.#insert(search, { "Content-Encoding": compression }, { parts, bytes: null }, signal);
    } finally {
      parts.destroy();
    }
  }

  async #insert(
    search: URLSearchParams,
    coding: Readonly<Record<string, string>>,
    data: RequestBody,
    signal: AbortSignal,
  ): Promise<number> {
    const { headers, chunks } = await this.#request(search, coding, data, signal);
    await readText(chunks, MAX_ERROR_BYTES);
    return writtenRows(headers.get("x-clickhouse-summary"));
  }

  /** What a statement has in the URL, besides its text. */
  #searchOf({ params, settings }: Statement): URLSearchParams {
    const search = new URLSearchParams({ database: this.#database });
    for (const [name, value] of Object.entries(params ?? {})) search.set(`param_${name}`, parameter(value));
    for (const [name, value] of Object.entries(settings ?? {})) search.set(name, String(value));
    return search;
  }

  /** Resolves to an answer that is not the server's exception. */
  async #request(
    search: URLSearchParams,
    headers: Readonly<Record<string, string>>,
    body: RequestBody,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const target = `${this.#path}?${search}`;
    const answer = await this.#http.request(
      { target, headers: { ...this.#headers, ...headers }, body },
      signal,
    );
    const code = Number(answer.headers.get("x-clickhouse-exception-code") ?? 0);
    const { status } = answer;
    if (status >= 200 && status < 300 && code === 0) return answer;
    // What is known already says more than that its text was cut off.
    const text = await readText(contentOf(answer), MAX_ERROR_BYTES).catch(() => "");
    signal.throwIfAborted();
    throw new ServerError(
      code,
      status,
      text.trim() || `HTTP status ${status}, code ${code}, without a message`,
    );
  }
}

/** The content of an answer, decompressed. */
function contentOf({ headers, chunks }: HttpAnswer): AsyncIterable<Uint8Array> {
  const encoding = encodingOf(headers);
  return isKnown(encoding) ? decompressed(chunks, encoding) : chunks;
}

/** The coding of an answer's content; "identity" is none (RFC 9110, section 12.5.3). */
function encodingOf(headers: HttpAnswer["headers"]): string {
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

/** Why an answer cannot be trusted to be ClickHouse's, and to be whole when it ends; null when it can. */
function answerProblem(
  { headers, isFramed }: HttpAnswer,
  format: AnswerFormat,
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
