import { describe, expect, test } from "bun:test";
import { Server } from "../../../src/clickhouse/server.ts";
import { ForeignResponseError, isTransient, ServerError } from "../../../src/clickhouse/server-errors.ts";
import { RawServer } from "../../support/raw-server.ts";

const PASSWORD = "correct horse";
const NEVER = new AbortController().signal;

/** What a query says of a server that gives this response. */
async function failureOf(head: string, content: string): Promise<Error> {
  await using server = await RawServer.start(async ({ socket, until }) => {
    await until("FORMAT JSONCompactEachRow");
    socket.write(`HTTP/1.1 ${head}\r\nContent-Length: ${Buffer.byteLength(content)}\r\n\r\n${content}`);
  });
  const client = new Server({ url: server.url.origin, user: "u", password: PASSWORD, database: "d" });
  const error = await client.allRows({ sql: "SELECT 1" }, NEVER).then(
    (rows) => new Error(`Unexpectedly got ${rows.length} rows`),
    (failure: Error) => failure,
  );
  client.close();
  error.message = error.message.replace(server.url.origin, "URL");
  return error;
}

describe("a response that is not ClickHouse's", () => {
  test("is named with its status and the address of a redirect", async () => {
    const error = await failureOf("302 Found\r\nLocation: https://login.example.com/start", "");
    expect(error).toBeInstanceOf(ForeignResponseError);
    expect(error.message).toBe(
      "URL responded, not ClickHouse, with HTTP status 302: a redirect to https://login.example.com/start, which is not followed. Use the address of the ClickHouse server itself.",
    );
    expect(isTransient(error)).toBe(false);
  });

  test("is named with the first words of a page, also where the status is 200", async () => {
    const page = `<!DOCTYPE html>\n<html><title>Sign in</title>${" ".repeat(200)}<p>${"x".repeat(200)}</p>`;
    const error = await failureOf("200 OK\r\nContent-Type: text/html; charset=utf-8", page);
    expect(isTransient(error)).toBe(true);
    expect(error.message).toContain(
      'with HTTP status 200 and a page that begins "<!DOCTYPE html> <html><title>Sign in</title> <p>xxx',
    );
    expect(error.message).toContain('x…". Is there a proxy, a load balancer or a login page in between?');
  });

  test.each([
    [
      "503 Service Unavailable\r\nContent-Type: application/json",
      '{"error":"no backend"}',
      'JSON that begins "{\\"error\\":\\"no backend\\"}"',
    ],
    ["503 Service Unavailable", "upstream down", 'text that begins "upstream down"'],
    ["503 Service Unavailable", "", "no content"],
  ])("is named by its kind, and tried again where its status may pass: %s", async (head, content, words) => {
    const error = await failureOf(head, content);
    expect(error.message).toContain(`with HTTP status 503 and ${words}`);
    expect(isTransient(error)).toBe(true);
  });

  test("is shown without a password that it repeats, wherever it is cut", async () => {
    for (let before = 0; before < 130; before += 10) {
      const error = await failureOf("502 Bad Gateway", `${".".repeat(before)}${PASSWORD}`);
      expect(error.message).not.toContain(PASSWORD.slice(0, 5));
    }
  });

  test("is distinguished from an error of ClickHouse itself", async () => {
    const error = await failureOf("404 Not Found\r\nX-ClickHouse-Exception-Code: 60", "Code: 60. No table");
    expect(error).toBeInstanceOf(ServerError);
    expect(error).not.toBeInstanceOf(ForeignResponseError);
    expect(error).toMatchObject({ code: 60, words: "Code: 60. No table" });
  });
});
