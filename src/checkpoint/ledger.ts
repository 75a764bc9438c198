import { readFileSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { CheckpointError, RunError } from "../errors.ts";
import { compareKeys, type SortingKey } from "../plan/key-range.ts";
import type { PageLedger } from "../run/page-ledger.ts";
import { addPage, type DoneKeys, doneRanges, NOTHING_DONE, remainingRanges } from "./done-keys.ts";
import { removeIfThere, replaceDurably, syncDirectory, temporariesOf } from "./durable-file.ts";
import { describeFileError } from "./file-error.ts";
import { describeDifferences, type RunFingerprint } from "./fingerprint.ts";
import { statePath } from "./paths.ts";
import { type CheckpointState, parseState, serializeState, UnreadableStateError } from "./state.ts";

const LEGACY_NOTICE =
  "The checkpoint is of an older version and does not say which server and tables it is about; " +
  "it is taken to be about this run's";

/** Which checkpoint a run belongs to. */
export interface LedgerOptions {
  readonly directory: string;
  readonly partition: string;
  readonly fingerprint: RunFingerprint;
  /** Start over: an existing checkpoint is set aside, or ignored where the run writes nothing. */
  readonly restart?: boolean;
}

/** The ledger over a checkpoint. */
export interface CheckpointLedger extends PageLedger {
  /** What the user should know about the file, if anything. */
  readonly notice: string | null;
}

/**
 * Opens the checkpoint of a partition for a run that writes it; the caller holds the lock. A partition without a file
 * starts from the beginning, and the first finished page creates the file.
 * @throws {CheckpointError} when there is a file that this run must not continue, which is left untouched, or when the
 * directory's files can't be read or removed. The ledger's own methods throw {@link RunError} when the file can't be
 * written.
 */
export function openLedger(options: LedgerOptions, now: () => Date = () => new Date()): CheckpointLedger {
  const path = statePath(options.directory, options.partition);
  const aside = options.restart === true ? setAside(path, now()) : null;
  const state = readState(path, options);
  removeTemporaries(path);
  const notice =
    aside === null
      ? null
      : `The checkpoint ${path} is set aside as ${aside}: the month is copied from the start`;
  return createLedger(state, path, notice, (next) => {
    try {
      replaceDurably(path, serializeState({ ...next, fingerprint: options.fingerprint }, now()));
    } catch (error) {
      throw new RunError(describeFileError(`The checkpoint ${path} could not be written`, error));
    }
  });
}

/**
 * A ledger for a dry run: it starts where a real run would start now, and writes nothing.
 * @throws {CheckpointError} as {@link openLedger} does.
 */
export function openReadOnlyLedger(options: LedgerOptions): CheckpointLedger {
  const path = statePath(options.directory, options.partition);
  const state = options.restart === true ? emptyState(options) : readState(path, options);
  return createLedger(state, path, null, () => {});
}

/** Gives the checkpoint another name, which is kept, and returns it; null where there is none. Durable when it returns. */
function setAside(path: string, now: Date): string | null {
  const aside = `${path}.set-aside-${now.toISOString().replaceAll(/[-:]/g, "")}`;
  try {
    renameSync(path, aside);
    syncDirectory(dirname(path));
    return aside;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new CheckpointError(describeFileError(`The checkpoint ${path} could not be set aside`, error));
  }
}

function removeTemporaries(path: string): void {
  try {
    // Their writer held the lock that is now ours, so they belong to no one.
    for (const temporary of temporariesOf(path)) removeIfThere(temporary);
  } catch (error) {
    throw new CheckpointError(
      describeFileError(`What earlier runs left beside the checkpoint ${path} could not be removed`, error),
    );
  }
}

function readState(path: string, { partition, fingerprint }: LedgerOptions): CheckpointState {
  const json = readIfThere(path);
  if (json === null) return emptyState({ partition, fingerprint });
  const state = parseOrRefuse(path, json);
  if (state.partition !== partition) {
    throw refusal(path, `is of partition ${JSON.stringify(state.partition)}, this run is of "${partition}"`);
  }
  const differences = state.fingerprint === null ? [] : describeDifferences(state.fingerprint, fingerprint);
  if (differences.length > 0) {
    throw refusal(path, `belongs to another run: ${differences.join("; ")}`);
  }
  return state;
}

function emptyState({
  partition,
  fingerprint,
}: Pick<CheckpointState, "partition" | "fingerprint">): CheckpointState {
  return {
    partition,
    done: NOTHING_DONE,
    rowsProcessed: 0,
    readSinceMs: null,
    finished: false,
    targetRows: null,
    rowsPerSecond: null,
    fingerprint,
    layout: null,
  };
}

function readIfThere(path: string): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    if (error instanceof TypeError) throw refusal(path, "is corrupt: not valid UTF-8");
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new CheckpointError(describeFileError(`The checkpoint ${path} could not be read`, error));
  }
}

