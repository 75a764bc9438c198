import { pause } from "../abortable.ts";
import { backoffMs } from "../clickhouse/retry.ts";
import type { Server } from "../clickhouse/server.ts";
import { ERROR_CODE, ServerError, TransportError } from "../clickhouse/server-errors.ts";

/** The query log is written every 7.5 seconds by default (flush_interval_milliseconds). */
const LOG_ATTEMPTS = 6;
const NEVER = new AbortController().signal;

/**
 * Waits for a query whose connection is lost, and finds out how it ended: null: well; else the error that it ended with, or `lost` where
 * nobody knows. Rejects with the signal's reason, after cancelling the query.
 */
export async function outcomeOf(
  server: Server,
  id: string,
  lost: Error,
  signal: AbortSignal,
): Promise<Error | null> {
  try {
    for (let polls = 0; await isRunning(server, id, signal); polls++) {
      await pause(backoffMs(polls, Math.random()), signal);
    }
    for (let attempt = 0; attempt < LOG_ATTEMPTS; attempt++) {
      const outcome = await loggedOutcome(server, id, signal);
      if (outcome !== undefined) return outcome;
      await pause(backoffMs(attempt, Math.random()), signal);
    }
    return lost;
  } catch (error) {
    if (signal.aborted) await cancelQuery(server, id);
    // The rights may lack, or the connection again: then the rows are inserted once more.
    else if (error instanceof ServerError || error instanceof TransportError) return lost;
    throw error;
  }
}

async function isRunning(server: Server, id: string, signal: AbortSignal): Promise<boolean> {
  const sql = "SELECT count() FROM system.processes WHERE query_id = {id:String}";
  const [row] = await server.allRows({ sql, params: { id } }, signal);
  return Number(row?.[0]) > 0;
}

/** How the log says that a query ended; undefined: it says nothing yet. */
async function loggedOutcome(
  server: Server,
  id: string,
  signal: AbortSignal,
): Promise<Error | null | undefined> {
  const sql = `SELECT toString(type), exception_code, exception FROM system.query_log
    WHERE query_id = {id:String} AND type != 'QueryStart' ORDER BY event_time_microseconds DESC LIMIT 1`;
  const [row] = await server.allRows({ sql, params: { id } }, signal);
  if (row === undefined) return undefined;
  const [type, code, text] = row;
  return type === "QueryFinish" ? null : new ServerError(Number(code), 500, String(text), id);
}

/** Cancels a query, if it still runs; a user without the right to leaves it to end by itself. */
export async function cancelQuery(server: Server, id: string): Promise<void> {
  await cancelQueries(server, "query_id = {id:String}", id);
}

/** Cancels the queries that a killed run with the same prefix has left behind, and waits until they are gone. */
export async function cancelAbandoned(server: Server, prefix: string): Promise<void> {
  await cancelQueries(server, "startsWith(query_id, {id:String})", prefix);
}

async function cancelQueries(server: Server, condition: string, id: string): Promise<void> {
  try {
    await server.allRows({ sql: `KILL QUERY WHERE ${condition} SYNC`, params: { id } }, NEVER);
  } catch (error) {
    const isDenied = error instanceof ServerError && error.code === ERROR_CODE.accessDenied;
    if (!isDenied && !(error instanceof TransportError)) throw error;
  }
}
