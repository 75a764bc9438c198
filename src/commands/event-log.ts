import type { ConsolaInstance } from "consola/core";
import type { QueryRecord } from "../clickhouse/query-observer.ts";
import type { PhaseName } from "../plan/phases.ts";
import { formatCount, formatDuration } from "../report/format.ts";
import type { EntryFields } from "../report/json-entry.ts";
import type { BackfillEvent } from "../run/events.ts";
import { formatRate } from "../throttle/rate.ts";

/** What the rows of each phase are copied from. */
const COPIED = {
  roots: "traces in the partition",
  observations: "observations in the partition",
  experiments: "rows of traces that dataset runs name, in all months",
} as const satisfies Readonly<Record<PhaseName, string>>;

/** An entry of the log. */
interface Entry {
  readonly level: "info" | "warn";
  readonly message: string;
  readonly fields?: Omit<EntryFields, "event">;
}

/** Logs what is worth an entry; the counts of traces and rows are the progress display's. */
export function logEvent(logger: ConsolaInstance, event: BackfillEvent): void {
  if (event.kind === "query") {
    logQuery(logger, event.record);
    return;
  }
  const entry = entryOf(event);
  if (entry !== null) logger[entry.level](entry.message, { event: event.kind, ...entry.fields });
}

function entryOf(event: Exclude<BackfillEvent, { kind: "query" }>): Entry | null {
  switch (event.kind) {
    case "connected": {
      const { serverVersion, url } = event;
      const message = `Connected to ClickHouse ${serverVersion} at ${url}`;
      return { level: "info", message, fields: { server_version: serverVersion, url } };
    }
    case "months": {
      const names = event.months.map(({ partition }) => partition);
      const message = `${formatCount(names.length)} months, in this order: ${names.join(", ")}`;
      return names.length < 2 ? null : { level: "info", message, fields: { months: names } };
    }
    case "month":
      return event.isOneOfSeveral
        ? { level: "info", message: `Partition ${event.partition}`, fields: { month: event.partition } }
        : null;
    case "month-ended": {
      const { partition, outcome, rows, durationMs, isOneOfSeveral } = event;
      if (!isOneOfSeveral) return null;
      const message = `Partition ${partition}: ${OUTCOMES[outcome]}${rows === 0 ? "" : `, ${formatCount(rows)} rows inserted`}, in ${formatDuration(durationMs)}`;
      const fields = { month: partition, outcome, rows_inserted: rows, seconds: durationMs / 1000 };
      return { level: outcome === "failed" ? "warn" : "info", message, fields };
    }
    case "planned": {
      const { phase, totalRows, doneRows } = event;
      const earlier = doneRows > 0 ? `, ${formatCount(doneRows)} done by earlier runs` : "";
      const message = `${formatCount(totalRows)} ${COPIED[phase]}${earlier}`;
      return { level: "info", message, fields: { phase, total_rows: totalRows, done_rows: doneRows } };
    }
    case "retry": {
      const { operation, attempt, maxRetries, delayMs, message: reason } = event;
      const message = `${operation}: retry ${attempt} of ${maxRetries} in ${formatDuration(delayMs)}: ${reason}`;
      const fields = { operation, attempt, max_retries: maxRetries, delay_seconds: delayMs / 1000, reason };
      return { level: "warn", message, fields };
    }
    case "wait": {
      const { operation, reason: what, delayMs, message: reason } = event;
      const message = `${operation}: waiting ${formatDuration(delayMs)} for ${what}: ${reason}`;
      return {
        level: "warn",
        message,
        fields: { operation, for: what, delay_seconds: delayMs / 1000, reason },
      };
    }
    case "split": {
      const { operation, reason: because, message: reason } = event;
      const what =
        because === "size"
          ? "too large, sent again in smaller inserts"
          : "rejected, bisecting to find the row";
      return {
        level: "warn",
        message: `${operation}: ${what}: ${reason}`,
        fields: { operation, because, reason },
      };
    }
    case "throttle": {
      const { pausedFor, rate, workers } = event;
      const limits = [
        pausedFor.length === 0 ? "Running" : `Paused: ${pausedFor.join("; ")}`,
        ...(rate === null ? [] : [`at most ${formatRate(rate)} a second`]),
        ...(workers === null ? [] : [`${workers} ${workers === 1 ? "worker" : "workers"}`]),
      ];
      const message = limits.join(", ");
      const max_rate = rate === null ? null : formatRate(rate);
      return { level: "info", message, fields: { paused_for: pausedFor, max_rate, workers } };
    }
    case "notice":
      return { level: "info", message: event.message };
    case "warning":
      return { level: "warn", message: event.message };
    case "quiet": {
      const { operation, sinceMs, limitMs } = event;
      const message = `The server has sent nothing for ${formatDuration(sinceMs)}: waiting for ${operation}; the limit is ${formatDuration(limitMs)}`;
      const fields = { operation, quiet_seconds: sinceMs / 1000, limit_seconds: limitMs / 1000 };
      return { level: "info", message, fields };
    }
    case "replanned":
    case "traces":
    case "rows":
    case "verified":
    case "compared":
      return null;
  }
}

const OUTCOMES = {
  done: "done",
  "dry-run": "read and enriched, nothing inserted",
  "nothing-to-do": "nothing to do, it holds no observations",
  "already-finished": "finished by an earlier run",
  failed: "failed",
  stopped: "stopped",
} as const;

function logQuery(logger: ConsolaInstance, record: QueryRecord): void {
  const { queryId, kind, sql, settings, durationMs, rows, bytes, error } = record;
  const figures = `${formatDuration(durationMs)}, ${formatCount(rows)} rows, ${formatCount(bytes)} bytes`;
  const failed = error === null ? "" : `, failed: ${error}`;
  const fields = { query_id: queryId, statement: kind, seconds: durationMs / 1000, rows, bytes, error };
  logger.debug(`${queryId} (${kind}): ${figures}${failed}: ${sql}`, { event: "query", ...fields });
  const sent = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const message = `${queryId} settings: ${sent.join(" ")}`;
  logger.trace(message, { event: "query-settings", query_id: queryId, settings });
}
