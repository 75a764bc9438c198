import { pause } from "../abortable.ts";
import { backoffMs, OperationError } from "./retry.ts";
import { awaitsMerges } from "./server-errors.ts";

/** What a run waits for, besides the pause before a retry. */
export type WaitReason = "merges" | "mutations" | "replication";

/** One pause before the next attempt. */
export interface WaitNotice {
  readonly reason: WaitReason;
  readonly operation: string;
  readonly delayMs: number;
  /** The server's own words. */
  readonly message: string;
}

/** How long an insert waits for merges, what to call before each pause, and what ends the wait. */
export interface WaitPolicy {
  /** 0: it does not wait. */
  readonly maxWaitMs: number;
  readonly onWait: (notice: WaitNotice) => void;
  /** Ends the wait at once, with the signal's reason. */
  readonly signal: AbortSignal;
}

const FIRST_WAIT_MS = 1_000;

/**
 * Runs `attempt` again, with growing pauses, while the table has too many parts, which means that inserts come faster than the
 * server merges. Rejects with any other error, with that one when `maxWaitMs` is 0, and with an OperationError once `maxWaitMs` have
 * passed.
 */
export async function waitForMerges<T>(
  operation: string,
  policy: WaitPolicy,
  attempt: () => Promise<T>,
): Promise<T> {
  let sinceMs: number | null = null;
  for (let pauses = 0; ; pauses++) {
    try {
      return await attempt();
    } catch (error) {
      if (!awaitsMerges(error) || policy.maxWaitMs === 0) throw error;
      policy.signal.throwIfAborted();
      sinceMs ??= performance.now();
      const leftMs = policy.maxWaitMs - (performance.now() - sinceMs);
      if (leftMs <= 0) {
        throw new OperationError(
          `${operation}: after ${minutes(policy.maxWaitMs)} the table still has too many parts`,
          error,
        );
      }
      const delayMs = Math.min(backoffMs(pauses, Math.random(), FIRST_WAIT_MS), Math.ceil(leftMs));
      policy.onWait({ reason: "merges", operation, delayMs, message: error.message });
      await pause(delayMs, policy.signal);
    }
  }
}

function minutes(ms: number): string {
  const count = ms / 60_000;
  return count === 1 ? "1 minute" : `${count} minutes`;
}
