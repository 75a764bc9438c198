import { fingerprintOf } from "../checkpoint/fingerprint.ts";
import { type LedgerOptions, openLedger, openReadOnlyLedger } from "../checkpoint/ledger.ts";
import { checkpointName } from "../checkpoint/paths.ts";
import { CheckpointError } from "../errors.ts";
import { MONTHLY_PHASES } from "../plan/phases.ts";
import type { RunLedgers } from "../run/backfill.ts";
import type { PageLedger } from "../run/page-ledger.ts";
import { backfillOf, lock, type Session } from "./session.ts";

/** The ledgers of a month, and what holds them. */
export interface HeldLedgers {
  readonly ledgers: RunLedgers;
  /** Releases the locks, once nothing is written any more. */
  release(): void;
}

/**
 * Locks a month and opens the ledgers of its phases; that of the experiments where `withExperiments` says so. A dry run leaves no trace on
 * the disk: neither directory nor lock.
 * @throws {CheckpointError} where another run holds the month, or a checkpoint must not be continued.
 */
export function openLedgers(session: Session, partition: string, withExperiments: boolean): HeldLedgers {
  const { cursorStateDir: directory, backfill } = session.config;
  const { dryRun, only } = backfill;
  const releases: (() => void)[] = [];
  if (!dryRun) releases.push(lock(session, directory, partition));
  const release = (): void => {
    for (const releaseLock of releases) releaseLock();
  };
  const phases = MONTHLY_PHASES.filter((phase) => only.includes(phase));
  const monthly = new Map(
    phases.map((phase) => [phase, openPhaseLedger(session, partition, checkpointName(partition, phase))]),
  );
  const openExperiments =
    withExperiments && only.includes("experiments")
      ? () => openExperimentsLedger(session, partition, (hold) => releases.push(hold))
      : null;
  return { ledgers: { monthly, openExperiments }, release };
}

/** Runs of several months share the experiments: the first one copies them, and the others leave them to it. */
function openExperimentsLedger(
  session: Session,
  partition: string,
  onLocked: (release: () => void) => void,
): PageLedger | null {
  const { cursorStateDir: directory, backfill } = session.config;
  const name = checkpointName(partition, "experiments");
  try {
    if (!backfill.dryRun) onLocked(lock(session, directory, name));
  } catch (error) {
    // A run that would do nothing else has failed.
    if (!(error instanceof CheckpointError) || backfill.only.length === 1) throw error;
    session.logger.warn(`The experiments are left to another run: ${error.message}`);
    return null;
  }
  return openPhaseLedger(session, partition, name);
}

function openPhaseLedger(session: Session, partition: string, checkpoint: string): PageLedger {
  const { cursorStateDir: directory, backfill, restart } = session.config;
  const options: LedgerOptions = {
    directory,
    partition: checkpoint,
    fingerprint: fingerprintOf(backfillOf(session, partition)),
    restart,
  };
  const ledger = backfill.dryRun ? openReadOnlyLedger(options) : openLedger(options);
  if (ledger.notice !== null) session.logger.warn(ledger.notice);
  return ledger;
}
