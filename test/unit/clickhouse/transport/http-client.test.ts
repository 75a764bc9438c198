import { describe, expect, test } from "bun:test";
import { readText } from "../../../../src/clickhouse/response.ts";
import { TransportError } from "../../../../src/clickhouse/server-errors.ts";
import type { Patience } from "../../../../src/clickhouse/transport/byte-socket.ts";
import { Connector } from "../../../../src/clickhouse/transport/connector.ts";
import {
  HttpClient,
  type HttpRequest,
  type RequestBody,
} from "../../../../src/clickhouse/transport/http-client.ts";
import { type RawConnection, RawServer } from "../../../support/raw-server.ts";

const NEVER = new AbortController().signal;
const SHORT_MS = 60;
const PATIENT: Patience = { timeoutMs: 60_000, quietAfterMs: 20_000 };
const IMPATIENT: Patience = { timeoutMs: SHORT_MS, quietAfterMs: SHORT_MS };
const END = "THE END";
const OK = "HTTP/1.1 200 OK\r\n";

function requestOf(...parts: string[]): HttpRequest {
  const buffers = [...parts, END].map((part) => Buffer.from(part));
  const bytes = buffers.reduce((sum, part) => sum + part.length, 0);
  return { target: "/path?query=1", headers: { "X-Test": "yes" }, body: { parts: buffers, bytes } };
}

/** A server that gives this response, byte for byte, to each request. */
async function responding(response: string): Promise<RawServer> {
  return await RawServer.start(async ({ socket, until }) => {
    for (let times = 1; !socket.destroyed; times++) {
      await until(END, times);
      socket.write(response);
    }
  });
}

