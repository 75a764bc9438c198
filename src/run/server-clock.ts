import type { RetryPolicy } from "../clickhouse/retry.ts";
import type { Server } from "../clickhouse/server.ts";
import { TransportError } from "../clickhouse/server-errors.ts";

/** The server's clock, read once. */
export interface ServerClock {
  /** An IANA name. */
  readonly timeZone: string;
  /** Milliseconds since 1970; rather a little early than late, which is the safe side for what it is compared with. */
  nowMs(): number;
}

/** Reads the server's time. Rejects with an OperationError. */
export async function readServerClock(server: Server, retry: RetryPolicy): Promise<ServerClock> {
  const sql = "SELECT toUnixTimestamp64Milli(now64(3)), timezone()";
  return await server.query("Reading the server's clock", { sql }, retry, ([row]) => {
    // From now on, not from when it was queried: the way back counts as time that has not passed.
    const answeredMs = performance.now();
    const serverMs = Number(row?.[0]);
    if (!Number.isSafeInteger(serverMs)) throw new TransportError("No time came back");
    return { timeZone: String(row?.[1]), nowMs: () => Math.floor(serverMs + performance.now() - answeredMs) };
  });
}
