/**
 * Runs tests against the server that CLICKHOUSE_TEST_URL names: the integration tests that it has all for, since old
 * servers have no JSON columns or no text indexes, which Langfuse's newer tables have.
 *
 * Usage:   CLICKHOUSE_TEST_URL=http://user:password@host:8123 bun scripts/release/test-server.ts [--all]
 * Output:  what is left out and why, then the tests' own.
 *
 * With --all it runs all tests but those of the local ClickHouse itself, or that start one with a password, so that no
 * local engine is needed; then it is an error when the server lacks something.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { eventsFullTable, eventsTable } from "../testbed/schema.ts";
import { connectToUrl } from "../testbed/server.ts";

const ROOT = resolve(import.meta.dir, "../..");

const EVERYWHERE = [
  "test/integration/plan/pages.test.ts",
  "test/integration/native/helper-columns.test.ts",
  "test/integration/native/round-trip.test.ts",
  "test/integration/native/sql-text.test.ts",
];
const WITH_EVENTS = [
  "test/integration/reference/reference.test.ts",
  "test/integration/reference/compare.test.ts",
  "test/integration/native/json.test.ts",
  "test/integration/backfill/wide-rows.test.ts",
];

const { values } = parseArgs({ options: { all: { type: "boolean", default: false } } });
const url = process.env["CLICKHOUSE_TEST_URL"];
if (url === undefined || url === "") throw new Error("CLICKHOUSE_TEST_URL is not set");

const server = connectToUrl(url);
console.log(`ClickHouse ${(await server.query("SELECT version()")).trim()}`);
const database = await server.createDatabase("probe");
const hasEvents =
  (await canRun(eventsTable("events"))) &&
  // Before 26.1 a column of the fixture that is computed from it throws for what is not JSON.
  (await canRun("INSERT INTO events (project_id, model_parameters) VALUES ('p', 'no JSON')"));
const hasEventsFull = await canRun(eventsFullTable("events_full"));
await server.command(`DROP DATABASE ${database}`);

const hasAll = hasEvents && hasEventsFull;
if (values.all && !hasAll) process.exit(1);
const files = testFiles(values.all ? "test" : "test/integration");
const chosen = hasAll ? files : [...EVERYWHERE, ...(hasEvents ? WITH_EVENTS : [])];
const leftOut = files.filter((file) => !chosen.includes(file));
if (leftOut.length > 0) console.log(`Left out: ${leftOut.join(", ")}`);
const child = Bun.spawn([process.execPath, "scripts/test.ts", ...chosen.map((file) => `./${file}`)], {
  cwd: ROOT,
  stdio: ["ignore", "inherit", "inherit"],
});
process.exit(await child.exited);

/** The test files in a folder that start no local ClickHouse by themselves. */
function testFiles(folder: string): string[] {
  return [...new Bun.Glob(`${folder}/**/*.test.ts`).scanSync({ cwd: ROOT })]
    .filter((file) => !file.includes("/dev-clickhouse/"))
    .filter((file) => !readFileSync(resolve(ROOT, file), "utf8").includes("startDevServer"))
    .sort();
}

async function canRun(sql: string): Promise<boolean> {
  try {
    await server.command(sql, { database });
    return true;
  } catch (error) {
    console.log(`What the fixtures need and this server refuses: ${(error as Error).message.slice(0, 300)}`);
    return false;
  }
}
