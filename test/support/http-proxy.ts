import { connect, createServer, type Server, type Socket } from "node:net";

/** What a client asked the proxy for. */
export interface ProxiedRequest {
  /** The first line of its head. */
  readonly line: string;
  readonly authorization: string | null;
}

/** A request for a whole URL becomes one for its path (RFC 9112, section 3.2.1). */
function inOriginForm(bytes: Buffer): Buffer {
  const [line] = /^[A-Z]+ http:\/\/[^/]+/.exec(bytes.toString("latin1", 0, 200)) ?? [];
  return line === undefined
    ? bytes
    : Buffer.concat([Buffer.from(line.replace(/http:.*/, "")), bytes.subarray(line.length)]);
}

/** An HTTP proxy for tests: it tunnels CONNECT, and passes other requests on to the host of their URL. */
export class HttpProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly requests: ProxiedRequest[] = [];
  /** Given in place of a connection. */
  refusal: string | null = null;

  private constructor() {
    this.#server = createServer((client) => {
      this.#track(client);
      client.once("data", (bytes: Buffer) => this.#forward(client, bytes));
    });
  }

  static async start(): Promise<HttpProxy> {
    const proxy = new HttpProxy();
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("The proxy does not listen");
    return address.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #forward(client: Socket, bytes: Buffer): void {
    const head = bytes.toString("latin1").split("\r\n\r\n", 1)[0] ?? "";
    const line = head.split("\r\n", 1)[0] ?? "";
    const authorization = /^proxy-authorization: (.*)$/im.exec(head)?.[1]?.trim() ?? null;
    this.requests.push({ line, authorization });
    if (this.refusal !== null) return void client.end(this.refusal);
    const [, method, target = ""] = /^(\S+) (\S+)/.exec(line) ?? [];
    const { hostname, port } = new URL(method === "CONNECT" ? `http://${target}` : target);
    const server = connect({ host: hostname, port: Number(port || 80) });
    this.#track(server);
    if (method === "CONNECT") client.write("HTTP/1.1 200 Connection established\r\n\r\n");
    else server.write(inOriginForm(bytes));
    client.on("data", (more: Buffer) => void server.write(inOriginForm(more)));
    client.on("end", () => server.end());
    server.pipe(client);
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
  }
}
