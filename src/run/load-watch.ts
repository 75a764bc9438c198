import { pause } from "../abortable.ts";
import { OperationError, type RetryPolicy } from "../clickhouse/retry.ts";
import { Server } from "../clickhouse/server.ts";
import { ServerError } from "../clickhouse/server-errors.ts";
import { RunError } from "../errors.ts";
import type { Throttler } from "../throttle/throttler.ts";
import type { BackfillOptions } from "./backfill-options.ts";
import { connect } from "./preflight/connect.ts";
import { asRunError } from "./run-error.ts";

/** What pauses a run while the server has other things to do. */
export interface LoadLimits {
  /** A SELECT; the run pauses while its first value is 1. Null: there is none. */
  readonly pauseWhen: string | null;
  /** Active parts of the target in the month; null: there is no limit. */
  readonly maxActiveParts: number | null;
}

/** What watching the load depends on. */
export interface LoadWatchContext {
  readonly options: Pick<BackfillOptions, "connection" | "tables">;
  readonly throttler: Throttler;
  /** The month that is copied; null while there is none: then the month with the most parts counts. */
  readonly partition: () => string | null;
  readonly onWarning: (message: string) => void;
  readonly stop: AbortSignal;
}

/** How often the load is looked at. */
export interface LoadTimes {
  readonly queryEveryMs: number;
  readonly partsEveryMs: number;
  /** A query that takes longer says how things were: it counts as one that fails. */
  readonly maxQueryMs: number;
}

export const LOAD_TIMES: LoadTimes = { queryEveryMs: 15_000, partsEveryMs: 5_000, maxQueryMs: 60_000 };

/** The run goes on once so much of the limit is free again: a pause for each part would do nothing but flicker. */
const RESUME_AT = 0.8;

/**
 * Pauses the run by the throttler while the server's load is over a limit, until the function that it returns is called. Each limit is
 * looked at once before: rejects with a RunError where that fails.
 */
export async function watchLoad(
  context: LoadWatchContext,
  limits: LoadLimits,
  times: LoadTimes = LOAD_TIMES,
): Promise<() => void> {
  const { pauseWhen, maxActiveParts } = limits;
  if (pauseWhen === null && maxActiveParts === null) return () => {};
  const server = new Server(context.options.connection);
  const end = new AbortController();
  const signal = AbortSignal.any([end.signal, context.stop]);
  const watches: Watch[] = [];
  if (pauseWhen !== null) {
    watches.push({
      everyMs: times.queryEveryMs,
      look: () => lookAtQuery(context, server, pauseWhen, { signal, maxMs: times.maxQueryMs }),
    });
  }
  if (maxActiveParts !== null) {
    watches.push({
      everyMs: times.partsEveryMs,
      look: () => lookAtParts(context, server, maxActiveParts, signal),
    });
  }
  const stopWatching = (): void => {
    end.abort(new Error("Watching has ended"));
    server.close();
  };
  try {
    await connect(server, { ...context.options, dryRun: true }, once(signal));
    for (const { look } of watches) await look();
  } catch (error) {
    stopWatching();
    context.stop.throwIfAborted();
    throw asRunError(error);
  }
  for (const watch of watches) void keepLooking(watch, context, signal);
  return stopWatching;
}

interface Watch {
  readonly everyMs: number;
  readonly look: () => Promise<void>;
}

/** Looks again and again, until the signal fires; never rejects. A look that fails leaves things as they are. */
async function keepLooking(
  { everyMs, look }: Watch,
  { onWarning }: LoadWatchContext,
  signal: AbortSignal,
): Promise<void> {
  let said: string | null = null;
  while (!signal.aborted) {
    try {
      await pause(everyMs, signal);
      await look();
      said = null;
    } catch (error) {
      if (signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      const kind = kindOf(error);
      if (kind !== said) onWarning(`${message}; the run stays as it is`);
      said = kind;
    }
  }
}

/** What stays the same while a look fails in one way: the server's message holds the id of the query, and how much memory it took. */
function kindOf(error: unknown): string {
  const cause = error instanceof OperationError ? error.cause : error;
  if (cause instanceof ServerError) return `${cause.httpStatus} ${cause.code}`;
  return error instanceof Error ? error.message : String(error);
}

/** One attempt: the next look comes by itself. */
function once(signal: AbortSignal): RetryPolicy {
  return { maxRetries: 0, onRetry: () => {}, signal };
}

async function lookAtQuery(
  { throttler }: LoadWatchContext,
  server: Server,
  query: string,
  { signal, maxMs }: { readonly signal: AbortSignal; readonly maxMs: number },
): Promise<void> {
  const operation = "Running the query of --pause-when";
  const sql = `SELECT * FROM (\n${query.trim().replace(/;+$/, "")}\n) LIMIT 1`;
  const tooLate = AbortSignal.timeout(maxMs);
  const [row] = await server
    .query(operation, { sql }, once(AbortSignal.any([signal, tooLate])))
    .catch((error: unknown) => {
      if (!tooLate.aborted) throw error;
      throw new OperationError(operation, new Error(`no result within ${maxMs / 1000} s`));
    });
  const value = row?.[0];
  if (value === true || String(value) === "1")
    throttler.pause("query", "the query of --pause-when returns 1");
  else throttler.resume("query");
}

async function lookAtParts(
  { options, throttler, partition }: LoadWatchContext,
  server: Server,
  limit: number,
  signal: AbortSignal,
): Promise<void> {
  const { connection, tables } = options;
  const sql = `SELECT max(parts) FROM (SELECT count() AS parts FROM system.parts
    WHERE active AND database = {database:String} AND table = {table:String} AND {month:String} IN (partition_id, '')
    GROUP BY partition_id)`;
  const params = { database: connection.database, table: tables.target, month: partition() ?? "" };
  const operation = `Counting the parts of ${tables.target} for --max-active-parts`;
  const [row] = await server.query(operation, { sql, params }, once(signal));
  const parts = Number(row?.[0] ?? 0);
  if (!Number.isSafeInteger(parts)) throw new RunError(`${operation}: no number came back`);
  const isPaused = throttler.isPausedBy("parts");
  if (parts > limit || (isPaused && parts > limit * RESUME_AT)) {
    throttler.pause("parts", `${tables.target} has ${parts} active parts, of at most ${limit}`);
  } else throttler.resume("parts");
}