async function ask(client: HttpClient, request = requestOf(), signal = NEVER): Promise<string> {
  const { chunks } = await client.request(request, signal);
  return await readText(chunks);
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    (value) => new Error(`Unexpectedly got ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
}

describe("a request", () => {
  test("is sent as given", async () => {
    let received = "";
    await using server = await RawServer.start(async (connection) => {
      await connection.until(END);
      received = connection.received();
      connection.socket.write(`${OK}Content-Length: 2\r\n\r\nok`);
    });
    const client = new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT);
    expect(await ask(client, requestOf("some ", "data "))).toBe("ok");
    expect(received).toBe(
      `POST /path?query=1 HTTP/1.1\r\nHost: ${server.url.host}\r\nX-Test: yes\r\nContent-Length: 17\r\n\r\nsome data THE END`,
    );
    client.close();
  });

  test("of unknown length is sent in chunks, without empty ones", async () => {
    let received = "";
    await using server = await RawServer.start(async (connection) => {
      await connection.until("0\r\n\r\n");
      received = connection.received();
      connection.socket.write(`${OK}Content-Length: 2\r\n\r\nok`);
    });
    const client = new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT);
    async function* parts(): AsyncGenerator<Buffer> {
      yield Buffer.from("some");
      yield Buffer.alloc(0);
      yield Buffer.alloc(300, "x");
    }
    expect(await ask(client, { ...requestOf(), body: { parts: parts(), bytes: null } })).toBe("ok");
    expect(received).toEndWith(
      `Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n12c\r\n${"x".repeat(300)}\r\n0\r\n\r\n`,
    );
    client.close();
  });

  test("of many megabytes waits for a slow server", async () => {
    const part = Buffer.alloc(2 ** 20, "x");
    let sent = 0;
    function* parts(): Generator<Buffer> {
      for (; sent < 64; sent++) yield part;
    }
    let sentWhilePaused = 0;
    await using server = await RawServer.start(async ({ socket }) => {
      socket.pause();
      await Bun.sleep(50);
      sentWhilePaused = sent;
      let bytes = 0;
      socket.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > 64 * part.length) socket.write(`${OK}Content-Length: 2\r\n\r\nok`);
      });
      socket.resume();
    });
    const client = new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT);
    const body: RequestBody = { parts: parts(), bytes: 64 * part.length };
    expect(await ask(client, { ...requestOf(), body })).toBe("ok");
    expect(sentWhilePaused).toBeLessThan(32);
    client.close();
  });

  test("whose body fails is not finished, and fails with the body's error", async () => {
    let received = "";
    const closed = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    await using server = await RawServer.start(async ({ socket, received: all, until }) => {
      socket.on("close", () => {
        received = all();
        closed.resolve();
      });
      await until("some");
      arrived.resolve();
    });
    const client = new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT);
    const broken = new Error("no more data");
    async function* parts(): AsyncGenerator<Buffer> {
      yield Buffer.from("some");
      await arrived.promise;
      throw broken;
    }
    expect(await failure(ask(client, { ...requestOf(), body: { parts: parts(), bytes: null } }))).toBe(
      broken,
    );
    await closed.promise;
    expect(received).not.toContain("0\r\n\r\n");
  });
});

describe("a response", () => {
  test("that arrives byte by byte is assembled", async () => {
    const response = `${OK}X-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`;
    await using server = await RawServer.start(async ({ socket, until }) => {
      await until(END);
      socket.setNoDelay(true);
      for (const byte of response) {
        socket.write(byte);
        await Bun.sleep(1);
      }
    });
    const client = new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT);
    const { headers, chunks } = await client.request(requestOf(), NEVER);
    expect(headers.get("x-a")).toBe("1");
    expect(await readText(chunks)).toBe("abcde");
    client.close();
  });

  test("may be announced", async () => {
    await using server = await responding(
      `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`,
    );
    const client = new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT);
    expect(await ask(client)).toBe("ok");
    client.close();
  });

  test("may arrive before the request is sent, and then decides", async () => {
    await using server = await RawServer.start(async ({ socket, until }) => {
      await until("x");
      socket.pause();
      socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\n\r\ntoo much");
    });
    const client = new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT);
    const body: RequestBody = { parts: [Buffer.alloc(64 * 2 ** 20, "x")], bytes: 64 * 2 ** 20 };
    const { status, chunks } = await client.request({ ...requestOf(), body }, NEVER);
    expect(status).toBe(413);
    expect(await readText(chunks)).toBe("too much");
    // The rest of the request must not be read as the beginning of another.
    expect(await failure(ask(client, requestOf(), AbortSignal.timeout(100)))).toHaveProperty(
      "name",
      "TimeoutError",
    );
    expect(server.connections).toBe(2);
  });

  test("without a length goes on to the end of the connection, and says so", async () => {
    await using server = await RawServer.start(async ({ socket, until }) => {
      await until(END);
      socket.write(`${OK}\r\nall `);
      await Bun.sleep(10);
      socket.end("of it");
    });
    const client = new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT);
    const { isFramed, chunks } = await client.request(requestOf(), NEVER);
    expect(isFramed).toBe(false);
    expect(await readText(chunks)).toBe("all of it");
  });

  test.each([
    ["its length", `${OK}Content-Length: 9\r\n\r\nshort`],
    ["its last chunk", `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n`],
  ])("that ends before %s is an error, after all that came", async (_, response) => {
    await using server = await RawServer.start(async ({ socket, until }) => {
      await until(END);
      socket.end(response);
    });
    const client = new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT);
    const { chunks } = await client.request(requestOf(), NEVER);
    expect((await chunks.next()).value?.toString()).toBe("short");
    const error = await failure(chunks.next());
    expect(error).toBeInstanceOf(TransportError);
    expect((error as Error).message).toStartWith("The response broke off: ");
  });

  test("that does not arrive is an error", async () => {
    await using server = await RawServer.start(async ({ socket, until }) => {
      await until(END);
      socket.end();
    });
    const error = await failure(ask(new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT)));
    expect(error).toEqual(new TransportError("The server closed the connection without a response"));
  });

  test("of another protocol is an error", async () => {
    await using server = await RawServer.start(({ socket }) => void socket.write("220 mail ready\r\n\r\n"));
    const error = await failure(ask(new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT)));
    expect(error).toEqual(new TransportError('Expected a response in HTTP/1.1, got "220 mail ready"'));
  });

  test("whose headers do not end is an error", async () => {
    await using server = await RawServer.start(async ({ socket }) => {
      while (!socket.destroyed) {
        socket.write("HTTP/1.1 200 OK\r\nX: 1\r\n".padEnd(2 ** 16, "x"));
        await Bun.sleep(0);
      }
    });
    const error = await failure(ask(new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT)));
    expect(error).toEqual(new TransportError("The response's headers do not end"));
  });

  test("is held back while its reader is busy", async () => {
    let written = 0;
    await using server = await RawServer.start(async ({ socket, until }) => {
      await until(END);
      socket.write(`${OK}Content-Length: ${64 * 2 ** 20}\r\n\r\n`);
      const part = Buffer.alloc(2 ** 20);
      for (; written < 64 && !socket.destroyed; written++) {
        await new Promise<void>((resolve) => socket.write(part, () => resolve()));
      }
    });
    const client = new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT);
    const { chunks } = await client.request(requestOf(), NEVER);
    let bytes = (await chunks.next()).value?.length ?? 0;
    await Bun.sleep(100);
    expect(written).toBeLessThan(32);
    for await (const chunk of chunks) bytes += chunk.length;
    expect(bytes).toBe(64 * 2 ** 20);
    client.close();
  });
});

describe("a connection", () => {
  test("takes one request after another", async () => {
    await using server = await responding(`${OK}Content-Length: 2\r\n\r\nok`);
    const client = new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT);
    for (let i = 0; i < 3; i++) expect(await ask(client)).toBe("ok");
    expect(server.connections).toBe(1);
    client.close();
  });

  test("that was idle for long is not reused", async () => {
    await using server = await responding(`${OK}Content-Length: 2\r\n\r\nok`);
    const client = new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT);
    expect(await ask(client)).toBe("ok");
    await Bun.sleep(1_600);
    expect(await ask(client)).toBe("ok");
    expect(server.connections).toBe(2);
    client.close();
  });

  test.each([
    ["that the server closes", async ({ socket }: RawConnection) => void socket.end()],
    ["that the server resets", async ({ socket }: RawConnection) => void socket.resetAndDestroy()],
    [
      "on which more arrives than was requested",
      async ({ socket }: RawConnection) => void socket.write("HTTP/1.1 408"),
    ],
  ])("%s is not used again", async (_, afterwards) => {
    await using server = await RawServer.start(async (connection) => {
      await connection.until(END);
      connection.socket.write(`${OK}Content-Length: 2\r\n\r\nok`);
      await Bun.sleep(10);
      await afterwards(connection);
    });
    const client = new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT);
    for (let i = 1; i <= 2; i++) {
      expect(await ask(client)).toBe("ok");
      expect(server.connections).toBe(i);
      await Bun.sleep(50);
    }
    client.close();
  });

  test.each([
    ["is told to close", "Connection: close\r\n"],
    ["is one of HTTP/1.0", null],
  ])("that %s is not used again", async (_, header) => {
    const begin = header === null ? "HTTP/1.0 200 OK\r\n" : `${OK}${header}`;
    await using server = await responding(`${begin}Content-Length: 2\r\n\r\nok`);
    const client = new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT);
    for (let i = 1; i <= 2; i++) {
      expect(await ask(client)).toBe("ok");
      expect(server.connections).toBe(i);
    }
  });

  test("is closed when its response is not read, or not to its end", async () => {
    const closed: number[] = [];
    await using server = await RawServer.start(async ({ socket, until }, number) => {
      socket.on("close", () => closed.push(number));
      await until(END);
      socket.write(`${OK}Content-Length: 9\r\n\r\nbegin`);
    });
    const client = new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT);
    (await client.request(requestOf(), NEVER)).cancel();
    for await (const _ of (await client.request(requestOf(), NEVER)).chunks) break;
    for (let i = 0; closed.length < 2 && i < 100; i++) await Bun.sleep(10);
    expect(closed.sort()).toEqual([1, 2]);
  });

  test("that is refused is an error with its code", async () => {
    const server = await RawServer.start(() => {});
    const { url } = server;
    await server[Symbol.asyncDispose]();
    const error = await failure(ask(new HttpClient(new Connector(url, PATIENT.timeoutMs), PATIENT)));
    expect(error).toBeInstanceOf(TransportError);
    expect((error as Error).message).toContain("ECONNREFUSED");
  });
});

describe("silence", () => {
  const STALLED = new TransportError("The server sent nothing for 0 s");

  test.each([
    ["before the response", ""],
    ["within the headers", OK],
    ["within the content", `${OK}Content-Length: 9\r\n\r\nbegin`],
  ])("%s is an error", async (_, beginning) => {
    await using server = await RawServer.start(async ({ socket, until }) => {
      await until(END);
      socket.write(beginning);
    });
    expect(
      await failure(ask(new HttpClient(new Connector(server.url, IMPATIENT.timeoutMs), IMPATIENT))),
    ).toEqual(STALLED);
  });

  test("of a server that does not read is an error", async () => {
    await using server = await RawServer.start(({ socket }) => void socket.pause());
    const body: RequestBody = { parts: [Buffer.alloc(64 * 2 ** 20)], bytes: 64 * 2 ** 20 };
    expect(
      await failure(
        ask(new HttpClient(new Connector(server.url, IMPATIENT.timeoutMs), IMPATIENT), {
          ...requestOf(),
          body,
        }),
      ),
    ).toEqual(STALLED);
  });

  test("is reported while it lasts, each time that it has doubled", async () => {
    await using server = await RawServer.start(async ({ socket, until }) => {
      await until(END);
      await Bun.sleep(SHORT_MS * 8);
      socket.write(`${OK}Content-Length: 3\r\n\r\nend`);
    });
    const client = new HttpClient(new Connector(server.url, 60_000), {
      timeoutMs: 60_000,
      quietAfterMs: SHORT_MS,
    });
    const reported: number[] = [];
    const request = { ...requestOf(), onQuiet: (sinceMs: number) => reported.push(sinceMs) };
    expect(await ask(client, request)).toBe("end");
    expect(reported.length).toBeGreaterThan(1);
    expect(reported.every((sinceMs, i) => sinceMs >= SHORT_MS * 2 ** i)).toBe(true);
    client.close();
  });

  test("of the reader does not count", async () => {
    await using server = await RawServer.start(async ({ socket, until }) => {
      await until(END);
      socket.write(`${OK}Content-Length: 9\r\n\r\nbegin`);
      await Bun.sleep(SHORT_MS * 5);
      socket.write(" end");
    });
    const client = new HttpClient(new Connector(server.url, IMPATIENT.timeoutMs), IMPATIENT);
    const { chunks } = await client.request(requestOf(), NEVER);
    await chunks.next();
    await Bun.sleep(SHORT_MS * 6);
    expect((await chunks.next()).value?.toString()).toBe(" end");
    client.close();
  });
});

describe("a signal", () => {
  test.each([
    ["before the request", -1],
    ["before the response", 0],
    ["within the content", 1],
  ])("%s ends it with its reason", async (_, when) => {
    await using server = await RawServer.start(async ({ socket, until }) => {
      await until(END);
      if (when > 0) socket.write(`${OK}Content-Length: 9\r\n\r\nbegin`);
    });
    const controller = new AbortController();
    const reason = new Error("stop");
    if (when < 0) controller.abort(reason);
    const pending = failure(
      ask(
        new HttpClient(new Connector(server.url, PATIENT.timeoutMs), PATIENT),
        requestOf(),
        controller.signal,
      ),
    );
    await Bun.sleep(20);
    controller.abort(reason);
    expect(await pending).toBe(reason);
  });
});
