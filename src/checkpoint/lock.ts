import { linkSync, readFileSync, renameSync, statSync } from "node:fs";
import * as v from "valibot";
import { CheckpointError } from "../errors.ts";
import { removeIfThere, temporariesOf, temporaryName, writeNewFile } from "./durable-file.ts";
import { describeFileError } from "./file-error.ts";
import { currentProcess, type Liveness, livenessOf, type ProcessIdentity } from "./process-identity.ts";

const ownerSchema = v.object({
  pid: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  host: v.string(),
  started_at: v.string(),
  process_start: v.nullable(v.string()),
  boot_id: v.nullable(v.string()),
  /** Locks of earlier versions lack it. */
  machine_id: v.optional(v.nullable(v.string()), null),
  pid_namespace: v.nullable(v.string()),
});

type LockOwner = v.InferOutput<typeof ownerSchema>;

/** A held lock. */
export interface Lock {
  /** A notice about how it was acquired, such as a take-over. */
  readonly notice: string | null;
  /** Removes the lock if it is still this run's. Safe to call twice, and from an exit handler. */
  release(): void;
}

/** Who holds a lock. */
export interface LockHolder {
  readonly pid: number;
  readonly host: string;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly liveness: Liveness;
}

/** Who holds the lock file at `path`, without touching it; null where nobody does, or where the file does not say who. */
export function readLockHolder(
  path: string,
  identity: ProcessIdentity = currentProcess(),
): LockHolder | null {
  const json = readIfThere(path);
  const owner = json === null ? null : parseOwner(json);
  if (owner === null) return null;
  return {
    pid: owner.pid,
    host: owner.host,
    startedAt: owner.started_at,
    liveness: livenessOf(owner, identity),
  };
}

/** A take-over is itself under a lock, whose dead owner is in turn taken over; each level needs another untimely death. */
const MAX_TAKEOVER_DEPTH = 3;

/**
 * Acquires the lock file at `path`, or takes it over from a dead owner. Of several processes that try at once exactly one
 * succeeds. The file appears with its content, so a crash leaves no empty lock behind.
 * @throws {CheckpointError} while another run may live, or when the file can't be written.
 */
export function acquireLock(path: string, identity: ProcessIdentity = currentProcess()): Lock {
  try {
    return acquire(path, identity, 0);
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    throw new CheckpointError(describeFileError(`The lock ${path} could not be written`, error));
  }
}

function acquire(path: string, identity: ProcessIdentity, depth: number): Lock {
  removeDeadTemporaries(path, identity);
  const content = `${JSON.stringify({ ...identity, started_at: new Date().toISOString() })}\n`;
  if (createWhole(path, content)) return heldLock(path, content, null);

  const found = readOwner(path);
  // Its owner finished in between.
  if (found === null) return retry(path, identity, depth);
  refuseUnlessDead(path, found, identity);
  return takeOver(path, content, identity, depth);
}

/**
 * Replaces a dead owner's lock. Deleting and creating would let two processes delete each other's new lock, so whoever
 * wants to replace it first acquires a second lock, looks again, and then renames its own over the old one.
 */
function takeOver(path: string, content: string, identity: ProcessIdentity, depth: number): Lock {
  if (depth >= MAX_TAKEOVER_DEPTH) {
    throw new CheckpointError(`The lock ${path} is in a state that nothing explains\n${deleteHint(path)}`);
  }
  const takeover = acquire(`${path}.takeover`, identity, depth + 1);
  try {
    const found = readOwner(path);
    if (found === null) return retry(path, identity, depth + 1);
    refuseUnlessDead(path, found, identity);
    const temporary = temporaryName(path);
    writeNewFile(temporary, content);
    renameSync(temporary, path);
    return heldLock(
      path,
      content,
      `Took over the lock ${path} of process ${found.pid}, which is gone (it started at ${found.started_at})`,
    );
  } finally {
    takeover.release();
  }
}

function retry(path: string, identity: ProcessIdentity, depth: number): Lock {
  if (depth >= MAX_TAKEOVER_DEPTH) {
    throw new CheckpointError(
      `The lock ${path} changes hands all the time\nSee what starts runs of this partition.`,
    );
  }
  return acquire(path, identity, depth + 1);
}

function refuseUnlessDead(path: string, owner: LockOwner, identity: ProcessIdentity): void {
  const liveness = livenessOf(owner, identity);
  if (liveness === "alive") {
    throw new CheckpointError(
      `Another run of this partition is going on: process ${owner.pid}, started at ${owner.started_at} (${path})\n` +
        "Wait for it or stop it; a run for another partition or with another --cursor-state-dir may go on beside it.",
    );
  }
  if (liveness === "elsewhere") {
    throw new CheckpointError(
      `The lock ${path} belongs to process ${owner.pid} on ${owner.host} (another machine or container), started at ` +
        `${owner.started_at}; whether it still runs can't be seen from ${identity.host}\n${deleteHint(path)}`,
    );
  }
}

function deleteHint(path: string): string {
  return `If you are sure that no other run of this partition goes on, delete ${path} and run the same command again.`;
}

/** Creates the file with its content in one step; `false` when it exists. */
function createWhole(path: string, content: string): boolean {
  const temporary = temporaryName(path);
  writeNewFile(temporary, content);
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "EOPNOTSUPP" && code !== "ENOSYS") throw error;
  } finally {
    removeIfThere(temporary);
  }
  return createWithoutLinks(path, content);
}

/** For filesystems without hard links, such as exFAT: here a crash may leave an empty file, which has to be deleted by hand. */
function createWithoutLinks(path: string, content: string): boolean {
  try {
    writeNewFile(path, content);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** The owner that the file names, or `null` when there is no file. */
function readOwner(path: string): LockOwner | null {
  const json = readIfThere(path);
  if (json === null) return null;
  const owner = parseOwner(json);
  if (owner !== null) return owner;
  throw new CheckpointError(`The lock ${path} does not say who holds it\n${deleteHint(path)}`);
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

function parseOwner(json: string): LockOwner | null {
  try {
    const result = v.safeParse(ownerSchema, JSON.parse(json));
    return result.success ? result.output : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function heldLock(path: string, content: string, notice: string | null): Lock {
  let isHeld = true;
  return {
    notice,
    release: () => {
      if (!isHeld) return;
      isHeld = false;
      // Somebody may have deleted the file by hand, and another run may have created its own.
      if (readIfThere(path) === content) removeIfThere(path);
    },
  };
}

/** Writing a lock takes milliseconds: after this time nobody completes it. */
const ABANDONED_AFTER_MS = 60_000;

/** Removes the temporary files of processes that died before they renamed them. */
function removeDeadTemporaries(path: string, identity: ProcessIdentity): void {
  for (const temporary of temporariesOf(path)) {
    const json = readIfThere(temporary);
    if (json === null) continue;
    const owner = parseOwner(json);
    const isDead = owner === null ? isAbandoned(temporary) : livenessOf(owner, identity) === "dead";
    if (isDead) removeIfThere(temporary);
  }
}

function isAbandoned(path: string): boolean {
  const writtenMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return writtenMs !== undefined && Date.now() - writtenMs > ABANDONED_AFTER_MS;
}
