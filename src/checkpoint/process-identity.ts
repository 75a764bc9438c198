import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** Enough about a process to tell later, from the same machine, whether it still lives. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** In clock ticks after boot; with the boot id it tells a process from a later one of the same pid. */
  readonly process_start: string | null;
  readonly boot_id: string | null;
  /** A pid means nothing outside its namespace: containers may share a host name and this directory. */
  readonly pid_namespace: string | null;
}

/** What can be said of a process that was recorded earlier. `elsewhere`: nothing, its pids are not ours. */
export type Liveness = "alive" | "dead" | "elsewhere";

/** The identity of this process. */
export function currentProcess(): ProcessIdentity {
  return {
    pid: process.pid,
    host: hostname(),
    process_start: processStart(process.pid),
    boot_id: readBootId(),
    pid_namespace: readPidNamespace(),
  };
}

/** Whether the recorded process lives, as far as this process can see. What the system does not tell counts for alive. */
export function livenessOf(recorded: ProcessIdentity, current: ProcessIdentity): Liveness {
  if (recorded.host !== current.host) return "elsewhere";
  if (differ(recorded.boot_id, current.boot_id)) return "dead";
  if (differ(recorded.pid_namespace, current.pid_namespace)) return "elsewhere";
  if (!pidExists(recorded.pid)) return "dead";
  return differ(recorded.process_start, processStart(recorded.pid)) ? "dead" : "alive";
}

function differ(a: string | null, b: string | null): boolean {
  return a !== null && b !== null && a !== b;
}

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it exists and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** Field 22 of `/proc/<pid>/stat` (proc_pid_stat(5)), or `null` where there is no such file. */
export function processStart(pid: number): string | null {
  const stat = readOrNull(() => readFileSync(`/proc/${pid}/stat`, "utf8"));
  // The second field is the command in parentheses and may hold blanks and parentheses itself; field 3 follows the last.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields?.[22 - 3] ?? null;
}

function readBootId(): string | null {
  return readOrNull(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
}

function readPidNamespace(): string | null {
  return readOrNull(() => readlinkSync("/proc/self/ns/pid"));
}

/** None of this exists on macOS, and a sandbox may hide it on Linux: not knowing is an answer here. */
function readOrNull(read: () => string): string | null {
  try {
    return read();
  } catch {
    return null;
  }
}
