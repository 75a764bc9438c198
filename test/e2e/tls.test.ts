import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readStderr, runCli } from "../support/cli.ts";

const CERTIFICATES = join(import.meta.dir, "../support/tls");

/** A server behind TLS, which says that it is an old ClickHouse: enough to see that the program talked to it. */
let server: ReturnType<typeof Bun.serve>;

beforeAll(() => {
  server = Bun.serve({
    port: 0,
    tls: {
      key: Bun.file(join(CERTIFICATES, "server.key")),
      cert: Bun.file(join(CERTIFICATES, "server.pem")),
    },
    fetch: () => new Response('["23.3.1.1"]\n', { headers: { "X-ClickHouse-Format": "JSONCompactEachRow" } }),
  });
});

afterAll(() => server.stop(true));

async function failure(environment: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const url = `https://localhost:${server.port}`;
  const args = ["--partition=202511", `--clickhouse-url=${url}`, "--max-retries=0", "--dry-run"];
  const outcome = await runCli(args, { cwd: tmpdir(), environment });
  expect(outcome.code).toBe(1);
  return readStderr(outcome).failure;
}

describe("a certificate", () => {
  const authority = join(CERTIFICATES, "ca.pem");

  test("of an unknown authority is not trusted", async () => {
    const lines = await failure({});
    expect(lines[0]).toStartWith("No ClickHouse server answers at https://localhost:");
    expect(lines[1]).toContain("UNABLE_TO_VERIFY_LEAF_SIGNATURE");
  });

  test("of an authority among the system's is trusted", async () => {
    // Where the system's certificates are, as OpenSSL lets it be told.
    expect((await failure({ SSL_CERT_FILE: authority }))[0]).toContain("23.3.1.1");
  });

  test("of an authority in NODE_EXTRA_CA_CERTS is trusted", async () => {
    expect((await failure({ NODE_EXTRA_CA_CERTS: authority }))[0]).toContain("23.3.1.1");
  });
});
