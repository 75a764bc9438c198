import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError } from "../errors.ts";
import type { PhaseName } from "../plan/phases.ts";
import { describeFileError } from "./file-error.ts";

/**
 * What the checkpoint of a phase is called: that of the observations by the partition alone, as older
 * deployments know it, that of the experiments by no partition, since they are of all. */
export function checkpointName(partition: string, phase: PhaseName): string {
  if (phase === "experiments") return phase;
  return phase === "observations" ? partition : `${partition}_${phase}`;
}

/** The state file of a partition. Its name is relied upon by people's scripts. */
export function statePath(directory: string, partition: string): string {
  return join(directory, `cursor_state_${partition}.json`);
}

/** The lock that keeps a second run off the same partition and state directory. */
export function lockPath(directory: string, partition: string): string {
  return join(directory, `cursor_state_${partition}.lock`);
}

/**
 * Makes the state directory if it is missing.
 * @throws {CheckpointError} when that fails.
 */
export function ensureStateDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true });
  } catch (error) {
    throw new CheckpointError(
      describeFileError(`The state directory ${directory} could not be created`, error),
    );
  }
}
