import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { EngineVersion } from "./versions.ts";

/** The engine is not available on this machine; the message says why. */
export class EngineUnavailable extends Error {
  override readonly name = "EngineUnavailable";
}

/** Where wheels are kept: ENGINES_DIR, or a folder of the user's cache. Each takes 0.5 to 0.9 GB. */
export function engineDirectory(): string {
  const given = process.env["ENGINES_DIR"];
  return given ? resolve(given) : join(homedir(), ".cache/clickhouse-backfill/engines");
}

/** Installs the wheel unless it is there, and returns its folder. @throws {EngineUnavailable} */
export async function installEngine({ name, wheel }: EngineVersion): Promise<string> {
  const id = `${wheel.package}-${wheel.version}`;
  const folder = join(engineDirectory(), id);
  if (existsSync(folder)) return folder;
  mkdirSync(engineDirectory(), { recursive: true });
  const unfinished = join(engineDirectory(), `.${id}-${process.pid}`);
  const flags = [
    "--retries",
    "2",
    "--quiet",
    "--no-deps",
    "--no-compile",
    "--only-binary",
    ":all:",
    "--target",
    unfinished,
  ];
  const requirement = `${wheel.package}==${wheel.version}`;
  try {
    const child = Bun.spawn(["python3", "-m", "pip", "install", ...flags, requirement], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const errors = await new Response(child.stderr).text();
    if ((await child.exited) !== 0) {
      const reason = errors.split("\n").find((line) => /error/i.test(line)) ?? errors.trim();
      throw new EngineUnavailable(`Engine ${name}: pip cannot install ${requirement}: ${reason}`);
    }
    renameSync(unfinished, folder);
  } catch (error) {
    // Another process may have been faster.
    if (existsSync(folder)) return folder;
    if (error instanceof EngineUnavailable) throw error;
    throw new EngineUnavailable(`Engine ${name}: python3 cannot be started`, { cause: error });
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return folder;
}
