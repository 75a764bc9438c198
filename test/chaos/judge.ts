import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { checkpointName } from "../../src/checkpoint/paths.ts";
import { PHASES, type PhaseName } from "../../src/plan/phases.ts";
import { readStderr } from "../support/cli.ts";
import type { KillSignal } from "./plan.ts";
import type { ProgramOutcome } from "./program.ts";
import type { World } from "./world.ts";

/** What was done to a start of the program, as far as it decides how it may end. */
export interface Treatment {
  readonly sent: readonly KillSignal[];
  /** Whether it met faults that may end it. */
  readonly mayFail: boolean;
  /** Whether a lock was there when it began. */
  readonly foundLock: boolean;
}

/** A promise that the program did not keep. */
export class BrokenPromise extends Error {
  override readonly name = "BrokenPromise";
}

const POLITE_CODES: Readonly<Record<number, KillSignal>> = { 130: "SIGINT", 143: "SIGTERM" };

/** Throws a BrokenPromise when a start has ended in a way that its faults do not explain. */
export function judgeEnd(outcome: ProgramOutcome, { sent, mayFail, foundLock }: Treatment): void {
  const { code, signal, stderr, stdout, timedOut } = outcome;
  if (timedOut) throw new BrokenPromise("It does not end");
  if (code === null) {
    if (!sent.some((mine) => mine === signal))
      throw new BrokenPromise(`It died of ${signal}, which was not sent`);
  } else if (code === 1) {
    if (!mayFail) throw new BrokenPromise("It failed, though nothing happened that would have to end it");
    if (readStderr(outcome).failure.length === 0) throw new BrokenPromise("It failed without saying why");
  } else if (code !== 0) {
    const cause = POLITE_CODES[code];
    if (cause === undefined || !sent.includes(cause)) {
      throw new BrokenPromise(`It ended with exit code ${code}, which nothing explains`);
    }
  }
  if (code === 0 && !/^Partition \d+ (is done|was finished)/.test(stdout)) {
    throw new BrokenPromise("It ended with exit code 0 without saying that it is done");
  }
  if (code !== null && code !== 0 && stdout !== "")
    throw new BrokenPromise("It failed, but printed a report");
  if (/^ +at \S/m.test(stderr) || /Unexpected failure|panic\(/.test(stderr)) {
    throw new BrokenPromise("stderr holds a stack trace");
  }
  if (foundLock && code !== null && !/Took over the lock/.test(stderr)) {
    throw new BrokenPromise("It found a lock and does not say that it took it over");
  }
}

/** The files of a state directory that a start has left. */
export interface LeftFiles {
  readonly hasLock: boolean;
  /** The experiments' lock, which a start that ends before it opens their checkpoint does not touch. */
  readonly hasExperimentsLock: boolean;
  /** Temporary files of a checkpoint that was being written. */
  readonly halfWritten: number;
  readonly rowsProcessed: number;
  readonly finished: boolean;
}

/**
 * Looks at what a start has left in the state directory. Throws a BrokenPromise for a checkpoint that is not whole, or for
 * anything left behind by a run that was not killed.
 */
export function judgeState(
  directory: string,
  { partition, layout }: Pick<World, "partition" | "layout">,
  wasKilled: boolean,
  before: LeftFiles,
): LeftFiles {
  const names = readdirSync(directory);
  const phases: readonly PhaseName[] = layout === "v4" ? PHASES : ["observations"];
  const checkpoints = phases.map((phase) => `cursor_state_${checkpointName(partition, phase)}.json`);
  const halfWritten = names.filter((name) => checkpoints.some((file) => name.startsWith(`${file}.`))).length;
  const isLeftBefore = (name: string): boolean => name === EXPERIMENTS_LOCK && before.hasExperimentsLock;
  const others = names.filter(
    (name) => !checkpoints.includes(name) && !isBrokenOff(join(directory, name)) && !isLeftBefore(name),
  );
  if (!wasKilled && others.length > 0) throw new BrokenPromise(`It left ${others.join(", ")}`);
  const states = checkpoints.map((file) => readCheckpoint(join(directory, file)));
  return {
    hasLock: names.includes(`cursor_state_${partition}.lock`),
    hasExperimentsLock: names.includes(EXPERIMENTS_LOCK),
    halfWritten,
    rowsProcessed: states.reduce((sum, { rows_processed }) => sum + rows_processed, 0),
    finished: states.every(({ finished }) => finished),
  };
}

const EXPERIMENTS_LOCK = "cursor_state_experiments.lock";

interface CheckpointFile {
  readonly rows_processed: number;
  readonly finished: boolean;
}

function readCheckpoint(path: string): CheckpointFile {
  if (!existsSync(path)) return { rows_processed: 0, finished: false };
  return parse(readFileSync(path, "utf8")) as CheckpointFile;
}

/** A lock's temporary file that a kill left empty: the next run leaves it for a minute, since it may be being written. */
function isBrokenOff(path: string): boolean {
  return /\.lock\..*\.tmp$/.test(path) && statSync(path).size === 0;
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new BrokenPromise(`The checkpoint is not whole: ${(error as Error).message}`);
  }
}

/** Throws a BrokenPromise when a process of this machine still has the directory in its command line or as its own. */
export function judgeProcesses(directory: string): void {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    if (commandLine(pid).includes(directory)) throw new BrokenPromise(`Process ${pid} is still there`);
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It ended between the two checks.
    return "";
  }
}
