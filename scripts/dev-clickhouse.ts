/**
 * A local ClickHouse for development and tests: the real engine (chDB) behind ClickHouse's HTTP interface.
 *
 *   bun scripts/dev-clickhouse.ts (--path ./clickhouse-data | --temporary) [--port 8123] [--host 127.0.0.1]
 *                                 [--user default] [--password secret] [--exit-with-parent]
 *
 * Prints one line, `listening on http://HOST:PORT`, when it takes queries. SIGINT and SIGTERM stop it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineCommand, runMain } from "citty";
import { Engine } from "./dev-clickhouse/engine.ts";
import { DevServer } from "./dev-clickhouse/server.ts";
import { MAX_CONCURRENT_QUERIES, THREAD_POOL_SIZE } from "./dev-clickhouse/threads.ts";

const PARENT_POLL_MS = 500;

await runMain(
  defineCommand({
    meta: { name: "dev-clickhouse", description: "A local ClickHouse for development and tests" },
    args: {
      path: { type: "string", description: "data directory, made if missing" },
      temporary: {
        type: "boolean",
        default: false,
        description: "a fresh data directory, removed at the end",
      },
      port: { type: "string", default: "8123", description: "TCP port; 0 picks a free one" },
      host: { type: "string", default: "127.0.0.1", description: "address to listen on" },
      user: { type: "string", default: "default", description: "the only user" },
      password: { type: "string", default: "", description: "its password" },
      "exit-with-parent": {
        type: "boolean",
        default: false,
        description: "stop when the parent process dies",
      },
    },
    async run({ args }) {
      const port = Number(args.port);
      if (!/^\d+$/.test(args.port) || port > 65_535) fail(`--port ${args.port}: expected 0 to 65535`);
      if ((args.path === undefined) !== args.temporary) fail("expected either --path DIR or --temporary");
      // Bun reads the size of its thread pool from the environment, once, at start.
      if (process.env["UV_THREADPOOL_SIZE"] === undefined) return await relaunch();
      const path = args.path ?? mkdtempSync(join(tmpdir(), "clickhouse-data-"));
      const engine = openEngine(path);
      const server = await DevServer.start(engine, {
        host: args.host,
        port,
        user: args.user,
        password: args.password,
        maxConcurrentQueries: MAX_CONCURRENT_QUERIES,
      }).catch((error: unknown) => fail(`Cannot listen on ${args.host}:${port}: ${messageOf(error)}`));
      const stop = async () => {
        await server.stop();
        engine.close();
        if (args.temporary) rmSync(path, { recursive: true, force: true });
        process.exit(0);
      };
      process.once("SIGINT", stop);
      process.once("SIGTERM", stop);
      if (args["exit-with-parent"]) stopWithParent(stop);
      console.log(`listening on ${server.url}`);
    },
  }),
);

function openEngine(path: string): Engine {
  try {
    return new Engine(path);
  } catch (error) {
    return fail(messageOf(error));
  }
}

async function relaunch(): Promise<never> {
  const child = Bun.spawn([process.execPath, ...process.argv.slice(1), "--exit-with-parent"], {
    env: { ...process.env, UV_THREADPOOL_SIZE: String(THREAD_POOL_SIZE) },
    stdio: ["inherit", "inherit", "inherit"],
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  return process.exit(await child.exited);
}

function stopWithParent(stop: () => Promise<void>): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) void stop();
  }, PARENT_POLL_MS);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function fail(message: string): never {
  console.error(`dev-clickhouse: ${message}`);
  process.exit(1);
}
