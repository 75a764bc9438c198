import { createServer, type Server, type Socket } from "node:net";

/** A connection as the server of a test sees it: what has come, and what is to be done with it. */
export interface RawConnection {
  readonly socket: Socket;
  /** All that has come so far. */
  received(): string;
  /** Resolves when so many requests have come whole: each ends with `end`. */
  until(end: string, times?: number): Promise<void>;
}

/** A server that responds byte by byte as a test says; it knows nothing of HTTP. */
export class RawServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #connections = 0;

  private constructor(handle: (connection: RawConnection, number: number) => Promise<void> | void) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      const chunks: Buffer[] = [];
      let notice: () => void = () => {};
      socket.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        notice();
      });
      socket.on("error", () => {});
      const received = (): string => Buffer.concat(chunks).toString("latin1");
      const until = async (end: string, times = 1): Promise<void> => {
        while (received().split(end).length <= times) {
          await new Promise<void>((resolve) => {
            notice = resolve;
          });
        }
      };
      void handle({ socket, received, until }, ++this.#connections);
    });
  }

  /** `handle` is called with each connection and its number, from 1. */
  static async start(
    handle: (connection: RawConnection, number: number) => Promise<void> | void,
  ): Promise<RawServer> {
    const server = new RawServer(handle);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): URL {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("The server does not listen");
    return new URL(`http://127.0.0.1:${address.port}`);
  }

  get connections(): number {
    return this.#connections;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
