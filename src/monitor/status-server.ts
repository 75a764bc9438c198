import { formatStatusAddress, isLoopback, type StatusAddress } from "../config/status-address.ts";
import { METRICS_TYPE } from "../report/metrics.ts";
import { bringsToken, namesLoopback } from "./access.ts";
import { STATUS_PAGE } from "./page.ts";
import { Watchers } from "./watchers.ts";

/** What is shown of a run. */
export interface ShownRun {
  /** The document of /api/status, JSON. */
  status(): string;
  /** The document of /api/history, JSON. */
  history(): string;
  /** The document of /metrics. */
  metrics(): string;
}

export interface StatusServerOptions {
  readonly address: StatusAddress;
  /** What requests must bring; null: nothing. */
  readonly token: string | null;
}

/** A status page that is served. */
export interface StatusServer {
  /** Where, as a URL. */
  readonly url: string;
  /** Lets those who wait for an update know how the run ended, and stops. Safe to call twice. */
  end(): Promise<void>;
}

/** How often those who wait for an update get one. */
const UPDATE_INTERVAL_MS = 1_000;
/** How long the end of the run waits for readers that do not read. */
const LAST_UPDATE_TIMEOUT_MS = 500;

const JSON_TYPE = "application/json";
const TEXT_TYPE = "text/plain; charset=utf-8";
const HTML_TYPE = "text/html; charset=utf-8";

const HEADERS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

/**
 * Serves the status page, the metrics and their JSON over HTTP. Nothing of it changes the run.
 * @throws where the address cannot be listened on.
 */
export function serveStatus({ address, token }: StatusServerOptions, run: ShownRun): StatusServer {
  const watchers = new Watchers<Document>();
  const status = (): Document => documentOf(JSON_TYPE, run.status);
  const server = Bun.serve({
    hostname: address.host,
    port: address.port,
    development: false,
    fetch: async (request) => {
      // A Host header may be none that a URL can have.
      if (!URL.canParse(request.url)) return text(400, "The Host header names no host\n");
      const { pathname, searchParams } = new URL(request.url);
      const refusal = refuse(request, { address, token, pathname });
      if (refusal !== null) return refusal;
      switch (pathname) {
        case "/":
          return page(200);
        case "/healthz":
          return text(200, "ok\n");
        case "/metrics":
          return send(documentOf(METRICS_TYPE, run.metrics));
        case "/api/history":
          return send(documentOf(JSON_TYPE, run.history));
        case "/api/status":
          return send(searchParams.has("wait") ? await watchers.next(request.signal) : status());
        default:
          return text(404, "Not found: there are /, /metrics, /healthz, /api/status and /api/history\n");
      }
    },
  });
  // The run ends when its work does.
  server.unref();
  const timer = setInterval(() => watchers.update(status), UPDATE_INTERVAL_MS);
  timer.unref();
  let ended: Promise<void> | null = null;
  return {
    url: `http://${formatStatusAddress({ host: address.host, port: server.port ?? address.port })}/`,
    end: () => {
      ended ??= (async () => {
        clearInterval(timer);
        await Promise.race([watchers.end(status), Bun.sleep(LAST_UPDATE_TIMEOUT_MS)]);
        await Promise.race([server.stop(), Bun.sleep(LAST_UPDATE_TIMEOUT_MS)]);
        await server.stop(true);
      })();
      return ended;
    },
  };
}

/** A document with its media type. */
interface Document {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** What `make` says. Nobody who watches may end the run, whatever is wrong with what there is to say. */
function documentOf(type: string, make: () => string): Document {
  try {
    return { status: 200, type, body: make() };
  } catch (error) {
    return {
      status: 500,
      type: TEXT_TYPE,
      body: `${error instanceof Error ? error.message : error}
`,
    };
  }
}

/** Why a request gets nothing; null: it does. */
function refuse(
  request: Request,
  asked: StatusServerOptions & { readonly pathname: string },
): Response | null {
  const { address, token, pathname } = asked;
  if (request.method !== "GET" && request.method !== "HEAD") {
    return text(405, "This page can only be read\n", { allow: "GET, HEAD" });
  }
  // Elsewhere the name is the network's to give, and the token is what keeps others out.
  if (isLoopback(address.host) && !namesLoopback(request.headers.get("host"))) {
    return text(403, "The Host header must be localhost, 127.0.0.1 or [::1]\n");
  }
  // It says no more than that the process is there, to those who have no token to bring.
  if (token === null || pathname === "/healthz") return null;
  if (bringsToken(request.headers.get("authorization"), token)) return null;
  // A browser shows the page, which asks for the token, and holds nothing of the run.
  if (pathname === "/") return page(401, CHALLENGE);
  return text(401, "The token is missing or wrong: send Authorization: Bearer <token>\n", CHALLENGE);
}

const CHALLENGE = { "www-authenticate": "Bearer" };

function page(status: number, headers: Readonly<Record<string, string>> = {}): Response {
  const { html, policy } = STATUS_PAGE;
  return send({ status, type: HTML_TYPE, body: html }, { "content-security-policy": policy, ...headers });
}

function text(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Response {
  return send({ status, type: TEXT_TYPE, body }, headers);
}

function send({ status, type, body }: Document, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(body, { status, headers: { ...HEADERS, "content-type": type, ...headers } });
}
