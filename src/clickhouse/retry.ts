import { pause } from "../abortable.ts";
import {
  ERROR_CODE,
  ForeignResponseError,
  isServerFailure,
  isTransient,
  ServerError,
} from "./server-errors.ts";

/** A failed attempt that another one follows. */
export interface RetryNotice {
  readonly operation: string;
  /** 1 for the first retry. */
  readonly attempt: number;
  readonly maxRetries: number;
  readonly delayMs: number;
  readonly message: string;
}

/** How often to retry, what to call before each retry, and what ends the retries. */
export interface RetryPolicy {
  /** Attempts after the first. */
  readonly maxRetries: number;
  readonly onRetry: (notice: RetryNotice) => void;
  /** Ends the wait between attempts, and the retries, with the signal's reason. */
  readonly signal: AbortSignal;
}

/** An operation failed for good: the message names it and the last attempt's error, which is the cause. */
export class OperationError extends Error {
  override readonly name: string = "OperationError";

  constructor(operation: string, cause: unknown) {
    super(`${operation}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 30_000;

/**
 * Runs `attempt` until it succeeds, up to `maxRetries` times after the first, with exponential backoff and jitter.
 * A permanent error ends it at once. Rejects with an OperationError (of a nested operation, with that one), with the signal's reason,
 * or with the error itself where it is neither the server's nor the network's.
 */
export async function withRetry<T>(
  operation: string,
  policy: RetryPolicy,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let retries = 0; ; retries++) {
    policy.signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      policy.signal.throwIfAborted();
      // A bug stays one, with its own message and stack.
      if (error instanceof OperationError || !isServerFailure(error)) throw error;
      if (retries >= policy.maxRetries || !isTransient(error)) throw new OperationError(operation, error);
      const delayMs = backoffMs(retries, Math.random());
      const { message } = error;
      policy.onRetry({ operation, attempt: retries + 1, maxRetries: policy.maxRetries, delayMs, message });
      await pause(delayMs, policy.signal);
    }
  }
}

/** Returns the wait before retry `retries + 1`, in milliseconds: it doubles each time, and `jitter` (0 to 1) sets its upper half. */
export function backoffMs(retries: number, jitter: number, firstDelayMs: number = FIRST_DELAY_MS): number {
  const full = Math.min(firstDelayMs * 2 ** retries, MAX_DELAY_MS);
  return Math.round(full / 2 + (full / 2) * jitter);
}

/**
 * What ClickHouse itself says against an operation, so that it would say so again; null for any other failure: one that may pass, and what
 * something in between responds, say nothing of the operation.
 */
export function refusalOfServer(error: unknown): ServerError | null {
  const cause = error instanceof OperationError ? error.cause : error;
  const isRefusal =
    cause instanceof ServerError && !(cause instanceof ForeignResponseError) && !isTransient(cause);
  return isRefusal ? cause : null;
}

/** Whether an operation failed for want of a right. */
export function isAccessDenied(error: unknown): boolean {
  return failedWith(error, ERROR_CODE.accessDenied);
}

/** Whether an operation failed since there is no such table. */
export function isUnknownTable(error: unknown): boolean {
  return failedWith(error, ERROR_CODE.unknownTable);
}

function failedWith(error: unknown, code: number): boolean {
  return error instanceof OperationError && error.cause instanceof ServerError && error.cause.code === code;
}
