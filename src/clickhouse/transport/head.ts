import { TransportError } from "../server-errors.ts";

/** How a response begins. */
export interface HttpHead {
  readonly status: number;
  /** By their names in lower case; a header that comes several times has its values joined by commas. */
  readonly headers: ReadonlyMap<string, string>;
  /** Whether the connection takes another request afterwards. */
  readonly keepsAlive: boolean;
}

const STATUS_LINE = /^HTTP\/1\.([01]) (\d{3})(?: |$)/;

/**
 * Reads status line and headers, without the empty line that ends them (RFC 9112, sections 4 and 5).
 * Throws a TransportError for anything but an HTTP/1 response.
 */
export function parseHead(text: string): HttpHead {
  const [statusLine = "", ...lines] = text.split("\r\n");
  const [, minorVersion, status] = STATUS_LINE.exec(statusLine) ?? [];
  if (status === undefined) throw notHttp(statusLine);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon < 1) throw notHttp(line);
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const known = headers.get(name);
    headers.set(name, known === undefined ? value : `${known}, ${value}`);
  }
  const connection = headers.get("connection")?.toLowerCase() ?? "";
  return {
    status: Number(status),
    headers,
    keepsAlive: minorVersion === "1" && !connection.includes("close"),
  };
}

function notHttp(line: string): TransportError {
  return new TransportError(`Expected a response in HTTP/1.1, got ${JSON.stringify(line.slice(0, 80))}`);
}
