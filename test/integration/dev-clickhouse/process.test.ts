import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectTo, startDevServer } from "../../../scripts/testbed/server.ts";

const script = join(import.meta.dir, "../../../scripts/dev-clickhouse.ts");
const directories: string[] = [];
afterEach(() => {
  for (const path of directories.splice(0)) rmSync(path, { recursive: true, force: true });
});

function newDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), "clickhouse-process-"));
  directories.push(path);
  return path;
}

async function run(...flags: string[]): Promise<{ exitCode: number; stderr: string }> {
  const child = Bun.spawn([process.execPath, script, ...flags], { stdout: "ignore", stderr: "pipe" });
  return { stderr: await child.stderr.text(), exitCode: await child.exited };
}

describe("acknowledged rows survive", () => {
  test.each(["SIGTERM", "SIGINT", "SIGKILL"] as const)("%s", async (signal) => {
    const path = newDirectory();
    const first = await startDevServer("--path", path);
    const server = connectTo(first.url);
    await server.command("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a");
    expect(await server.insertRaw("INSERT INTO t FORMAT TSV", Buffer.from("1\n2\n3\n"))).toBe(3);
    first.process.kill(signal);
    expect(await first.process.exited).toBe(signal === "SIGKILL" ? 137 : 0);
    const second = await startDevServer("--path", path);
    expect(await connectTo(second.url).query("SELECT sum(a) FROM t")).toBe("6\n");
    second.process.kill("SIGKILL");
    await second.process.exited;
  });
});

test("a signal ends queries under way, and the process", async () => {
  const { url, process: child } = await startDevServer("--temporary");
  const server = connectTo(url);
  const query = server.query("SELECT sum(number) FROM numbers(1000000000000)");
  query.catch(() => undefined);
  while ((await server.query("SELECT count() FROM system.processes")) !== "2\n") await Bun.sleep(10);
  child.kill("SIGTERM");
  await expect(query).rejects.toThrow();
  expect(await child.exited).toBe(0);
});

test("a second process on the same directory says so", async () => {
  const path = newDirectory();
  const { process: child } = await startDevServer("--path", path);
  const second = await run("--path", path, "--port", "0");
  expect(second.exitCode).toBe(1);
  // The first line is the engine's own.
  expect(second.stderr).toMatch(
    /^Code: 76\..*already running.*\ndev-clickhouse: Cannot open the data directory .*\n$/,
  );
  child.kill("SIGKILL");
  await child.exited;
});

test.each([
  [["--temporary", "--port", "x"], "--port x"],
  [["--temporary", "--port", "65536"], "--port 65536"],
  [[], "--path"],
  [["--temporary", "--path", "x"], "--path"],
  [["--temporary", "--prot", "1"], "--prot"],
  [["--temporary", "--host", "256.1.1.1", "--port", "0"], "256.1.1.1"],
])("the flags %j are refused in one line", async (flags, named) => {
  const { exitCode, stderr } = await run(...flags);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(named);
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
});

test("--exit-with-parent ends the server when its parent is killed", async () => {
  const parentProgram = `
    const child = Bun.spawn([process.execPath, ${JSON.stringify(script)}, "--temporary", "--port", "0", "--exit-with-parent"],
      { stdout: "inherit", stderr: "inherit", env: { ...process.env, UV_THREADPOOL_SIZE: "16" } });
    await child.exited;`;
  const parent = Bun.spawn([process.execPath, "-e", parentProgram], { stdout: "pipe", stderr: "inherit" });
  const reader = parent.stdout.getReader();
  const { value } = await reader.read();
  expect(Buffer.from(value ?? []).toString()).toStartWith("listening on ");
  parent.kill("SIGKILL");
  // The server holds the pipe open for as long as it lives.
  expect((await reader.read()).done).toBe(true);
});
