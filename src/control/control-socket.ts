import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync } from "node:fs";
import { hostname } from "node:os";
import { join, relative } from "node:path";

const SOCKET = /^control_[0-9a-f]{8}_\d+\.sock$/;

/** The control socket of this process; the name keeps machines apart that share the directory. */
export function controlSocketPath(directory: string, pid: number = process.pid): string {
  return join(directory, `control_${hostId()}_${pid}.sock`);
}

/** The control sockets of this machine's processes in a state directory, live ones and others; empty where it cannot be read. */
export function controlSocketsIn(directory: string): string[] {
  try {
    const names = readdirSync(directory).filter(
      (name) => SOCKET.test(name) && name.includes(`_${hostId()}_`),
    );
    return names.sort().map((name) => join(directory, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Bytes of a path that every system takes: `sun_path` holds 104 with its end on macOS, 108 on Linux. */
const MAX_SOCKET_PATH_BYTES = 103;

/** A path to the same file that the system takes for a socket; null where none is short enough. */
export function bindablePath(path: string, workingDirectory: string = process.cwd()): string | null {
  const candidates = [path, relative(workingDirectory, path)];
  return candidates.find((candidate) => Buffer.byteLength(candidate) <= MAX_SOCKET_PATH_BYTES) ?? null;
}

function hostId(): string {
  return createHash("sha256").update(hostname()).digest("hex").slice(0, 8);
}

/** Makes the directory of the socket, and runs `bind` so that the socket that it makes is its owner's alone. */
export function withPrivateSocket<Result>(directory: string, path: string, bind: () => Result): Result {
  mkdirSync(directory, { recursive: true });
  const before = process.umask(0o177);
  try {
    const result = bind();
    // Some file systems have no umask.
    chmodSync(path, 0o600);
    return result;
  } finally {
    process.umask(before);
  }
}
