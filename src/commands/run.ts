import { fingerprintOf } from "../checkpoint/fingerprint.ts";
import { type LedgerOptions, openLedger, openReadOnlyLedger } from "../checkpoint/ledger.ts";
import { checkpointName } from "../checkpoint/paths.ts";
import { openSkipFile } from "../checkpoint/skip-file.ts";
import type { RejectedRowLog } from "../copy/rejected-row.ts";
import { CheckpointError } from "../errors.ts";
import { MONTHLY_PHASES } from "../plan/phases.ts";
import { renderFinalReport } from "../report/final-report.ts";
import { isLevelShown } from "../report/logger.ts";
import { type RunLedgers, runBackfill } from "../run/backfill.ts";
import type { PageLedger } from "../run/page-ledger.ts";
import type { BackfillReport } from "../run/report.ts";
import type { Host } from "./host.ts";
import { lock, openSession, type Session, showWork } from "./session.ts";
import { GRACE_PERIOD_MS } from "./stop-signals.ts";

/**
 * The command `run`: configuration, lock, checkpoint, backfill, final report.
 * @throws the error that decides the exit code.
 */
export async function run(flags: ReadonlyMap<string, string>, host: Host): Promise<void> {
  const session = openSession("run", flags, host);
  const { backfill: options, skipBadRowsPath } = session.config;
  const skipped = openSessionSkipFile(session);
  const report = await copy(session, openSessionLedgers(session), skipped);
  host.stdout.write(
    renderFinalReport(report, {
      partition: options.partition,
      tables: options.tables,
      skipFilePath: skipBadRowsPath,
    }),
  );
}

/** A dry run leaves no trace on the disk: neither directory nor lock. */
function openSessionLedgers(session: Session): RunLedgers {
  const { cursorStateDir: directory, backfill } = session.config;
  const { partition, dryRun, only } = backfill;
  if (!dryRun) lock(session, directory, partition);
  const phases = MONTHLY_PHASES.filter((phase) => only.includes(phase));
  return {
    monthly: new Map(
      phases.map((phase) => [phase, openPhaseLedger(session, checkpointName(partition, phase))]),
    ),
    openExperiments: only.includes("experiments") ? () => openExperiments(session) : null,
  };
}

/** Runs of several months share the experiments: the first one copies them, and the others leave them to it. */
function openExperiments(session: Session): PageLedger | null {
  const { cursorStateDir: directory, backfill } = session.config;
  const name = checkpointName(backfill.partition, "experiments");
  try {
    if (!backfill.dryRun) lock(session, directory, name);
  } catch (error) {
    // A run that would do nothing else has failed.
    if (!(error instanceof CheckpointError) || backfill.only.length === 1) throw error;
    session.logger.warn(`The experiments are left to another run: ${error.message}`);
    return null;
  }
  return openPhaseLedger(session, name);
}

function openPhaseLedger(session: Session, checkpoint: string): PageLedger {
  const { cursorStateDir: directory, backfill, restart } = session.config;
  const options: LedgerOptions = {
    directory,
    partition: checkpoint,
    fingerprint: fingerprintOf(backfill),
    restart,
  };
  const ledger = backfill.dryRun ? openReadOnlyLedger(options) : openLedger(options);
  if (ledger.notice !== null) session.logger.warn(ledger.notice);
  return ledger;
}

/** A dry run inserts nothing, so that nothing is refused. */
function openSessionSkipFile({ config, host }: Session): RejectedRowLog | null {
  const { skipBadRowsPath: path, backfill } = config;
  if (path === null || backfill.dryRun) return null;
  const { partition, connection, tables } = backfill;
  const file = openSkipFile(path, { partition, database: connection.database, sourceTable: tables.source });
  return {
    append: (rows) => file.append(rows.map((bad) => ({ ...bad, message: host.secrets.redact(bad.message) }))),
  };
}

async function copy(
  session: Session,
  ledgers: RunLedgers,
  skipped: RejectedRowLog | null,
): Promise<BackfillReport> {
  const { config, host } = session;
  const options = {
    ...config.backfill,
    workerUrl: host.workerUrl,
    cores: host.cores,
    recordsQueries: isLevelShown("debug", config.logLevel),
  };
  const notice =
    `no new pages are begun, open INSERTs end after the block in flight (at most ${GRACE_PERIOD_MS / 1000} s). ` +
    "A second signal stops at once; nothing is lost by it.";
  return await showWork(session, notice, (emit, stop) => runBackfill(options, ledgers, emit, stop, skipped));
}
