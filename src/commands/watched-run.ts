import { existsSync } from "node:fs";
import { formatStatusAddress } from "../config/status-address.ts";
import type { StatusPage } from "../config/status-page.ts";
import { checkpointStatuses } from "../control/directory-status.ts";
import type { CheckpointStatus, DirectoryStatus } from "../control/status-json.ts";
import { InterruptedError, RunError } from "../errors.ts";
import { type ShownRun, type StatusServer, serveStatus } from "../monitor/status-server.ts";
import { renderMetrics } from "../report/metrics.ts";
import { RateHistory } from "../report/rate-history.ts";
import { liveRunJson, type RunEnd, wallTimeOf } from "./live-run.ts";
import type { Session, Surface } from "./session.ts";
import { version } from "./version.ts";

const SAMPLE_INTERVAL_MS = 500;
/** Checkpoints of large months take some time to read. */
const CHECKPOINTS_INTERVAL_MS = 10_000;

/**
 * Runs `work`, and serves the status page as long as it goes on, where the options ask for it. Those who watch learn how it ended: with what `work`
 * throws, or with the failure that its result names.
 * @throws {RunError} before it begins, where the page cannot be served; and what `work` throws.
 */
export async function watched<Result extends { readonly failure: { readonly error: unknown } | null }>(
  session: Session,
  surface: Surface,
  work: () => Promise<Result>,
): Promise<Result> {
  const { statusPage } = session.config;
  if (statusPage === null) return await work();
  const history = new RateHistory(performance.now());
  let end: RunEnd | null = null;
  const server = listen(statusPage, {
    ...shownRun(session, surface, history),
    status: statusOf(session, surface, () => end),
  });
  const timer = setInterval(() => history.sample(surface.snapshot(), performance.now()), SAMPLE_INTERVAL_MS);
  session.logger.info(`The run can be watched at ${server.url}`, { event: "status-page", url: server.url });
  try {
    const result = await work();
    end = result.failure === null ? FINISHED : endOf(session, result.failure.error);
    return result;
  } catch (error) {
    end = endOf(session, error);
    throw error;
  } finally {
    clearInterval(timer);
    await server.end();
  }
}

const FINISHED: RunEnd = { outcome: "finished", message: "The run has finished" };

function endOf({ host }: Session, error: unknown): RunEnd {
  const message = host.secrets.redact(error instanceof Error ? error.message : String(error));
  return { outcome: error instanceof InterruptedError ? "stopped" : "failed", message };
}

function listen(page: StatusPage, run: ShownRun): StatusServer {
  try {
    return serveStatus(page, run);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const address = formatStatusAddress(page.address);
    const message = `--status-address ${address}: the page cannot be served there: ${reason}\nGive another port; port 0 takes a free one.`;
    throw new RunError(message, { cause: error });
  }
}

function shownRun(
  { config, host }: Session,
  { snapshot, startedAt }: Surface,
  history: RateHistory,
): Omit<ShownRun, "status"> {
  const { connection, tables, engine, dryRun } = config.backfill;
  const identity = host.secrets.redactTexts({
    version: version(),
    engine,
    database: connection.database,
    target: tables.target,
    isDryRun: dryRun,
    startedAtMs: startedAt.getTime(),
  });
  return {
    history: () =>
      JSON.stringify({
        spacing_seconds: history.spacingMs / 1000,
        points: history.points.map(({ atMs, rowsPerSecond, bytesPerSecond }) => ({
          at: wallTimeOf(atMs).toISOString(),
          rows_per_second: Math.round(rowsPerSecond),
          bytes_per_second: Math.round(bytesPerSecond),
        })),
      }),
    metrics: () => {
      const { user, system } = process.cpuUsage();
      const use = { residentBytes: process.memoryUsage.rss(), cpuSeconds: (user + system) / 1e6 };
      const clock = { nowMs: performance.now(), wallMs: Date.now() };
      return renderMetrics(snapshot(), identity, use, clock);
    },
  };
}

/** The same document as `status --json` prints, of this run alone. */
function statusOf(session: Session, surface: Surface, end: () => RunEnd | null): () => string {
  const { cursorStateDir: directory } = session.config;
  let checkpoints: readonly CheckpointStatus[] = [];
  let readAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = performance.now();
    if (nowMs - readAtMs >= CHECKPOINTS_INTERVAL_MS || end() !== null) {
      checkpoints = existsSync(directory) ? checkpointStatuses(directory) : [];
      readAtMs = nowMs;
    }
    const status: DirectoryStatus = {
      directory,
      runs: [liveRunJson(session, surface, end())],
      checkpoints,
    };
    return JSON.stringify(status);
  };
}
