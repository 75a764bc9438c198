import type { ConsolaInstance } from "consola/core";
import { fingerprintOf } from "../checkpoint/fingerprint.ts";
import { type LedgerOptions, openLedger, openReadOnlyLedger } from "../checkpoint/ledger.ts";
import { acquireLock } from "../checkpoint/lock.ts";
import { checkpointName, ensureStateDirectory, lockPath } from "../checkpoint/paths.ts";
import { openSkipFile } from "../checkpoint/skip-file.ts";
import { readDotenv } from "../config/dotenv.ts";
import { proxyFor } from "../config/proxy.ts";
import { resolveSettings } from "../config/resolve-settings.ts";
import { type RunConfig, toRunConfig } from "../config/run-config.ts";
import { readTlsFiles } from "../config/tls-files.ts";
import type { RejectedRowLog } from "../copy/rejected-row.ts";
import { CheckpointError } from "../errors.ts";
import { MONTHLY_PHASES } from "../plan/phases.ts";
import { renderFinalReport } from "../report/final-report.ts";
import { createLogger, isLevelShown, wantsColor } from "../report/logger.ts";
import { type ProgressTarget, startProgressDisplay } from "../report/progress-display.ts";
import { createTerminal, type Terminal } from "../report/terminal.ts";
import { type RunLedgers, runBackfill } from "../run/backfill.ts";
import type { PageLedger } from "../run/page-ledger.ts";
import type { BackfillReport } from "../run/report.ts";
import { logEvent } from "./event-log.ts";
import type { Host } from "./host.ts";
import { settleCredentials } from "./settle-credentials.ts";
import {
  FIGURES_SIGNAL,
  GRACE_PERIOD_MS,
  listenForStop,
  STOP_SIGNALS,
  unlessAborted,
} from "./stop-signals.ts";

interface Session {
  readonly config: RunConfig;
  readonly host: Host;
  readonly terminal: Terminal;
  readonly logger: ConsolaInstance;
}

/**
 * The command `run`: configuration, lock, checkpoint, backfill, final report.
 * @throws the error that decides the exit code.
 */
export async function run(flags: ReadonlyMap<string, string>, host: Host): Promise<void> {
  const session = openSession(flags, host);
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

function openSession(flags: ReadonlyMap<string, string>, host: Host): Session {
  const { environment, stderr } = host;
  const dotenv = readDotenv(host.workingDirectory);
  const given = resolveSettings({ flags, environment, dotenv });
  const { settings, notice } = settleCredentials(given, host.secrets);
  const proxy = proxyFor(settings.clickhouseUrl, environment);
  if (proxy?.credentials != null) host.secrets.hideText(proxy.credentials);
  const config = toRunConfig(settings, { tls: readTlsFiles(settings), proxy });
  host.showStacks = isLevelShown("debug", config.logLevel);
  const terminal = createTerminal(stderr);
  const logger = createLogger(terminal, {
    level: config.logLevel,
    isTTY: stderr.isTTY,
    isColored: wantsColor(stderr.isTTY, environment),
    now: () => new Date(),
  });
  if (notice !== null) logger.warn(notice);
  return { config, host, terminal, logger };
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

/** The lock is held until the process exits: after a stop at once workers may still insert until then. */
function lock({ host, logger }: Session, directory: string, partition: string): void {
  ensureStateDirectory(directory);
  const { notice, release } = acquireLock(lockPath(directory, partition));
  host.onExit(release);
  if (notice !== null) logger.warn(notice);
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
  const { config, host, logger } = session;
  const stop = listenForStop(
    host.signals,
    (signal) =>
      logger.warn(
        `${signal}: no new pages are begun, open INSERTs end after the block in flight (at most ${GRACE_PERIOD_MS / 1000} s). ` +
          "A second signal stops at once; nothing is lost by it.",
      ),
    STOP_SIGNALS.filter((signal) => signal !== "SIGHUP" || !host.ignoresHangup),
  );
  const progress = startProgressDisplay(progressTarget(session), () => performance.now());
  const logFigures = (): void => logger.info(progress.figures());
  host.signals.on(FIGURES_SIGNAL, logFigures);
  try {
    const work = runBackfill(
      {
        ...config.backfill,
        workerUrl: host.workerUrl,
        cores: host.cores,
        recordsQueries: isLevelShown("debug", config.logLevel),
      },
      ledgers,
      (event) => {
        progress.onEvent(event);
        logEvent(logger, event);
      },
      stop.graceful,
      skipped,
    );
    return await unlessAborted(work, stop.atOnce);
  } finally {
    progress.stop();
    stop.dispose();
    host.signals.off(FIGURES_SIGNAL, logFigures);
  }
}

function progressTarget({ config, host, terminal, logger }: Session): ProgressTarget {
  const { stderr, environment } = host;
  // A bar belongs to what level info shows, as the lines do.
  if (stderr.isTTY && environment["TERM"] !== "dumb" && isLevelShown("info", config.logLevel)) {
    return {
      kind: "bar",
      columns: stderr.columns,
      setStatus: terminal.setStatus,
      writeLine: (line) => logger.info(line),
    };
  }
  return { kind: "lines", writeLine: (line) => logger.info(line) };
}
