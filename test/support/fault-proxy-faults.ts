import { type Head, setHeader } from "./fault-proxy-wire.ts";

/** What a request is for, as far as faults tell requests apart. */
export type RequestKind = "page" | "traces" | "insert" | "other";

/** What a rule sees of a request. */
export interface ProxiedRequest {
  readonly kind: RequestKind;
  /** Of its kind, from 1. */
  readonly nth: number;
  readonly sql: string;
  /** Of the URL: the settings are among them. */
  readonly params: URLSearchParams;
  /** Whether an earlier request came over the same connection. */
  readonly isReused: boolean;
}

/** How the end of a response is told to the client. */
export type ResponseFraming = "chunked" | "length" | "close";

/** What goes wrong with one request. Byte counts are of the body without its framing. */
export type Fault =
  /** Nobody listens for a while: open connections are reset, new ones refused. */
  | { readonly kind: "refuse"; readonly forMs: number }
  | { readonly kind: "delay"; readonly ms: number }
  /** Somebody else's response; the request never reaches the server. `isFor`: only where the request's body is like that. */
  | {
      readonly kind: "response";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body: string;
      readonly isFor?: (requestBody: Buffer) => boolean;
    }
  /**
   * The connection is reset: at the head of the request, after that many bytes of its body, which the server then sees
   * end early too, or when the server has handled - the request took effect and the client does not know.
   */
  | { readonly kind: "reset"; readonly at: "head" | "response" | { readonly bodyBytes: number } }
  /** The data of an insert ends early while the request ends well. */
  | { readonly kind: "shortenBody"; readonly toBytes: number }
  /** The response stops after that many bytes. `isMidChunk`: within a chunk, not between two. */
  | {
      readonly kind: "cutResponse";
      readonly afterBytes: number;
      readonly framing: ResponseFraming;
      readonly isMidChunk?: boolean;
    }
  /**
   * After that many bytes (all, when there are fewer) the server's exception follows. `tagged`: as servers from 25.11 write
   * it, and the connection is cut; `plain`: as text, as older ones did, with a well-formed end. Of a compressed response the
   * bytes are counted, and the exception is written, within what is compressed.
   */
  | {
      readonly kind: "exception";
      readonly afterBytes: number;
      readonly style: "tagged" | "plain";
      readonly text: string;
    }
  /** The response falls silent after that many bytes, the connection stays; -1: not even the head comes. */
  | { readonly kind: "stall"; readonly afterBytes: number }
  /** Another head, another body. */
  | {
      readonly kind: "edit";
      readonly head?: (head: Head) => void;
      readonly body?: (body: Buffer) => Buffer;
    }
  /** Waits for the test: before the request goes to the server, or with the server's whole response at hand. */
  | { readonly kind: "hold"; readonly at: "request" | "response" };

/** The text of ClickHouse's exceptions. */
export function exceptionText(code: number, message: string, name: string): string {
  return `Code: ${code}. DB::Exception: ${message}. (${name}) (version 26.7.1.1 (official build))`;
}

/** An error of the server itself, with its code in the header. */
export function serverError(status: number, code: number, message: string, name: string): Fault {
  return {
    kind: "response",
    status,
    headers: { "X-ClickHouse-Exception-Code": String(code), "Content-Type": "text/plain; charset=UTF-8" },
    body: `${exceptionText(code, message, name)}\n`,
  };
}

/** An error page of a proxy or load balancer, which knows no codes. */
export function gatewayError(status: number): Fault {
  return {
    kind: "response",
    status,
    headers: { "Content-Type": "text/html", Server: "awselb/2.0" },
    body: `<html><body><h1>${status} from the load balancer</h1></body></html>\n`,
  };
}

/** A response that is whole and has no rows, as of a replica that lags behind. */
export const NO_ROWS: Fault = {
  kind: "edit",
  head: (head) => setHeader(head, "Content-Encoding", null),
  body: () => Buffer.alloc(0),
};

/** By its SQL. Pages and traces are read in Native format, everything else is JSON. */
export function kindOf(sql: string): RequestKind {
  if (/^\s*INSERT\b/i.test(sql)) return "insert";
  if (!/\bFORMAT Native\s*$/i.test(sql)) return "other";
  if (/\bAS o FINAL\b/.test(sql)) return "page";
  return /\bAS t\b/.test(sql) ? "traces" : "other";
}
