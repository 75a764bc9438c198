import type { ConsolaInstance } from "consola/core";
import { acquireLock } from "../checkpoint/lock.ts";
import { ensureStateDirectory, lockPath } from "../checkpoint/paths.ts";
import { readDotenv } from "../config/dotenv.ts";
import type { OptionCommand } from "../config/option-spec.ts";
import { proxyFor } from "../config/proxy.ts";
import { resolveSettings } from "../config/resolve-settings.ts";
import { type RunConfig, toRunConfig } from "../config/run-config.ts";
import { readTlsFiles } from "../config/tls-files.ts";
import { createLogger, isLevelShown, wantsColor } from "../report/logger.ts";
import { type ProgressTarget, startProgressDisplay } from "../report/progress-display.ts";
import { createTerminal, type Terminal } from "../report/terminal.ts";
import type { BackfillEvent } from "../run/events.ts";
import { logEvent } from "./event-log.ts";
import type { Host } from "./host.ts";
import { settleCredentials } from "./settle-credentials.ts";
import { FIGURES_SIGNAL, listenForStop, STOP_SIGNALS, unlessAborted } from "./stop-signals.ts";

/** What the commands that talk to a server have in common. */
export interface Session {
  readonly config: RunConfig;
  readonly host: Host;
  readonly terminal: Terminal;
  readonly logger: ConsolaInstance;
}

/** Reads the configuration of a command, and opens its log. Throws a UsageError. */
export function openSession(command: OptionCommand, flags: ReadonlyMap<string, string>, host: Host): Session {
  const { environment, stderr } = host;
  const dotenv = readDotenv(host.workingDirectory);
  const given = resolveSettings({ flags, environment, dotenv }, command);
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

/**
 * Runs `work`, logs its events and shows its progress. A signal aborts the one given to `work`, and is announced by `notice`; a second
 * one ends the command at once.
 */
export async function showWork<Result>(
  session: Session,
  notice: string,
  work: (emit: (event: BackfillEvent) => void, stop: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const { host, logger } = session;
  const stop = listenForStop(
    host.signals,
    (signal) => logger.warn(`${signal}: ${notice}`),
    STOP_SIGNALS.filter((signal) => signal !== "SIGHUP" || !host.ignoresHangup),
  );
  const progress = startProgressDisplay(progressTarget(session), () => performance.now());
  const logFigures = (): void => logger.info(progress.figures());
  host.signals.on(FIGURES_SIGNAL, logFigures);
  const emit = (event: BackfillEvent): void => {
    progress.onEvent(event);
    logEvent(logger, event);
  };
  try {
    return await unlessAborted(work(emit, stop.graceful), stop.atOnce);
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

/** The lock is held until the process exits: after a stop at once workers may still insert until then. */
export function lock({ host, logger }: Session, directory: string, partition: string): void {
  ensureStateDirectory(directory);
  const { notice, release } = acquireLock(lockPath(directory, partition));
  host.onExit(release);
  if (notice !== null) logger.warn(notice);
}
