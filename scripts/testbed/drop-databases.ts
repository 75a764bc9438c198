/**
 * Drops what the tests left on a real server: reads names from standard input, one a line, and acts when it ends. As a
 * process of its own it also works when the test process dies; bun test runs no exit handlers.
 *
 *   bun drop-databases.ts URL USER PASSWORD
 */
import { identifier } from "../../src/clickhouse/sql.ts";

const [url, user, password] = process.argv.slice(2);
if (url === undefined || user === undefined || password === undefined) {
  throw new Error("expected URL, user, password");
}
const names = (await Bun.stdin.text()).split("\n").filter((name) => name !== "");
for (const name of names) {
  const response = await fetch(url, {
    method: "POST",
    body: `DROP DATABASE IF EXISTS ${identifier(name)}`,
    headers: { "X-ClickHouse-User": user, "X-ClickHouse-Key": password },
  });
  if (!response.ok) throw new Error(`Cannot drop ${name}: ${await response.text()}`);
}
