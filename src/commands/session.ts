import type { ConsolaInstance } from "consola/core";
import { unlessAborted } from "../abortable.ts";
import { acquireLock } from "../checkpoint/lock.ts";
import { ensureStateDirectory, lockPath } from "../checkpoint/paths.ts";
import type { RetryNotice } from "../clickhouse/retry.ts";
import { readDotenv } from "../config/dotenv.ts";
import type { OptionCommand } from "../config/option-spec.ts";
import { proxyFor } from "../config/proxy.ts";
import { resolveSettings } from "../config/resolve-settings.ts";
import { type RunConfig, toRunConfig } from "../config/run-config.ts";
import { readStatusPage } from "../config/status-page.ts";
import { readTlsFiles } from "../config/tls-files.ts";
import type { EntryFields } from "../report/json-entry.ts";
import { createLogger, isLevelShown, wantsColor } from "../report/logger.ts";
import type { RunSnapshot } from "../report/progress.ts";
import { type ProgressTarget, startProgressDisplay } from "../report/progress-display.ts";
import { progressJson } from "../report/progress-json.ts";
import { createTerminal, type Terminal } from "../report/terminal.ts";
import type { BackfillOptions } from "../run/backfill-options.ts";
import type { BackfillEvent } from "../run/events.ts";
import type { Month } from "../run/preflight/months.ts";
import { selectMonths } from "../run/select-months.ts";
import { logEvent } from "./event-log.ts";
import type { Host } from "./host.ts";
import { settleCredentials } from "./settle-credentials.ts";
import { FIGURES_SIGNAL, listenForStop, STOP_SIGNALS } from "./stop-signals.ts";

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
  const statusPage = readStatusPage(settings);
  if (statusPage?.token != null) host.secrets.hideText(statusPage.token);
  const config = toRunConfig(settings, { tls: readTlsFiles(settings), proxy, statusPage });
  host.showStacks = isLevelShown("debug", config.logLevel);
  const terminal = createTerminal(stderr);
  host.logFormat = config.logFormat;
  const logger = createLogger(terminal, {
    level: config.logLevel,
    format: config.logFormat,
    isTTY: stderr.isTTY,
    isColored: wantsColor(stderr.isTTY, environment),
    now: () => new Date(),
  });
  for (const text of [notice, statusPage?.notice ?? null]) if (text !== null) logger.warn(text);
  return { config, host, terminal, logger };
}

/** What the work of a command has of the session while it goes on. */
export interface Surface {
  emit(event: BackfillEvent): void;
  /** Aborts at the first signal. */
  readonly stop: AbortSignal;
  readonly startedAt: Date;
  /** The figures of the moment. */
  snapshot(): RunSnapshot;
  /** Stops the work as SIGTERM does. */
  requestStop(): void;
}

/**
 * Runs `work`, logs its events and shows its progress. A signal aborts the one given to `work`, and is announced by `notice`; a second
 * one ends the command at once.
 */
export async function showWork<Result>(
  session: Session,
  notice: string,
  work: (surface: Surface) => Promise<Result>,
): Promise<Result> {
  const { host, logger } = session;
  const stop = listenForStop(
    host.signals,
    (signal) => logger.warn(`${signal}: ${notice}`, { event: "stopping", signal }),
    STOP_SIGNALS.filter((signal) => signal !== "SIGHUP" || !host.ignoresHangup),
  );
  const progress = startProgressDisplay(progressTarget(session), () => performance.now());
  const logFigures = (): void => logger.info(progress.figures(), progressFields(progress.snapshot()));
  host.signals.on(FIGURES_SIGNAL, logFigures);
  const emit = (event: BackfillEvent): void => {
    progress.onEvent(event);
    logEvent(logger, event);
  };
  try {
    const surface: Surface = {
      emit,
      stop: stop.graceful,
      startedAt: new Date(),
      snapshot: () => progress.snapshot(),
      requestStop: () => stop.request("SIGTERM"),
    };
    return await unlessAborted(work(surface), stop.atOnce);
  } finally {
    progress.stop();
    stop.dispose();
    host.signals.off(FIGURES_SIGNAL, logFigures);
  }
}

function progressTarget({ config, host, terminal, logger }: Session): ProgressTarget {
  const { stderr, environment } = host;
  if (!isLevelShown("info", config.logLevel)) return { kind: "none" };
  const writeLine = (line: string, snapshot: RunSnapshot): void =>
    logger.info(line, progressFields(snapshot));
  const isScreen = stderr.isTTY && environment["TERM"] !== "dumb" && config.logFormat === "text";
  if (!isScreen) return { kind: "lines", writeLine };
  return { kind: "screen", columns: stderr.columns, setStatus: terminal.setStatus, writeLine };
}

function progressFields(snapshot: RunSnapshot): EntryFields {
  return { event: "progress", ...progressJson(snapshot) };
}

/** What a run of one month is given. */
export function backfillOf({ config, host }: Session, partition: string): BackfillOptions {
  return {
    ...config.backfill,
    partition,
    workerUrl: host.workerUrl,
    cores: host.cores,
    recordsQueries: isLevelShown("debug", config.logLevel),
  };
}

/** The months of a command, in their order. Rejects as `selectMonths` does. */
export async function monthsOfCommand(
  { config }: Session,
  { emit, stop }: Pick<Surface, "emit" | "stop">,
): Promise<readonly Month[]> {
  const { months, backfill } = config;
  const { selection } = months;
  // Without a query, as long as there is nothing to choose.
  if (selection !== "all" && selection.length === 1) {
    return selection.map((partition) => ({ partition, rows: 0 }));
  }
  const retry = {
    maxRetries: backfill.maxRetries,
    onRetry: (notice: RetryNotice) => emit({ kind: "retry", ...notice }),
    signal: stop,
  };
  const chosen = await selectMonths(backfill, months, retry);
  if (chosen.withoutCurrent !== null) {
    const message = `The current month, ${chosen.withoutCurrent}, is left out: --include-current takes it as well`;
    emit({ kind: "notice", message });
  }
  return chosen.months;
}

/**
 * The lock is held until it is released, which is safe to do twice, or else until the process exits: after a stop at once workers may still
 * insert until then.
 */
export function lock({ host, logger }: Session, directory: string, partition: string): () => void {
  ensureStateDirectory(directory);
  const { notice, release } = acquireLock(lockPath(directory, partition));
  host.onExit(release);
  if (notice !== null) logger.warn(notice);
  return release;
}
