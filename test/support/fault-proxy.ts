import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { type Fault, kindOf, type ProxiedRequest, type RequestKind } from "./fault-proxy-faults.ts";
import { collect, iterate, relayResponse, sendWhole, upTo } from "./fault-proxy-response.ts";
import { type Chaos, type Match, Rule } from "./fault-proxy-rules.ts";
import {
  announce,
  CutError,
  encodeHead,
  type Framing,
  frame,
  framingOf,
  type Head,
  MessageReader,
  send,
  setHeader,
  terminator,
} from "./fault-proxy-wire.ts";

const NO_BODY: Framing = { kind: "length", bytes: 0 };

/** What a connection is doing: a request, and the fault that it meets. */
interface Exchange {
  readonly client: Socket;
  readonly head: Head;
  readonly body: AsyncIterable<Buffer>;
  readonly framing: Framing;
  readonly fault: Fault | null;
  readonly rule: Rule | null;
}

/**
 * A proxy between the program and ClickHouse that does to single requests what networks, load balancers and servers do
 * now and then. Responds and the data of inserts pass through as they come, without being held in memory.
 */
export class FaultProxy {
  readonly #target: URL;
  readonly #sockets = new Set<Socket>();
  readonly #counts = new Map<RequestKind, number>();
  #server: Server;
  #port = 0;
  #isRefusing = false;
  #isClosed = false;
  #listening: Promise<void> = Promise.resolve();
  #rules: Rule[] = [];
  #chaos: Chaos | null = null;
  /** All requests so far, in the order in which they came. */
  readonly requests: ProxiedRequest[] = [];

  private constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((socket) => void this.#serve(socket));
  }

