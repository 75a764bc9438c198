import type { ConnectionSettings } from "./connection.ts";
import type { OpenInsert } from "./open-insert.ts";
import { QueryLog } from "./query.ts";
import { QueryClient } from "./query-client.ts";
import type { QueryObserver } from "./query-observer.ts";
import { type RetryPolicy, withRetry } from "./retry.ts";
import { TransportError } from "./server-errors.ts";
import type { StatementSettings } from "./settings/statement-settings.ts";
import type { Statement } from "./statement.ts";
import { type NativeResponse, StreamClient } from "./stream-client.ts";
import type { Patience } from "./transport/byte-socket.ts";
import { Connector } from "./transport/connector.ts";

export type { QueryParams, QuerySettings, Statement } from "./statement.ts";

/** How a server is talked to, besides where it is. */
export interface ServerOptions {
  /** Sent with each kind of statement; until they are known, what the very first query needs. */
  readonly settings?: StatementSettings;
  readonly observer?: QueryObserver;
  /** Begins the id of each query, after the name of this program: the run, and the thread. */
  readonly queryIdPrefix?: string;
}

/** No byte for that long means that no response is coming: longer than any pause of a healthy server. */
const STALL_TIMEOUT_MS = 300_000;
/** A silence that a person at the screen would wonder about. */
const QUIET_AFTER_MS = 20_000;

/**
 * A ClickHouse server, by its HTTP interface. ClickHouse's own client runs the small queries; the two byte streams, of pages and of
 * INSERTs, have a client of their own. Both open their connections in one way.
 */
export class Server {
  /** Where it is, without credentials. */
  readonly url: string;
  readonly #log: QueryLog;
  readonly #queries: QueryClient;
  readonly #streams: StreamClient;

  constructor(connection: ConnectionSettings, { settings, observer, queryIdPrefix }: ServerOptions = {}) {
    const patience: Patience = {
      timeoutMs: connection.stallTimeoutMs ?? STALL_TIMEOUT_MS,
      quietAfterMs: connection.quietAfterMs ?? QUIET_AFTER_MS,
    };
    const connector = new Connector(new URL(connection.url), patience.timeoutMs, connection);
    this.url = connection.url;
    this.#log = new QueryLog(patience, settings, observer, queryIdPrefix);
    this.#queries = new QueryClient(connection, connector, patience);
    this.#streams = new StreamClient(connection, connector, patience);
  }

  /** Sent with each kind of statement; null until it is known which settings the server takes. */
  get settings(): StatementSettings | null {
    return this.#log.settings;
  }

  set settings(settings: StatementSettings) {
    this.#log.settings = settings;
  }

  /** Closes idle connections. */
  close(): void {
    this.#queries.close();
    this.#streams.close();
  }

  /**
   * Yields the rows of a query without FORMAT as they arrive, as arrays of JSON values; 64-bit numbers come as strings or as
   * numbers, depending on the server's version. Throws a ServerError or a TransportError.
   */
  rows(statement: Statement, signal: AbortSignal): AsyncGenerator<unknown[], void, void> {
    return this.#queries.rows(this.#log.begin(statement), signal);
  }

  /**
   * Runs a query with a small result until it succeeds, and returns its rows, or what `parse` makes of them; a TransportError that
   * `parse` throws is retried as well. Rejects with an OperationError that names the operation, or with the reason of the
   * policy's signal.
   */
  query(operation: string, statement: Statement, retry: RetryPolicy): Promise<unknown[][]>;
  query<Result>(
    operation: string,
    statement: Statement,
    retry: RetryPolicy,
    parse: (rows: unknown[][]) => Result,
  ): Promise<Result>;
  async query(
    operation: string,
    statement: Statement,
    retry: RetryPolicy,
    parse: (rows: unknown[][]) => unknown = (rows) => rows,
  ): Promise<unknown> {
    return await withRetry(operation, retry, async () => parse(await this.allRows(statement, retry.signal)));
  }

  /** Returns all rows of a query with a small result, without retries. Rejects like `rows`. */
  async allRows(statement: Statement, signal: AbortSignal): Promise<unknown[][]> {
    return await Array.fromAsync(this.rows(statement, signal));
  }

  /** Begins a query without FORMAT for a response in Native. Rejects with a ServerError or a TransportError. */
  async select(statement: Statement, signal: AbortSignal): Promise<NativeResponse> {
    return await this.#streams.select(this.#log.begin(statement), signal);
  }

  /**
   * Sends `body` as the data of an INSERT and returns how many rows the server reports as written. Rejects with a ServerError or a
   * TransportError; then the rows may be written or not.
   */
  async insert(statement: Statement, body: readonly Buffer[], signal: AbortSignal): Promise<number> {
    return await this.#streams.insert(this.#log.begin(statement, "insert"), body, signal);
  }

  /**
   * Runs an INSERT … SELECT and returns how many rows the server reports as written. Rejects with a ServerError or a TransportError;
   * then the rows may be written or not, now or later.
   */
  async insertSelect(statement: Statement, signal: AbortSignal): Promise<number> {
    return await this.#streams.insertSelect(this.#log.begin(statement, "insert"), signal);
  }

  /**
   * Begins an INSERT that stays open for blocks; `signal` ends it at once. Sealed: the server rejects data that ends early, at the
   * end of a block too.
   */
  openInsert(
    statement: Statement,
    { isSealed }: { readonly isSealed: boolean },
    signal: AbortSignal,
  ): OpenInsert {
    return this.#streams.openInsert(this.#log.begin(statement, "insert"), isSealed, signal);
  }
}

/** Parses the one number of a count. Throws a TransportError, which is retried, when there is none. */
export function parseCount([row]: unknown[][]): number {
  const rows = Number(row?.[0]);
  if (!Number.isSafeInteger(rows)) throw new TransportError("No number came back");
  return rows;
}
