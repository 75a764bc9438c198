import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { readRequestText } from "./body.ts";
import type { Engine } from "./engine.ts";
import { EngineException } from "./exception.ts";
import { FifoPool } from "./fifo.ts";
import { isOn, type RequestParameters, readParameters, userOf } from "./parameters.ts";
import { Query } from "./query.ts";
import { ClientGone, type CompressionSettings, QueryResponse, responseCompression } from "./response.ts";
import type { Users } from "./users.ts";

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  readonly users: Users;
  /** More queries than this at a time are refused with code 202. */
  readonly maxConcurrentQueries: number;
}

/** What the engine is, and its defaults where this server does the work. */
interface EngineFacts {
  readonly version: string;
  readonly timezone: string;
  readonly compression: string;
  readonly level: string;
}

/** ClickHouse's HTTP interface in front of an engine. */
export class DevServer {
  readonly #engine: Engine;
  readonly #options: ServerOptions;
  readonly #version: string;
  readonly #timezone: string;
  readonly #compression: CompressionSettings;
  readonly #fifos: FifoPool;
  readonly #server: Server;
  readonly #running = new Set<Promise<void>>();

  private constructor(
    engine: Engine,
    options: ServerOptions,
    { version, timezone, compression, level }: EngineFacts,
  ) {
    this.#engine = engine;
    this.#fifos = new FifoPool(join(engine.path, "dev-clickhouse-pipes"));
    this.#options = options;
    this.#version = version;
    this.#timezone = timezone;
    this.#compression = { isEnabled: isOn(compression), level: Number(level) };
    this.#server = createServer((request, response) => {
      const handled = this.#handle(request, response);
      this.#running.add(handled);
      void handled.finally(() => this.#running.delete(handled));
    });
    this.#server.requestTimeout = 0;
    this.#server.keepAliveTimeout = 30_000;
  }

  /** Resolves when the server listens. @throws {Error} when the address can't be had */
  static async start(engine: Engine, options: ServerOptions): Promise<DevServer> {
    const [facts] = await engine.ask<EngineFacts>(
      `SELECT version() AS version, timezone() AS timezone,
         toString(getSetting('enable_http_compression')) AS compression,
         toString(getSetting('http_zlib_compression_level')) AS level`,
    );
    if (facts === undefined) throw new Error("The engine does not respond");
    const server = new DevServer(engine, options, facts);
    await server.#listen();
    return server;
  }

  get url(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
  }

  /** Cuts the connections, which cancels what runs on them, and resolves when the last query has ended. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await Promise.all(this.#running);
    await closed;
    this.#fifos.close();
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      const { host, port } = this.#options;
      this.#server.once("error", (cause) => {
        reject(new Error(`Cannot listen on ${host}:${port}: ${cause.message}`, { cause }));
      });
      this.#server.listen(port, host, resolve);
    });
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Prefixed and not resolved: a path like //? would be taken for a host.
    const url = new URL(`http://localhost${request.url ?? "/"}`);
    const profile = this.#options.users.get(userOf(request, url))?.settings ?? {};
    const setting = (name: string): string | undefined => url.searchParams.get(name) ?? profile[name];
    const isCompressed = setting("enable_http_compression");
    const queryResponse = new QueryResponse(response, {
      queryId: url.searchParams.get("query_id") || crypto.randomUUID(),
      version: this.#version,
      timezone: this.#timezone,
      compression: responseCompression(request, {
        isEnabled: isCompressed === undefined ? this.#compression.isEnabled : isOn(isCompressed),
        level: Number(setting("http_zlib_compression_level") ?? this.#compression.level),
      }),
    });
    try {
      if (isHealthCheck(request, url)) return void response.end("Ok.\n");
      if (url.pathname !== "/")
        return void response.writeHead(404).end(`There is no handle ${url.pathname}\n`);
      await this.#run(request, queryResponse, readParameters(request, url));
    } catch (error) {
      if (error instanceof ClientGone || queryResponse.gone.aborted) return;
      await drain(request);
      await queryResponse.fail(EngineException.from(error));
    }
  }

  async #run(
    request: IncomingMessage,
    response: QueryResponse,
    parameters: RequestParameters,
  ): Promise<void> {
    this.#authenticate(parameters);
    // The running set holds this request too.
    if (this.#running.size >= this.#options.maxConcurrentQueries) {
      const detail = `Too many simultaneous queries. Maximum: ${this.#options.maxConcurrentQueries}`;
      throw new EngineException(202, "TOO_MANY_SIMULTANEOUS_QUERIES", detail);
    }
    const text = await readRequestText(request, parameters.query);
    const connection = this.#engine.connect();
    try {
      const { users } = this.#options;
      const query = new Query(this.#engine, connection, this.#fifos, parameters, users, response);
      await query.run(text, request.method === "GET");
    } finally {
      connection.close();
    }
  }

  #authenticate({ user, password }: RequestParameters): void {
    const expected = this.#options.users.get(user)?.password;
    if (expected !== undefined && isSame(password, expected)) return;
    const detail = `${user}: Authentication failed: password is incorrect, or there is no user with such name.`;
    throw new EngineException(516, "AUTHENTICATION_FAILED", detail);
  }
}

function isHealthCheck(request: IncomingMessage, url: URL): boolean {
  if (url.pathname === "/ping" || url.pathname === "/replicas_status") return true;
  return url.pathname === "/" && request.method === "GET" && !url.searchParams.has("query");
}

/** Reads the rest of a request, so that the response finds a client that listens and the connection can serve another. */
async function drain(request: IncomingMessage): Promise<void> {
  if (request.readableEnded || request.destroyed) return;
  await new Promise<void>((resolve) => {
    for (const event of ["end", "close", "error"]) request.once(event, resolve);
    request.resume();
  });
}

function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
