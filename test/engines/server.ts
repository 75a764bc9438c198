import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installEngine } from "./install.ts";
import type { EngineVersion } from "./versions.ts";

/** An engine behind ClickHouse's HTTP interface, on a data directory of its own. */
export interface EngineServer extends AsyncDisposable {
  readonly url: string;
}

/** Installs the engine where need be and starts it; it ends with this process at the latest. @throws {EngineUnavailable} when it cannot be installed */
export async function startEngine(version: EngineVersion): Promise<EngineServer> {
  const wheel = await installEngine(version);
  const data = mkdtempSync(join(tmpdir(), "clickhouse-backfill-engine-"));
  const front = join(import.meta.dir, "front.py");
  const child = Bun.spawn(["python3", "-B", front, "--wheel", wheel, "--data", data], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
    rmSync(data, { recursive: true, force: true });
  };
  let output = "";
  for await (const bytes of child.stdout) {
    output += Buffer.from(bytes).toString();
    const url = /^listening on (\S+)\n/m.exec(output)?.[1];
    if (url !== undefined) return { url, [Symbol.asyncDispose]: stop };
  }
  const errors = await new Response(child.stderr).text();
  await stop();
  throw new Error(
    `Engine ${version.name} does not start: ${errors.trim().split("\n").at(-1) ?? "without a word"}`,
  );
}
