import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls, getCACertificates } from "node:tls";
import type { ConnectionSettings, ProxySettings, TlsCertificates } from "../connection.ts";
import { connectToProxy, openTunnel, proxyAuthorization } from "./tunnel.ts";

/** Opens connections to one server: directly or through a proxy, plain or with TLS. Every request of the program goes over one of them. */
export class Connector {
  readonly #url: URL;
  readonly #tls: TlsCertificates | null;
  readonly #proxy: ProxySettings | null;
  readonly #timeoutMs: number;
  #certificates: string | undefined;

  /** A proxy that stays silent for `timeoutMs` fails the connection. */
  constructor(url: URL, timeoutMs: number, { tls, proxy }: Pick<ConnectionSettings, "tls" | "proxy"> = {}) {
    this.#url = url;
    this.#timeoutMs = timeoutMs;
    this.#tls = tls ?? null;
    this.#proxy = proxy ?? null;
  }

  get isTls(): boolean {
    return this.#url.protocol === "https:";
  }

  /** The server's host and port, for the Host header. */
  get host(): string {
    return this.#url.host;
  }

  /** What precedes the path in a request line: a proxy reads the whole URL of a plain request, and nothing within a tunnel. */
  get origin(): string {
    return this.#readingProxy === null ? "" : this.#url.origin;
  }

  /** Headers for the proxy. */
  get proxyHeaders(): Record<string, string> {
    return this.#readingProxy === null ? {} : proxyAuthorization(this.#readingProxy);
  }

  /** A new connection, which may not be established yet. Rejects with a TransportError, or with the signal's reason. */
  async connect(signal: AbortSignal): Promise<Socket> {
    const socket = this.isTls
      ? this.#connectTls(await this.#wayToServer(signal))
      : this.#proxy === null
        ? connectPlain(this.#address)
        : connectToProxy(this.#proxy);
    socket.setNoDelay(true);
    return socket;
  }

  /** The proxy that reads the requests. */
  get #readingProxy(): ProxySettings | null {
    return this.isTls ? null : this.#proxy;
  }

  get #address(): { host: string; port: number } {
    // The host of a URL has brackets around an IPv6 address.
    const host = this.#url.hostname.replace(/^\[(.*)\]$/, "$1");
    return { host, port: this.#url.port === "" ? (this.isTls ? 443 : 80) : Number(this.#url.port) };
  }

  async #wayToServer(signal: AbortSignal): Promise<{ host: string; port: number } | { socket: Socket }> {
    const address = this.#address;
    if (this.#proxy === null) return address;
    const authority = `${this.#url.hostname}:${address.port}`;
    return { socket: await openTunnel(this.#proxy, authority, this.#timeoutMs, signal) };
  }

  #connectTls(way: { host: string; port: number } | { socket: Socket }): Socket {
    const { host } = this.#address;
    const client = this.#tls?.client ?? null;
    return connectTls({
      ...way,
      ca: this.#trusted(),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(client === null ? {} : { cert: client.certificate, key: client.key }),
    });
  }

  /** Bun trusts the certificates that it brings; those that a company has installed count as well. */
  #trusted(): string {
    const kinds = ["bundled", "system", "extra"] as const;
    const own = this.#tls?.authorities ?? "";
    this.#certificates ??= [own, ...new Set(kinds.flatMap((kind) => getCACertificates(kind)))].join("\n");
    return this.#certificates;
  }
}
