import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describeDifferences, type RunFingerprint } from "./fingerprint.ts";
import { parseState, UnreadableStateError } from "./state.ts";

const CHECKPOINT = /^cursor_state_\d{6}\.json$/;

/**
 * How fast the runs were whose checkpoints a state directory holds, in rows a second, as far as they copied the same from and to the same.
 * A checkpoint that is none says nothing, and a directory that is not there has none.
 */
export function readSpeedRecords(directory: string, fingerprint: RunFingerprint): number[] {
  return checkpointsIn(directory).flatMap((path) => {
    const state = stateAt(path);
    if (state === null || state.fingerprint === null || state.rowsPerSecond === null) return [];
    return describeDifferences(state.fingerprint, fingerprint).length === 0 ? [state.rowsPerSecond] : [];
  });
}

function stateAt(path: string): ReturnType<typeof parseState> | null {
  try {
    return parseState(readFileSync(path, "utf8"));
  } catch (error) {
    if (error instanceof UnreadableStateError) return null;
    throw error;
  }
}

function checkpointsIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => CHECKPOINT.test(name))
      .map((name) => join(directory, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
