import { createHmac } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** Enough about a process to find out later, on the same machine, whether it still runs. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** In clock ticks after boot; with the boot id it distinguishes a process from a later one of the same pid. */
  readonly process_start: string | null;
  readonly boot_id: string | null;
  /** Stays the same from boot to boot: distinguishes an earlier boot of this machine from another machine of the same name. */
  readonly machine_id: string | null;
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
    machine_id: readMachineId(),
    pid_namespace: readPidNamespace(),
  };
}

/**
 * Whether the recorded process lives, as far as this process can see. What the system does not show counts as alive, and
 * a process counts for dead only where it is known to have run on this machine: others may share the directory, and names
 * such as `localhost` are no one's own.
 */
export function livenessOf(recorded: ProcessIdentity, current: ProcessIdentity): Liveness {
  if (recorded.host !== current.host) return "elsewhere";
  if (differ(recorded.machine_id, current.machine_id)) return "elsewhere";
  if (differ(recorded.boot_id, current.boot_id)) {
    return recorded.machine_id === null || current.machine_id === null ? "elsewhere" : "dead";
  }
  if (differ(recorded.pid_namespace, current.pid_namespace)) return "elsewhere";
  if (!pidExists(recorded.pid) || isZombie(recorded.pid)) return "dead";
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

/** When a process started, in clock ticks after boot; `null` where the system does not say so. */
export function processStart(pid: number): string | null {
  return statField(pid, 22);
}

/** It has ended, and its parent has not collected its exit status: it holds nothing any more. */
function isZombie(pid: number): boolean {
  const state = statField(pid, 3);
  return state === "Z" || state === "X";
}

/** A field of `/proc/<pid>/stat` from the third on (proc_pid_stat(5)), or `null` where there is no such file. */
function statField(pid: number, number: number): string | null {
  const stat = readOrNull(() => readFileSync(`/proc/${pid}/stat`, "utf8"));
  // The second field is the command in parentheses and may hold blanks and parentheses itself; field 3 follows the last.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields?.[number - 3] ?? null;
}

function readBootId(): string | null {
  return readOrNull(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
}

/** Hashed, since machine-id(5) asks that the id itself be kept confidential; an image's placeholder counts for none. */
function readMachineId(): string | null {
  const id = readOrNull(() => readFileSync("/etc/machine-id", "utf8").trim());
  if (id === null || !/^[0-9a-f]{32}$/.test(id)) return null;
  return createHmac("sha256", id).update("clickhouse-backfill").digest("hex").slice(0, 32);
}

function readPidNamespace(): string | null {
  return readOrNull(() => readlinkSync("/proc/self/ns/pid"));
}

/** None of this exists on macOS, and a sandbox may hide it on Linux: "unknown" is a valid result. */
function readOrNull(read: () => string): string | null {
  try {
    return read();
  } catch {
    return null;
  }
}
