import { join } from "node:path";
import { THREAD_POOL_SIZE } from "../dev-clickhouse/threads.ts";

/** A local ClickHouse that runs. */
export interface LocalServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** How long a server may take to stop. */
const STOP_TIMEOUT_MS = 10_000;

/**
 * Starts the local ClickHouse on a data directory. Rejects when it does not start; the reason is on stderr by then
 * (no engine for this platform, port taken).
 */
export async function startLocalServer(dataDirectory: string, port: number): Promise<LocalServer> {
  const script = join(import.meta.dir, "../dev-clickhouse.ts");
  const flags = ["--path", dataDirectory, "--port", String(port), "--exit-with-parent"];
  const child = Bun.spawn([process.execPath, script, ...flags], {
    // With the variable set the script is the server itself and not its launcher, so that signals reach it.
    env: { ...process.env, UV_THREADPOOL_SIZE: String(THREAD_POOL_SIZE) },
    stdio: ["ignore", "pipe", "inherit"],
    // A terminal's Ctrl-C reaches the whole group: the run needs the server for its last batches.
    detached: true,
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await child.exited;
    clearTimeout(timer);
  };
  let output = "";
  for await (const bytes of child.stdout) {
    output += Buffer.from(bytes).toString();
    const url = /^listening on (\S+)\n/.exec(output)?.[1];
    if (url !== undefined) return { url, stop };
  }
  await child.exited;
  throw new Error("The local ClickHouse did not start.");
}