  /** Starts a proxy on a free port in front of the server at `target`, an `http://` URL. */
  static async start(target: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    await proxy.#listen();
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Resolves when somebody listens: not while connections are refused. */
  get listening(): Promise<void> {
    return this.#listening;
  }

  /** Scripts a fault. Of several rules that match a request the first counts. */
  on(match: Match, fault: Fault): Rule {
    const rule = new Rule(match, fault);
    this.#rules.push(rule);
    return rule;
  }

  /** Has faults strike unscripted; null ends that. Scripted rules come first. */
  setChaos(chaos: Chaos | null): void {
    this.#chaos = chaos;
  }

  /** Forgets rules and requests, and drops what is held. */
  reset(): void {
    for (const rule of this.#rules) rule.release("drop");
    this.#rules = [];
    this.#chaos = null;
    this.#counts.clear();
    this.requests.length = 0;
  }

  /** The number of requests of a kind since the last reset. */
  count(kind: RequestKind): number {
    return this.#counts.get(kind) ?? 0;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.reset();
    await this.#shut();
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, "127.0.0.1", () => {
        this.#port = (this.#server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  async #shut(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  async #refuse(forMs: number): Promise<void> {
    // Two requests may meet the fault at the same time.
    if (this.#isRefusing) return;
    this.#isRefusing = true;
    this.#listening = this.#shut()
      .then(() => Bun.sleep(forMs))
      .then(async () => {
        this.#isRefusing = false;
        if (this.#isClosed) return;
        this.#server = createServer((socket) => void this.#serve(socket));
        await this.#listen();
      });
    await this.#listening;
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    // Connections break all the time here; who reads or writes finds out by itself.
    socket.on("error", () => {});
  }

  async #serve(client: Socket): Promise<void> {
    this.#track(client);
    const reader = new MessageReader(client);
    try {
      for (let served = 0; ; served++) {
        const head = await reader.head();
        if (head === null || !(await this.#exchange(client, head, reader, served > 0))) return;
      }
    } catch (error) {
      if (!(error instanceof CutError)) throw error;
    } finally {
      client.destroy();
    }
  }

  /** Serves one request; resolves to whether the connection can serve another. */
  async #exchange(client: Socket, head: Head, reader: MessageReader, isReused: boolean): Promise<boolean> {
    const framing = framingOf(head, NO_BODY);
    const params = new URL(head.startLine.split(" ")[1] ?? "/", "http://proxy").searchParams;
    const query = params.get("query");
    // Without a query in the URL the body is the SQL: short, and needed to tell what the request is.
    const sqlBody = query === null ? await collect(reader.body(framing)) : null;
    const body = sqlBody === null ? reader.body(framing) : iterate(sqlBody);
    const request = this.#note({ sql: query ?? sqlBody?.toString() ?? "", params, isReused });
    const rule = this.#rules.find((candidate) => candidate.takes(request)) ?? null;
    const fault = rule?.fault ?? this.#chaos?.(request) ?? null;
    return await this.#carryOut({ client, head, body, framing, fault, rule });
  }

  #note(seen: Omit<ProxiedRequest, "kind" | "nth">): ProxiedRequest {
    const kind = kindOf(seen.sql);
    const nth = this.count(kind) + 1;
    this.#counts.set(kind, nth);
    const request = { ...seen, kind, nth };
    this.requests.push(request);
    return request;
  }

  async #carryOut(exchange: Exchange): Promise<boolean> {
    const { client, body, fault, rule } = exchange;
    switch (fault?.kind) {
      case "refuse":
        await this.#refuse(fault.forMs);
        return false;
      case "response": {
        const whole = await collect(body);
        if (fault.isFor?.(whole) === false) {
          return await this.#forward({ ...exchange, body: iterate(whole), fault: null });
        }
        const headers = Object.entries({ ...fault.headers, Connection: "keep-alive" });
        await sendWhole(
          client,
          { startLine: `HTTP/1.1 ${fault.status} Fault`, headers },
          Buffer.from(fault.body),
        );
        return true;
      }
      case "delay":
        await Bun.sleep(fault.ms);
        break;
      case "hold":
        if (fault.at === "request" && (await rule?.wait()) === "drop") return false;
        break;
      case "reset":
        if (fault.at === "head") {
          client.resetAndDestroy();
          return false;
        }
    }
    return await this.#forward(exchange);
  }

  async #forward(exchange: Exchange): Promise<boolean> {
    const { client, fault, rule } = exchange;
    const upstream = connect(Number(this.#target.port || 80), this.#target.hostname);
    this.#track(upstream);
    try {
      if (!(await this.#forwardRequest(exchange, upstream))) return false;
      const reader = new MessageReader(upstream);
      const head = await reader.head();
      if (head === null) return false;
      const framing = framingOf(head, { kind: "close" });
      const body = reader.body(framing);
      if (fault?.kind === "reset") {
        await collect(body);
        client.resetAndDestroy();
        return false;
      }
      if (fault?.kind === "hold" && fault.at === "response") {
        const whole = await collect(body);
        if ((await rule?.wait()) === "drop") return false;
        return await relayResponse(client, { head, framing, body: iterate(whole) }, null);
      }
      return await relayResponse(client, { head, framing, body }, fault);
    } finally {
      upstream.destroy();
    }
  }

  /** Sends the request to the server, over a connection of its own; false when the fault has ended it. */
  async #forwardRequest(
    { client, head, body, framing, fault }: Exchange,
    upstream: Socket,
  ): Promise<boolean> {
    setHeader(head, "Host", this.#target.host);
    setHeader(head, "Connection", "close");
    const cutAt = fault?.kind === "reset" && typeof fault.at === "object" ? fault.at.bodyBytes : null;
    const end = cutAt ?? (fault?.kind === "shortenBody" ? fault.toBytes : Number.POSITIVE_INFINITY);
    const sent: Framing = fault?.kind === "shortenBody" ? { kind: "chunked" } : framing;
    announce(head, sent);
    await send(upstream, encodeHead(head));
    for await (const bytes of upTo(body, end)) await send(upstream, frame(bytes, sent));
    if (cutAt !== null) {
      upstream.resetAndDestroy();
      client.resetAndDestroy();
      return false;
    }
    // What a shortened body has left out is read all the same: the client must not notice.
    for await (const _ of body);
    await send(upstream, terminator(sent));
    return true;
  }
}
