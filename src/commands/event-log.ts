import type { ConsolaInstance } from "consola/core";
import type { QueryRecord } from "../clickhouse/query-observer.ts";
import type { PhaseName } from "../plan/phases.ts";
import { formatCount, formatDuration } from "../report/format.ts";
import type { BackfillEvent } from "../run/events.ts";

/** What the rows of each phase are copied from. */
const COPIED = {
  roots: "traces in the partition",
  observations: "observations in the partition",
  experiments: "rows of traces that dataset runs name, in all months",
} as const satisfies Readonly<Record<PhaseName, string>>;

/** Logs what is worth an entry; the counts of traces and rows are the progress display's. */
export function logEvent(logger: ConsolaInstance, event: BackfillEvent): void {
  switch (event.kind) {
    case "connected":
      logger.info(`Connected to ClickHouse ${event.serverVersion} at ${event.url}`);
      return;
    case "planned": {
      const earlier = event.doneRows > 0 ? `, ${formatCount(event.doneRows)} done by earlier runs` : "";
      logger.info(`${formatCount(event.totalRows)} ${COPIED[event.phase]}${earlier}`);
      return;
    }
    case "retry":
      logger.warn(
        `${event.operation}: retry ${event.attempt} of ${event.maxRetries} in ${formatDuration(event.delayMs)}: ${event.message}`,
      );
      return;
    case "wait":
      logger.warn(
        `${event.operation}: waiting ${formatDuration(event.delayMs)} for ${event.reason}: ${event.message}`,
      );
      return;
    case "split":
      logger.warn(
        event.reason === "size"
          ? `${event.operation}: too large, sent again in smaller inserts: ${event.message}`
          : `${event.operation}: rejected, bisecting to find the row: ${event.message}`,
      );
      return;
    case "notice":
      logger.info(event.message);
      return;
    case "warning":
      logger.warn(event.message);
      return;
    case "query":
      logQuery(logger, event.record);
      return;
    case "quiet":
      logger.info(
        `The server has sent nothing for ${formatDuration(event.sinceMs)}: waiting for ${event.operation}; the limit is ${formatDuration(event.limitMs)}`,
      );
      return;
    case "replanned":
    case "traces":
    case "rows":
    case "verified":
      return;
  }
}

function logQuery(
  logger: ConsolaInstance,
  { queryId, kind, sql, settings, durationMs, rows, bytes, error }: QueryRecord,
): void {
  const figures = `${formatDuration(durationMs)}, ${formatCount(rows)} rows, ${formatCount(bytes)} bytes`;
  logger.debug(`${queryId} (${kind}): ${figures}${error === null ? "" : `, failed: ${error}`}: ${sql}`);
  const sent = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  logger.trace(`${queryId} settings: ${sent.join(" ")}`);
}
