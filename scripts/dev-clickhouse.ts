/**
 * A local ClickHouse for development and tests: the real engine (chDB) behind ClickHouse's HTTP interface.
 *
 *   bun scripts/dev-clickhouse.ts (--path ./clickhouse-data | --temporary) [--port 8123] [--host 127.0.0.1]
 *                                 [--user default] [--password secret] [--users FILE] [--exit-with-parent]
 *
 * --users names a JSON file of more users with their profiles: settings that hold before a query's own, and constraints,
 * which the engine keeps to. `readonly` is a setting like others.
 *   {"analyst": {"password": "…", "settings": {"final": "1", "readonly": "2"}, "constraints": {"limit": "const", "max_threads": {"max": "4"}}}}
 *
 * Prints one line, `listening on http://HOST:PORT`, when it takes queries. SIGINT and SIGTERM stop it.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type ArgsDef, defineCommand, type ParsedArgs, runMain } from "citty";
import { Engine } from "./dev-clickhouse/engine.ts";
import { DevServer } from "./dev-clickhouse/server.ts";
import { MAX_CONCURRENT_QUERIES, THREAD_POOL_SIZE } from "./dev-clickhouse/threads.ts";
import { engineConfiguration, parseUsers, type Users } from "./dev-clickhouse/users.ts";

const PARENT_POLL_MS = 500;

const ARGS = {
  path: { type: "string", description: "data directory, created if missing" },
  temporary: { type: "boolean", default: false, description: "a fresh data directory, removed at the end" },
  port: { type: "string", default: "8123", description: "TCP port; 0 picks a free one" },
  host: { type: "string", default: "127.0.0.1", description: "address to listen on" },
  user: { type: "string", default: "default", description: "a user without a profile" },
  password: { type: "string", default: "", description: "its password" },
  users: { type: "string", description: "a JSON file of more users, with their profiles" },
  "exit-with-parent": { type: "boolean", default: false, description: "stop when the parent process dies" },
} as const satisfies ArgsDef;

await runMain(
  defineCommand({
    meta: { name: "dev-clickhouse", description: "A local ClickHouse for development and tests" },
    args: ARGS,
    async run({ args, rawArgs }) {
      checkFlags(rawArgs, args._);
      if (!/^\d+$/.test(args.port) || Number(args.port) > 65_535) {
        fail(`--port ${args.port}: expected 0 to 65535`);
      }
      if ((args.path === undefined) !== args.temporary) fail("expected either --path DIR or --temporary");
      // Bun reads the size of its thread pool from the environment, once, at start.
      if (process.env["UV_THREADPOOL_SIZE"] === undefined) await relaunch(args["exit-with-parent"]);
      else await serve(args);
    },
  }),
);

async function serve(args: ParsedArgs<typeof ARGS>): Promise<void> {
  const path = args.path ?? mkdtempSync(join(tmpdir(), "clickhouse-data-"));
  const removeTemporary = () => {
    if (args.temporary) rmSync(path, { recursive: true, force: true });
  };
  const open = async () => {
    const { host, port } = args;
    const users = usersOf(args);
    const engine = new Engine(path, {
      configFile: configurationFile(path, users),
      // Temporary data is that of tests: some hundred rows a query.
      compilesExpressions: !args.temporary,
    });
    const options = {
      host,
      port: Number(port),
      users,
      maxConcurrentQueries: MAX_CONCURRENT_QUERIES,
    };
    return { engine, server: await DevServer.start(engine, options) };
  };
  const { engine, server } = await open().catch((error: unknown) => {
    removeTemporary();
    return fail(error instanceof Error ? error.message : String(error));
  });
  let isStopping = false;
  const stop = async () => {
    // A terminal's Ctrl-C arrives twice: from it, and from the launcher.
    if (isStopping) return;
    isStopping = true;
    await server.stop();
    engine.close();
    removeTemporary();
    process.exit(0);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, stop);
  if (args["exit-with-parent"]) whenParentDies(stop);
  console.log(`listening on ${server.url}`);
}

function usersOf({ user, password, users }: ParsedArgs<typeof ARGS>): Users {
  const more = users === undefined ? [] : parseUsers(readFileSync(users, "utf8"));
  return new Map([...more, [user, { password, settings: {}, constraints: {} }]]);
}

/** Writes the engine's configuration next to its data, where the users need one. */
function configurationFile(path: string, users: Users): string | null {
  const file = resolve(path, "dev-clickhouse-users.xml");
  const text = engineConfiguration(users, file);
  if (text === null) return null;
  mkdirSync(path, { recursive: true });
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

async function relaunch(exitWithParent: boolean): Promise<never> {
  const child = Bun.spawn([process.execPath, ...process.argv.slice(1), "--exit-with-parent"], {
    env: { ...process.env, UV_THREADPOOL_SIZE: String(THREAD_POOL_SIZE) },
    stdio: ["inherit", "inherit", "inherit"],
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  if (exitWithParent) whenParentDies(() => child.kill("SIGTERM"));
  return process.exit(await child.exited);
}

/** citty takes any flag. */
function checkFlags(rawArgs: readonly string[], positional: readonly string[]): void {
  const known = new Set(Object.keys(ARGS).map((name) => `--${name}`)).add("--help").add("-h");
  const unknown = rawArgs
    .map((arg) => arg.split("=")[0] ?? arg)
    .find((arg) => /^--?[a-z]/i.test(arg) && !known.has(arg));
  if (unknown !== undefined) fail(`${unknown}: no such flag; expected ${[...known].join(", ")}`);
  if (positional.length > 0) fail(`${positional.join(" ")}: expected only flags`);
}

function whenParentDies(act: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    act();
  }, PARENT_POLL_MS);
}

function fail(message: string): never {
  console.error(`dev-clickhouse: ${message}`);
  process.exit(1);
}