function parseOrRefuse(path: string, json: string): CheckpointState {
  try {
    return parseState(json);
  } catch (error) {
    if (error instanceof UnreadableStateError) throw refusal(path, error.message);
    throw error;
  }
}

function refusal(path: string, reason: string): CheckpointError {
  return new CheckpointError(
    `The checkpoint ${path} ${reason}\n` +
      "It is left as it is. --restart sets it aside and copies the month from the start; another --cursor-state-dir leaves it alone.",
  );
}

/** The ledger's rules over a state; `save` makes each new state durable before it counts. */
function createLedger(
  initial: CheckpointState,
  path: string,
  notice: string | null,
  save: (state: CheckpointState) => void,
): CheckpointLedger {
  let state = initial;
  const advance = (next: CheckpointState): void => {
    save(next);
    state = next;
  };
  return {
    notice: initial.fingerprint === null ? LEGACY_NOTICE : notice,
    finished: initial.finished,
    isPartial: false,
    targetRows: initial.targetRows,
    rowsProcessed: initial.rowsProcessed,
    done: doneRanges(initial.done, initial.rowsProcessed).map(({ after, upTo, rows }) => ({
      range: { after, upTo },
      rows,
    })),
    reopen: () => {
      const { fingerprint, layout, partition } = state;
      return createLedger({ ...emptyState({ partition, fingerprint }), layout }, path, null, save);
    },
    claim: (layout) => {
      if (state.layout !== null && state.layout !== layout) {
        throw refusal(
          path,
          `belongs to another run: its layout is ${state.layout}, this run's is ${layout}; --layout ${state.layout} goes on with it`,
        );
      }
      state = { ...state, layout };
    },
    begin: (nowMs) => {
      const readSinceMs = state.readSinceMs ?? nowMs;
      state = { ...state, readSinceMs };
      return readSinceMs;
    },
    remaining: () => (state.finished ? [] : remainingRanges(state.done)),
    finishPage: ({ after, upTo }, rows) => {
      if (state.finished) throw new Error("A page of a partition that is finished");
      const done = addPage(state.done, { after, upTo, rows });
      advance({ ...state, done, rowsProcessed: state.rowsProcessed + rows });
    },
    keepOnly: (ranges) => {
      if (state.finished) throw new Error("Ranges of a partition that is finished");
      const done = ranges.reduce<DoneKeys>(
        (keys, { range: { after, upTo }, rows }) => addPage(keys, { after, upTo, rows }),
        NOTHING_DONE,
      );
      const rowsProcessed = ranges.reduce((sum, { rows }) => sum + rows, 0);
      advance({ ...state, done, rowsProcessed });
    },
    finishPartition: (lastKey, targetRows, rowsPerSecond) => {
      // Ranges that are left would never be copied.
      if (!state.finished && remainingRanges(state.done).length > 0) {
        throw new Error("The partition cannot be finished: key ranges of it remain");
      }
      const cursor = greater(greater(state.done.cursor, lastKey), lastUpperBound(state));
      advance({ ...state, done: { cursor, beyondCursor: [] }, finished: true, targetRows, rowsPerSecond });
    },
  };
}

function greater(a: SortingKey | null, b: SortingKey | null): SortingKey | null {
  if (a === null || b === null) return a ?? b;
  return compareKeys(a, b) >= 0 ? a : b;
}

/** The greatest key that is known to be done: where the listed page that is open above begins. */
function lastUpperBound(state: CheckpointState): SortingKey | null {
  return state.done.beyondCursor.at(-1)?.after ?? null;
}
