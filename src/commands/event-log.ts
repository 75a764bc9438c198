import type { ConsolaInstance } from "consola/core";
import type { BackfillEvent } from "../pipeline/backfill.ts";
import { formatCount, formatDuration } from "../report/format.ts";

/** Logs what is worth an entry; the counts of traces and rows are the progress display's. */
export function logEvent(logger: ConsolaInstance, event: BackfillEvent): void {
  switch (event.kind) {
    case "connected":
      logger.info(`Connected to ClickHouse ${event.serverVersion} at ${event.url}`);
      return;
    case "planned": {
      const earlier = event.doneRows > 0 ? `, ${formatCount(event.doneRows)} done by earlier runs` : "";
      logger.info(`${formatCount(event.totalRows)} observations in the partition${earlier}`);
      return;
    }
    case "retry":
      logger.warn(
        `${event.step}: retry ${event.attempt} of ${event.maxRetries} in ${formatDuration(event.delayMs)}: ${event.message}`,
      );
      return;
    case "wait":
      logger.warn(
        `${event.step}: waiting ${formatDuration(event.delayMs)} for ${event.reason}: ${event.message}`,
      );
      return;
    case "split":
      logger.warn(
        event.reason === "size"
          ? `${event.step}: too large, its halves are sent: ${event.message}`
          : `${event.step}: refused, the row is looked for: ${event.message}`,
      );
      return;
    case "notice":
      logger.info(event.message);
      return;
    case "warning":
      logger.warn(event.message);
      return;
    case "replanned":
    case "traces":
    case "rows":
      return;
  }
}
