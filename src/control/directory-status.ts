import { readdirSync, readFileSync } from "node:fs";
import { readLockHolder } from "../checkpoint/lock.ts";
import { lockPath, statePath } from "../checkpoint/paths.ts";
import { summarizeState, UnreadableStateError } from "../checkpoint/state.ts";
import { RunError } from "../errors.ts";
import type { MonthSelection } from "../plan/months.ts";
import { PHASES } from "../plan/phases.ts";
import { readLiveRun } from "./control-client.ts";
import { controlSocketsIn } from "./control-socket.ts";
import type { CheckpointStatus, DirectoryStatus, LiveRunJson } from "./status-json.ts";

const FILE = /^cursor_state_(?:(\d{6})(?:_([a-z]+))?|([a-z]+))\.(?:json|lock)$/;

/** A live run, and its socket. */
export interface LiveRun {
  readonly socket: string;
  readonly run: LiveRunJson;
}

/** The live runs of this machine that use a state directory and copy one of the months. Throws a RunError where one cannot be asked. */
export async function liveRuns(directory: string, months: MonthSelection): Promise<LiveRun[]> {
  const found: LiveRun[] = [];
  for (const socket of controlSocketsIn(directory)) {
    const run = await readLiveRun(socket);
    if (run?.months.some((month) => isWanted(months, month))) found.push({ socket, run });
  }
  return found;
}

/** What is known of the runs of a state directory: live ones by their sockets, others by what they left. Throws a RunError. */
export async function directoryStatus(directory: string, months: MonthSelection): Promise<DirectoryStatus> {
  const live = await liveRuns(directory, months);
  return {
    directory,
    runs: live.map(({ run }) => run),
    checkpoints: checkpointStatuses(directory).filter(
      ({ month }) => month === null || isWanted(months, month),
    ),
  };
}

function isWanted(months: MonthSelection, month: string): boolean {
  return months === "all" || months.includes(month);
}

/** What is known of the checkpoints of a state directory, the newest month first. Throws a RunError where it cannot be read. */
export function checkpointStatuses(directory: string): CheckpointStatus[] {
  const names = new Map<string, { month: string | null; phase: string }>();
  for (const file of filesIn(directory)) {
    const [, month = null, phaseOfMonth, phase] = FILE.exec(file) ?? [];
    if (month === null && phase === undefined) continue;
    const name = file.replace(/^cursor_state_/, "").replace(/\.(?:json|lock)$/, "");
    names.set(name, { month, phase: phase ?? phaseOfMonth ?? "observations" });
  }
  const phases: readonly string[] = PHASES;
  const order = (phase: string): number => phases.indexOf(phase);
  return [...names]
    .map(([name, of]) => ({ ...of, ...stateOf(directory, name, of.month) }))
    .sort((a, b) => (b.month ?? "").localeCompare(a.month ?? "") || order(a.phase) - order(b.phase));
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    throw new RunError(
      `The state directory ${directory} cannot be read: ${error instanceof Error ? error.message : error}`,
    );
  }
}

function stateOf(
  directory: string,
  name: string,
  month: string | null,
): Omit<CheckpointStatus, "month" | "phase"> {
  // One lock holds all phases of a month.
  const holder = readLockHolder(lockPath(directory, month ?? name));
  const held =
    holder === null
      ? { pid: null, host: null, since: null }
      : { pid: holder.pid, host: holder.host, since: holder.startedAt };
  const states = { alive: "running", dead: "interrupted", elsewhere: "elsewhere" } as const;
  const state = holder === null ? "stopped" : states[holder.liveness];
  const json = readIfThere(statePath(directory, name));
  if (json === null) return { state, rows: null, updated: null, ...held };
  try {
    const { rows, finished, updatedAt } = summarizeState(json);
    return { state: finished ? "finished" : state, rows, updated: updatedAt, ...held };
  } catch (error) {
    if (!(error instanceof UnreadableStateError)) throw error;
    return { state: "unreadable", rows: null, updated: null, ...held };
  }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new RunError(`${path} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}
