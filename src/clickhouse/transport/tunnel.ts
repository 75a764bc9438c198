import { connect, type Socket } from "node:net";
import type { ProxySettings } from "../connection.ts";
import { describeNetworkError } from "../response.ts";
import { TransportError } from "../server-errors.ts";
import { parseHead } from "./head.ts";

const HEAD_END = "\r\n\r\n";
const MAX_HEAD_BYTES = 64 * 1024;

/** The credentials for the proxy (RFC 9110, section 11.7.2); none where it needs none. */
export function proxyAuthorization({ credentials }: ProxySettings): Record<string, string> {
  return credentials === null
    ? {}
    : { "Proxy-Authorization": `Basic ${Buffer.from(credentials).toString("base64")}` };
}

/** A connection to a proxy. */
export function connectToProxy({ host, port }: ProxySettings): Socket {
  return connect({ host, port });
}

/**
 * Opens a tunnel through an HTTP proxy (CONNECT, RFC 9110, section 9.3.6): what goes over the returned socket reaches `authority`,
 * host and port. Rejects with a TransportError that names the proxy, or with the signal's reason.
 */
export async function openTunnel(
  proxy: ProxySettings,
  authority: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Socket> {
  const name = `the proxy ${proxy.host}:${proxy.port}`;
  const socket = connectToProxy(proxy);
  try {
    const head = await exchangeHeads(socket, connectHead(proxy, authority), timeoutMs, signal);
    const { status } = parseHead(head);
    if (status < 200 || status > 299) {
      throw new TransportError(`it responded with HTTP status ${status} to CONNECT ${authority}`);
    }
    return socket;
  } catch (error) {
    socket.destroy();
    signal.throwIfAborted();
    throw new TransportError(`Connecting through ${name}: ${describeNetworkError(error)}`, { cause: error });
  }
}

function connectHead(proxy: ProxySettings, authority: string): string {
  const headers = { Host: authority, ...proxyAuthorization(proxy) };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `CONNECT ${authority} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** Sends a head, and resolves to the one that comes back; what follows stays in the socket. */
function exchangeHeads(
  socket: Socket,
  head: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      socket.removeAllListeners("data").removeAllListeners("error").removeAllListeners("close");
      socket.pause();
      act();
    };
    const fail = (error: Error): void => settle(() => reject(error));
    const abort = (): void => fail(signal.reason as Error);
    const timer = setTimeout(
      () => fail(new TransportError(`it sent nothing for ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    signal.addEventListener("abort", abort, { once: true });
    socket.on("error", fail);
    socket.on("close", () => fail(new TransportError("it closed the connection")));
    socket.on("data", (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      const end = received.indexOf(HEAD_END);
      if (end >= 0) settle(() => resolve(received.toString("latin1", 0, end)));
      else if (received.length > MAX_HEAD_BYTES) fail(new TransportError("its headers do not end"));
    });
    socket.write(head);
  });
}
