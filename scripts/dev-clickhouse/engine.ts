import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { literal } from "../../src/clickhouse/sql.ts";
import { EngineException } from "./exception.ts";

/** What chdb's addon gives back for a statement run to its end. `bytesWritten` counts in-memory bytes, as the server does. */
export interface WriteResult {
  readonly rowsWritten: number;
  readonly bytesWritten: number;
}

/** One block of a streamed response, already in the output format. */
export interface StreamChunk {
  readonly bytes: Buffer;
  readonly numRows: number;
  readonly done: boolean;
}

type NativeConnection = { readonly __brand: "connection" };
type NativeStream = { readonly __brand: "stream" };

/** The part of chdb 3.4's addon that is used here. Calls that return promises run on the thread pool. */
interface NativeAddon {
  CreateConnection(path: string, args: readonly string[]): NativeConnection;
  CloseConnection(connection: NativeConnection): void;
  QueryAsyncConnection(
    connection: NativeConnection,
    sql: string,
    format: string,
  ): Promise<{ readonly bytes: Buffer; readonly rowsRead: number; readonly bytesRead: number }>;
  InsertRawAsyncConnection(
    connection: NativeConnection,
    sql: string,
    data: Buffer,
    countLines: boolean,
  ): Promise<WriteResult>;
  StreamQuery(connection: NativeConnection, sql: string, format: string): NativeStream;
  StreamFetch(stream: NativeStream): Promise<StreamChunk>;
  StreamCancel(stream: NativeStream): void;
}

/** What an engine is opened with. */
export interface EngineOptions {
  /** The engine's own configuration, which its first connection takes. */
  readonly configFile: string | null;
  /** Whether expressions that are used again and again are compiled, which pays for long queries alone. */
  readonly compilesExpressions: boolean;
}

/** The engine on one data directory. A process can hold only one, and a directory only one process. */
export class Engine {
  /** The data directory, absolute. */
  readonly path: string;
  readonly #native: NativeAddon;
  readonly #settings: readonly string[];
  /** Keeps the directory bound while no query runs. */
  readonly #anchor: NativeConnection;

  /**
   * @throws {Error} when the addon is missing for this platform, or the directory can't be opened
   */
  constructor(path: string, { configFile, compilesExpressions }: EngineOptions) {
    this.#native = loadAddon();
    this.path = resolve(path);
    this.#settings = compilesExpressions ? [] : INTERPRETED;
    this.#anchor = this.#createConnection(configFile === null ? [] : [`--config-file=${configFile}`]);
  }

  /** A fresh connection costs 0.15 ms and shares nothing with others: settings, parameters and the current database end with it. */
  connect(): Connection {
    return new Connection(this.#native, this.#createConnection(), this.#settings);
  }

  /** Runs one of the server's own small queries; the response is parsed from JSONEachRow. */
  async ask<Row>(sql: string): Promise<Row[]> {
    const connection = this.connect();
    try {
      const response = await connection.query(sql, "JSONEachRow");
      return response
        .toString()
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Row);
    } finally {
      connection.close();
    }
  }

  /** Cancels the query with this marker. False: no such query is running (any more, or yet). */
  async kill(marker: string): Promise<boolean> {
    const killed = await this.ask(`KILL QUERY WHERE ${hasMarker(marker)} ASYNC FORMAT JSONEachRow`);
    return killed.length > 0;
  }

  close(): void {
    this.#native.CloseConnection(this.#anchor);
  }

  #createConnection(args: readonly string[] = []): NativeConnection {
    try {
      return this.#native.CreateConnection(this.path, args);
    } catch (error) {
      // The engine writes its reason to stderr and keeps it from its caller.
      throw new Error(`Cannot open the data directory ${this.path}; is another server using it?`, {
        cause: error,
      });
    }
  }
}

/** One connection runs one query at a time. Close it only when nothing runs on it. */
export class Connection {
  readonly #native: NativeAddon;
  readonly #handle: NativeConnection;
  readonly #settings: readonly string[];

  constructor(native: NativeAddon, handle: NativeConnection, settings: readonly string[]) {
    this.#native = native;
    this.#handle = handle;
    this.#settings = settings;
  }

  /** Runs a statement and returns its whole response. */
  async query(sql: string, format: string): Promise<Buffer> {
    try {
      return (await this.#native.QueryAsyncConnection(this.#handle, sql, format)).bytes;
    } catch (error) {
      throw EngineException.from(error);
    }
  }

  /** Runs a statement that writes rows and gives no response: the only call whose result counts written rows. */
  async write(sql: string): Promise<WriteResult> {
    try {
      return await this.#native.InsertRawAsyncConnection(this.#handle, sql, Buffer.alloc(0), false);
    } catch (error) {
      throw EngineException.from(error);
    }
  }

  /** Starts a SELECT whose blocks are computed as they are fetched. */
  stream(sql: string, format: string): BlockStream {
    try {
      return new BlockStream(this.#native, this.#native.StreamQuery(this.#handle, sql, format));
    } catch (error) {
      throw EngineException.from(error);
    }
  }

  /** The assignments of a SET that marks the queries of this connection, so that {@link Engine.kill} finds them, and those of the engine. */
  marking(marker: string): readonly string[] {
    return [`${MARKER_SETTING} = ${literal(marker)}`, ...this.#settings];
  }

  close(): void {
    this.#native.CloseConnection(this.#handle);
  }
}

/** A running SELECT, pulled block by block. One fetch at a time. */
export class BlockStream {
  readonly #native: NativeAddon;
  readonly #handle: NativeStream;
  #inFlight: Promise<StreamChunk> | undefined;

  constructor(native: NativeAddon, handle: NativeStream) {
    this.#native = native;
    this.#handle = handle;
  }

  async fetch(): Promise<StreamChunk> {
    try {
      this.#inFlight = this.#native.StreamFetch(this.#handle);
      return await this.#inFlight;
    } catch (error) {
      throw EngineException.from(error);
    } finally {
      this.#inFlight = undefined;
    }
  }

  /** Frees the query, finished or not. Waits for a fetch under way, whose thread still uses the handle. */
  async close(): Promise<void> {
    await this.#inFlight?.catch(() => undefined);
    this.#native.StreamCancel(this.#handle);
  }
}

/**
 * The embedded engine gives no say in a query's id, but system.processes shows its settings. This one is read
 * only by the NATS and Redis Streams tables, which leaves log_comment to the user.
 */
const MARKER_SETTING = "stream_like_engine_insert_queue";

/** Assignments that leave expressions uncompiled. */
const INTERPRETED: readonly string[] = [
  "compile_expressions = 0",
  "compile_aggregate_expressions = 0",
  "compile_sort_description = 0",
];

function hasMarker(marker: string): string {
  return `Settings[${literal(MARKER_SETTING)}] = ${literal(marker)}`;
}

function loadAddon(): NativeAddon {
  const require = createRequire(import.meta.url);
  try {
    // The package's public API hides the counters of written rows; its loader is not among its exports.
    const loader = join(dirname(require.resolve("chdb/package.json")), "dist", "loader.js");
    const { loadNative } = require(loader) as { loadNative: () => NativeAddon };
    return loadNative();
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : String(error)).split("\n");
    throw new Error(
      `The engine (npm package chdb) is missing for ${process.platform}-${process.arch}: ${reason}. ` +
        "Without it, tests can use a real server: set CLICKHOUSE_TEST_URL.",
      { cause: error },
    );
  }
}
