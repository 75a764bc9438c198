import type { IncomingMessage } from "node:http";
import { EngineException } from "./exception.ts";

/** What a request has in addition to its statement. */
export interface RequestParameters {
  /** The `query` parameter; the body follows it after a line break. */
  readonly query: string;
  readonly user: string;
  readonly password: string;
  readonly database: string | undefined;
  readonly defaultFormat: string;
  readonly queryId: string | undefined;
  readonly waitEndOfQuery: boolean;
  /** Query parameters as they came, in ClickHouse's escaped form. */
  readonly queryParameters: ReadonlyMap<string, string>;
  readonly settings: ReadonlyMap<string, string>;
}

/** @throws {EngineException} for what the server would refuse, or what is not supported here */
export function readParameters(request: IncomingMessage, url: URL): RequestParameters {
  const search = url.searchParams;
  if (isOn(search.get("compress")) || isOn(search.get("decompress"))) {
    throw notSupported(
      "compress=1 and decompress=1 (ClickHouse's own block compression); use Content-Encoding",
    );
  }
  if (request.headers["content-type"]?.startsWith("multipart/form-data")) {
    throw notSupported("multipart/form-data (external tables)");
  }
  if (search.has("session_id")) throw notSupported("session_id (sessions)");
  const queryParameters = new Map<string, string>();
  const settings = new Map<string, string>();
  for (const [name, value] of search) {
    if (name.startsWith("param_")) queryParameters.set(name.slice("param_".length), value);
    else if (!RESERVED.has(name)) settings.set(name, value);
  }
  return {
    query: search.get("query") ?? "",
    ...readCredentials(request, search),
    database: search.get("database") || header(request, "x-clickhouse-database") || undefined,
    defaultFormat: search.get("default_format") || header(request, "x-clickhouse-format") || "TabSeparated",
    queryId: search.get("query_id") || header(request, "x-clickhouse-query-id"),
    waitEndOfQuery: isOn(search.get("wait_end_of_query")) || isOn(search.get("http_wait_end_of_query")),
    queryParameters,
    settings,
  };
}

// What the server's HTTP handler keeps for itself (ClickHouse, src/Server/HTTPHandler.cpp); the rest are settings.
const RESERVED = new Set([
  "query",
  "user",
  "password",
  "database",
  "default_format",
  "query_id",
  "wait_end_of_query",
  "buffer_size",
  "compress",
  "decompress",
  "stacktrace",
  "role",
  "quota_key",
  "client_protocol_version",
  "session_id",
  "session_timeout",
  "session_check",
  "close_session",
]);

/** Who sends a request, by its own account. */
export function userOf(request: IncomingMessage, url: URL): string {
  return readCredentials(request, url.searchParams).user;
}

function readCredentials(request: IncomingMessage, search: URLSearchParams) {
  const user = utf8Header(request, "x-clickhouse-user");
  if (user !== undefined) return { user, password: utf8Header(request, "x-clickhouse-key") ?? "" };
  const basic = /^Basic +(\S+)$/i.exec(header(request, "authorization") ?? "")?.[1];
  if (basic !== undefined) {
    const [name = "", ...password] = Buffer.from(basic, "base64").toString().split(":");
    return { user: name, password: password.join(":") };
  }
  return { user: search.get("user") ?? "default", password: search.get("password") ?? "" };
}

/** A server takes the bytes of a header as they are; Node reads them as Latin-1. */
function utf8Header(request: IncomingMessage, name: string): string | undefined {
  const value = header(request, name);
  return value === undefined ? undefined : Buffer.from(value, "latin1").toString("utf8");
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Whether a switch among the parameters, or the text of a setting, is on. */
export function isOn(value: string | null): boolean {
  return value === "1" || value === "true";
}

function notSupported(what: string): EngineException {
  return new EngineException(48, "NOT_IMPLEMENTED", `The development server does not support ${what}`);
}
