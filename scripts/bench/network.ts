import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A network between client and server: its delay and what it carries, in each direction. */
export interface Link {
  readonly name: string;
  /** There and back. */
  readonly roundTripMs: number;
  /** Shared by all connections. */
  readonly bitsPerSecond: number;
}

/** Bytes that have crossed in each direction. */
export interface Traffic {
  readonly toServer: number;
  readonly toClient: number;
}

/** A connection may have so much on its way, or what the link holds, whichever is more; then its sender waits. */
const LEAST_WINDOW_BYTES = 2 ** 20;
/** Goes out as a unit. */
const PIECE_BYTES = 16 * 2 ** 10;

/**
 * A TCP proxy that behaves like a network: every byte waits its turn on a line of the given rate, which all connections
 * share, and arrives half a round trip later; a new connection takes a round trip to begin. Loss and slow start are not
 * simulated, so that real networks are slower, most of all with short requests.
 */
export class SimulatedNetwork {
  readonly #server: Server;
  readonly #target: URL;
  readonly #link: Link;
  readonly #toServer: Line;
  readonly #toClient: Line;
  readonly #sockets = new Set<Socket>();

  private constructor(target: string, link: Link) {
    this.#target = new URL(target);
    this.#link = link;
    this.#toServer = new Line(link);
    this.#toClient = new Line(link);
    this.#server = createServer((socket) => this.#carry(socket));
  }

  /** Puts a network on a free port in front of the server at `target`, an `http://` URL. */
  static async start(target: string, link: Link): Promise<SimulatedNetwork> {
    const network = new SimulatedNetwork(target, link);
    await new Promise<void>((resolve, reject) => {
      network.#server.once("error", reject);
      network.#server.listen(0, "127.0.0.1", resolve);
    });
    return network;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get traffic(): Traffic {
    return { toServer: this.#toServer.carriedBytes, toClient: this.#toClient.carriedBytes };
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #carry(client: Socket): void {
    const server = connect(Number(this.#target.port), this.#target.hostname);
    const cut = (): void => {
      client.destroy();
      server.destroy();
      this.#sockets.delete(client);
      this.#sockets.delete(server);
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      // A client that is done and a server that is stopped break connections: that is not an error.
      socket.on("error", cut);
      socket.on("close", cut);
    }
    forward(client, server, this.#toServer, this.#link.roundTripMs);
    forward(server, client, this.#toClient, 0);
  }
}

function forward(from: Socket, to: Socket, line: Line, headStartMs: number): void {
  const earliestMs = performance.now() + headStartMs;
  let underWayBytes = 0;
  const arrive = (piece: Buffer): void => {
    underWayBytes -= piece.length;
    if (!to.destroyed) to.write(piece);
    // A receiver that does not read holds its sender back.
    if (underWayBytes < line.windowBytes && to.writableLength < line.windowBytes) from.resume();
  };
  from.on("data", (bytes: Buffer) => {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      underWayBytes += piece.length;
      line.send(piece.length, earliestMs, () => arrive(piece));
    }
    if (underWayBytes >= line.windowBytes || to.writableLength >= line.windowBytes) from.pause();
  });
  to.on("drain", () => from.resume());
  from.on("end", () => line.send(0, earliestMs, () => to.end()));
}

/** One direction of a link. */
class Line {
  readonly windowBytes: number;
  readonly #delayMs: number;
  readonly #bytesPerMs: number;
  readonly #underWay: { readonly dueMs: number; readonly arrive: () => void }[] = [];
  #first = 0;
  #freeAtMs = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  carriedBytes = 0;

  constructor({ roundTripMs, bitsPerSecond }: Link) {
    this.#delayMs = roundTripMs / 2;
    this.#bytesPerMs = bitsPerSecond / 8000;
    const heldBytes = Number.isFinite(this.#bytesPerMs) ? 2 * roundTripMs * this.#bytesPerMs : 0;
    this.windowBytes = Math.max(LEAST_WINDOW_BYTES, heldBytes);
  }

  /** Calls `arrive` when that many bytes, sent now or at `earliestMs`, have reached the other end. */
  send(bytes: number, earliestMs: number, arrive: () => void): void {
    this.carriedBytes += bytes;
    const beginMs = Math.max(performance.now(), earliestMs, this.#freeAtMs);
    this.#freeAtMs = beginMs + bytes / this.#bytesPerMs;
    this.#underWay.push({ dueMs: this.#freeAtMs + this.#delayMs, arrive });
    this.#deliver();
  }

  #deliver(): void {
    if (this.#timer !== null) return;
    for (;;) {
      const next = this.#underWay[this.#first];
      if (next === undefined) {
        this.#underWay.length = 0;
        this.#first = 0;
        return;
      }
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => {
          this.#timer = null;
          this.#deliver();
        }, waitMs);
        return;
      }
      this.#first += 1;
      next.arrive();
    }
  }
}
