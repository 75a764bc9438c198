import type { ClickHouseClient } from "@clickhouse/client";
import type { ConnectionSettings } from "./connection.ts";
import type { Query } from "./query.ts";
import { describeNetworkError, exceptionIn, readLines } from "./response.ts";
import {
  isSuccess,
  MAX_ERROR_BYTES,
  type ResponseHead,
  responseError,
  responseProblem,
} from "./response-check.ts";
import { type ServerError, TransportError } from "./server-errors.ts";
import { type Patience, stalled } from "./transport/byte-socket.ts";
import type { Connector } from "./transport/connector.ts";
import { credentialHeaders } from "./transport/credentials.ts";
import { socketAgent } from "./transport/socket-agent.ts";

const FORMAT = "JSONCompactEachRow";
/** The client's own limit would also end a response whose reader is slow; the wait for the server has a limit here. */
const CLIENT_TIMEOUT_MS = 2 ** 31 - 1;
const MAX_HEADER_BYTES = 256 * 1024;

/** Runs the small queries, by ClickHouse's own client: all that read a few rows as JSON. */
export class QueryClient {
  readonly #connection: ConnectionSettings;
  readonly #connector: Connector;
  readonly #patience: Patience;
  #client: Promise<ClickHouseClient> | null = null;

  constructor(connection: ConnectionSettings, connector: Connector, patience: Patience) {
    this.#connection = connection;
    this.#connector = connector;
    this.#patience = patience;
  }

  /**
   * Yields the rows of a query without FORMAT as they arrive, as arrays of JSON values. Throws a ServerError, a TransportError or
   * the signal's reason.
   */
  async *rows(query: Query, signal: AbortSignal): AsyncGenerator<unknown[], void, void> {
    const silence = new Silence(this.#patience, query.onQuiet);
    const ends = AbortSignal.any([signal, silence.signal]);
    try {
      const { head, chunks } = await this.#send(query, ends);
      const content = silence.during(chunks, (bytes) => {
        query.bytes += bytes;
      });
      if (!isSuccess(head)) {
        const { url, password } = this.#connection;
        throw await responseError(head, content, { url, password, queryId: query.id });
      }
      const isFramed =
        head.headers.has("content-length") ||
        /\bchunked\b/i.test(head.headers.get("transfer-encoding") ?? "");
      const problem = responseProblem(head.headers, isFramed, FORMAT, "none");
      if (problem !== null) throw new TransportError(`${problem}; is there a proxy in between?`);
      yield* this.#parse(content, head, query);
      query.end(null);
    } catch (error) {
      const failure = ends.aborted ? ends.reason : asFailure(error);
      query.end(failure);
      throw failure;
    } finally {
      // Also when nobody reads on.
      query.end(null);
      silence.stop();
    }
  }

  /** Releases the client. */
  close(): void {
    void this.#client?.then((client) => client.close());
  }

  async *#parse(
    content: AsyncIterable<Uint8Array>,
    { headers }: ResponseHead,
    query: Query,
  ): AsyncGenerator<unknown[], void, void> {
    const lines = readLines(content);
    for await (const line of lines) {
      const row = parseJson(line);
      if (!Array.isArray(row)) {
        throw await unreadable(line, lines, headers.get("x-clickhouse-exception-tag"), query.id);
      }
      query.rows++;
      yield row;
    }
  }

  async #send(
    query: Query,
    signal: AbortSignal,
  ): Promise<{ head: ResponseHead; chunks: AsyncIterable<Uint8Array> }> {
    signal.throwIfAborted();
    this.#client ??= this.#open();
    const client = await this.#client;
    const { stream, http_status_code, response_headers } = await client.exec({
      query: `${query.sql} FORMAT ${FORMAT}`,
      query_params: { ...query.params },
      clickhouse_settings: { ...query.settings },
      query_id: query.id,
      abort_signal: signal,
      // The status and the headers say more than the client's own error.
      ignore_error_response: true,
    });
    // The client listens to the signal no longer once the response has begun.
    const abort = (): void => void stream.destroy(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    stream.once("close", () => signal.removeEventListener("abort", abort));
    const headers = new Map(
      Object.entries(response_headers).map(([name, value]) => [name.toLowerCase(), String(value)] as const),
    );
    return { head: { status: http_status_code ?? 0, headers }, chunks: stream };
  }

  /** Loads the client when the first query needs it: the start of the program and its threads do without. */
  async #open(): Promise<ClickHouseClient> {
    const { ClickHouseLogLevel, createClient } = await import("@clickhouse/client");
    const { url, user, password, database } = this.#connection;
    const { origin, pathname } = new URL(url);
    return createClient({
      url: origin,
      ...(pathname === "/" ? {} : { pathname }),
      database,
      application: "clickhouse-backfill",
      http_agent: socketAgent(this.#connector),
      set_basic_auth_header: false,
      http_headers: asLatin1(credentialHeaders(user, password)),
      request_timeout: CLIENT_TIMEOUT_MS,
      max_response_headers_size: MAX_HEADER_BYTES,
      log: { level: ClickHouseLogLevel.OFF },
    });
  }
}

/** Headers whose values node:http, which writes one byte a character, sends as UTF-8. */
function asLatin1(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Buffer.from(value).toString("latin1")]),
  );
}

/** Watches how long a server is silent: reports it, and gives up. */
class Silence {
  readonly #giveUp = new AbortController();
  readonly #timer: ReturnType<typeof setInterval>;
  #sinceMs = performance.now();
  #reportAtMs: number;

  constructor({ timeoutMs, quietAfterMs }: Patience, onQuiet: (sinceMs: number) => void) {
    this.#reportAtMs = quietAfterMs;
    this.#timer = setInterval(
      () => {
        const silentMs = performance.now() - this.#sinceMs;
        if (silentMs > timeoutMs) this.#giveUp.abort(stalled(timeoutMs));
        else if (silentMs < quietAfterMs) this.#reportAtMs = quietAfterMs;
        else if (silentMs >= this.#reportAtMs) {
          onQuiet(silentMs);
          this.#reportAtMs *= 2;
        }
      },
      Math.min(timeoutMs / 4, quietAfterMs / 10),
    );
  }

  /** Fires with a TransportError when the server has been silent for too long. */
  get signal(): AbortSignal {
    return this.#giveUp.signal;
  }

  /** Hands chunks on, and counts the time only while the next one is waited for. */
  async *during(
    chunks: AsyncIterable<Uint8Array>,
    onChunk: (bytes: number) => void,
  ): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of chunks) {
      onChunk(chunk.length);
      this.#sinceMs = Number.POSITIVE_INFINITY;
      yield chunk;
      this.#sinceMs = performance.now();
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** Errors of the network are Node's; those that were thrown here stay as they are. */
function asFailure(error: unknown): unknown {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return error;
  return new TransportError(describeNetworkError(error), { cause: error });
}

/** The error of a response with a line that is not JSON: the server's exception, if what follows shows one. */
async function unreadable(
  line: string,
  following: AsyncIterator<string>,
  exceptionTag: string | undefined,
  queryId: string,
): Promise<ServerError | TransportError> {
  let text = line;
  while (text.length < MAX_ERROR_BYTES) {
    // The response is known to be broken; how it ends adds nothing.
    const next = await following.next().catch(() => null);
    if (next === null || next.done === true) break;
    text += `\n${next.value}`;
  }
  const exception = exceptionIn(Buffer.from(text), exceptionTag, queryId);
  return exception ?? new TransportError(`Expected JSON, got ${JSON.stringify(text.slice(0, 200))}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
