import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { readStderr, runCli } from "../support/cli.ts";

const CERTIFICATES = join(import.meta.dir, "../support/tls");

/**
 * A server behind TLS, which says that it is an old ClickHouse: enough to see that the program talked to it. With `clients`, it
 * requests a certificate of that authority.
 */
async function startServer(clients?: string): Promise<Server> {
  const server = createServer(
    {
      key: readFileSync(join(CERTIFICATES, "server.key")),
      cert: readFileSync(join(CERTIFICATES, "server.pem")),
      ...(clients === undefined
        ? {}
        : { ca: readFileSync(join(CERTIFICATES, clients)), requestCert: true, rejectUnauthorized: true }),
    },
    async (request, response) => {
      const sql = await new Response(Readable.toWeb(request) as ReadableStream).text();
      if (sql.includes("system.settings")) response.writeHead(404, { "X-ClickHouse-Exception-Code": "115" });
      else response.writeHead(200, { "X-ClickHouse-Format": "JSONCompactEachRow" });
      response.end('["23.3.1.1"]\n');
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  return server;
}

let server: Server;
let demanding: Server;

beforeAll(async () => {
  server = await startServer();
  demanding = await startServer("client-ca.pem");
});

afterAll(() => {
  for (const each of [server, demanding]) each.close();
});

interface Asked {
  readonly environment?: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
  readonly of?: Server;
  readonly url?: string;
  readonly code?: number;
}

async function failure({
  environment = {},
  flags = [],
  of = server,
  url,
  code = 1,
}: Asked): Promise<readonly string[]> {
  const address = url ?? `https://localhost:${(of.address() as AddressInfo).port}`;
  const args = [
    "--partition=202511",
    `--clickhouse-url=${address}`,
    "--max-retries=0",
    "--dry-run",
    ...flags,
  ];
  const outcome = await runCli(args, { cwd: CERTIFICATES, environment });
  expect(outcome).toMatchObject({ code });
  return readStderr(outcome).failure;
}

describe("a certificate", () => {
  const authority = join(CERTIFICATES, "ca.pem");

  test("of an unknown authority is not trusted", async () => {
    const lines = await failure({});
    expect(lines[0]).toStartWith("No ClickHouse server responds at https://localhost:");
    expect(lines[1]).toContain("UNABLE_TO_VERIFY_LEAF_SIGNATURE");
  });

  test("of an authority among the system's is trusted", async () => {
    // Where the system's certificates are, as OpenSSL's variable names them.
    expect((await failure({ environment: { SSL_CERT_FILE: authority } }))[0]).toContain("23.3.1.1");
  });

  test("of an authority in NODE_EXTRA_CA_CERTS is trusted", async () => {
    expect((await failure({ environment: { NODE_EXTRA_CA_CERTS: authority } }))[0]).toContain("23.3.1.1");
  });

  test("of the authority in --ca-cert is trusted", async () => {
    expect((await failure({ flags: ["--ca-cert=ca.pem"] }))[0]).toContain("23.3.1.1");
    expect((await failure({ environment: { CLICKHOUSE_CA_CERT: "ca.pem" } }))[0]).toContain("23.3.1.1");
  });
});

describe("a server that requests the client's certificate", () => {
  const shown = ["--ca-cert=ca.pem", "--client-cert=client.pem", "--client-key=client.key"];

  test("gets the one that the options name", async () => {
    expect((await failure({ of: demanding, flags: shown }))[0]).toContain("23.3.1.1");
  });

  test("refuses a program without one", async () => {
    const lines = await failure({ of: demanding, flags: ["--ca-cert=ca.pem"] });
    expect(lines[0]).toStartWith("No ClickHouse server responds at https://localhost:");
  });
});

describe("a certificate's option is refused", () => {
  test.each<[string, readonly string[], string]>([
    [
      "where the certificate comes without its key",
      ["--client-cert=client.pem"],
      "Set both --client-cert (or CLICKHOUSE_CLIENT_CERT) and --client-key (or CLICKHOUSE_CLIENT_KEY), or neither of them",
    ],
    [
      "where the file is missing",
      ["--ca-cert=none.pem"],
      '--ca-cert (or CLICKHOUSE_CA_CERT) "none.pem": expected a PEM file that holds certificates, but there is no such file',
    ],
    [
      "where the file holds something else",
      ["--ca-cert=client.key"],
      '--ca-cert (or CLICKHOUSE_CA_CERT) "client.key": expected a PEM file that holds certificates, but it holds something else',
    ],
    [
      "where the key is another one's",
      ["--client-cert=client.pem", "--client-key=server.key"],
      '--client-key (or CLICKHOUSE_CLIENT_KEY) "server.key": expected the key to the certificate "client.pem"',
    ],
    [
      "where the URL has no TLS",
      ["--ca-cert=ca.pem"],
      "--ca-cert (or CLICKHOUSE_CA_CERT) is given, but the URL is http://localhost:1: expected one with https://",
    ],
  ])("%s", async (_, flags, message) => {
    const url = message.includes("http://") ? { url: "http://localhost:1" } : {};
    expect(await failure({ flags, code: 2, ...url })).toEqual([message]);
  });
});
