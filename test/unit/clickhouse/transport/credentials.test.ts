import { describe, expect, test } from "bun:test";
import { Server } from "../../../../src/clickhouse/server.ts";
import { cannotAuthenticate, credentialHeaders } from "../../../../src/clickhouse/transport/credentials.ts";
import { RawServer } from "../../../support/raw-server.ts";

const NEVER = new AbortController().signal;

/** The request as bytes, read as UTF-8: what a server that compares bytes sees. */
async function requestOf(user: string, password: string): Promise<string> {
  let received = "";
  await using server = await RawServer.start(async (connection) => {
    await connection.until("FORMAT JSONCompactEachRow");
    received = Buffer.from(connection.received(), "latin1").toString("utf8");
    connection.socket.write(
      "HTTP/1.1 200 OK\r\nX-ClickHouse-Format: JSONCompactEachRow\r\nContent-Length: 0\r\n\r\n",
    );
  });
  const client = new Server({ url: server.url.href, user, password, database: "d" });
  await client.allRows({ sql: "SELECT 1" }, NEVER);
  client.close();
  return received;
}

describe("user and password", () => {
  test.each([
    ["default", ""],
    ["us:er", "secret"],
    ["é", "pä%20:ß€"],
    ["with a space", "a b"],
  ])("%j and %j go out as ClickHouse's own headers", async (user, password) => {
    const request = await requestOf(user, password);
    expect(request).toContain(`\r\nX-ClickHouse-User: ${user}\r\nX-ClickHouse-Key: ${password}\r\n`);
    expect(request).not.toContain("Authorization");
  });

  test.each([
    ["default", " secret"],
    ["default", "secret\t"],
    ["default", "two\nlines"],
  ])("%j and %j, which no header can carry, go out as Basic authentication", (user, password) => {
    const encoded = Buffer.from(`${user}:${password}`).toString("base64");
    expect(credentialHeaders(user, password)).toEqual({ Authorization: `Basic ${encoded}` });
    expect(cannotAuthenticate(user, password)).toBe(false);
  });

  test("cannot be sent where neither way carries both", () => {
    expect(cannotAuthenticate("us:er", "two\nlines")).toBe(true);
    expect(cannotAuthenticate("us:er", "secret")).toBe(false);
  });
});
