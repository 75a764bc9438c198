/**
 * Starts a binary on the platform that it is for: version, help, and the errors of a wrong use and of a missing server;
 * with a server also a small backfill, compared row by row with SQL.
 *
 * Usage:   bun scripts/release/smoke.ts [--binary <path>] [--runner "<command>"] [--url http://user:password@host:8123]
 *          The runner, split at spaces, starts the binary where this system can't; alone, it is the program.
 * Output:  a line for each check. Exit codes: 0 all well, 1 not.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../../package.json";
import { connectToUrl } from "../testbed/server.ts";
import { makeMonth, PARTITION, verifyMonth } from "./smoke-data.ts";

/** The discard service's port, on which nothing listens. */
const DEAD_URL = "http://127.0.0.1:9";

const { values } = parseArgs({
  options: { binary: { type: "string" }, url: { type: "string" }, runner: { type: "string" } },
});
const program = (values.runner ?? "").split(" ").filter((word) => word !== "");
if (values.binary !== undefined) program.push(resolve(values.binary));
if (program.length === 0) throw new Error("expected --binary <path>");
const directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-smoke-"));
try {
  await expectRun(["--version"], 0, `clickhouse-backfill ${version} (`);
  await expectRun(["--help"], 0, "--partition");
  await expectRun([], 2, "--partition");
  await expectRun(
    ["--partition", PARTITION, "--clickhouse-url", DEAD_URL, "--max-retries", "0"],
    1,
    DEAD_URL,
  );
  if (values.url !== undefined) await copyMonth(values.url);
} finally {
  rmSync(directory, { recursive: true });
}

async function copyMonth(url: string): Promise<void> {
  const server = connectToUrl(url);
  const database = await makeMonth(server);
  const { user, password } = server;
  const access = ["--clickhouse-url", server.url, "--clickhouse-db", database, "--clickhouse-user", user];
  const environment = { CLICKHOUSE_PASSWORD: password };
  await expectRun(["--partition", PARTITION, ...access], 0, "is done", environment);
  console.log(`${await verifyMonth(server, database)} events, each as SQL has it`);
  await server.command(`DROP DATABASE ${database}`);
}

async function expectRun(
  args: readonly string[],
  code: number,
  text: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  const child = Bun.spawn([...program, ...args], {
    cwd: directory,
    env: { PATH: process.env["PATH"], ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = (
    await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  ).join("");
  await child.exited;
  if (child.exitCode !== code || !output.includes(text)) {
    const ending = child.signalCode ?? child.exitCode;
    throw new Error(`${args.join(" ")}: ended with ${ending}, expected ${code} and "${text}" in:\n${output}`);
  }
  console.log(`${["clickhouse-backfill", ...args].join(" ")}: exit code ${code}`);
}
