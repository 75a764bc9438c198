import { InterruptedError, type StopSignal } from "../errors.ts";

/** What a running command needs of the process to be stopped by signals; tests give their own. */
export interface SignalSource {
  on(signal: StopSignal, listener: () => void): unknown;
  off(signal: StopSignal, listener: () => void): unknown;
}

/** Two ways to stop: first gracefully, then at once. The reason of each is an `InterruptedError`. */
export interface StopSignals {
  /** Aborts at the first signal. */
  readonly graceful: AbortSignal;
  /** Aborts at the second one, or when the grace period is over. */
  readonly atOnce: AbortSignal;
  dispose(): void;
}

/** How long batches in flight may take to finish after the first signal. */
export const GRACE_PERIOD_MS = 30_000;

/** Listens for SIGINT and SIGTERM until disposed of. `onFirst` is told of the first one. */
export function listenForStop(
  source: SignalSource,
  onFirst: (signal: StopSignal) => void,
  gracePeriodMs: number = GRACE_PERIOD_MS,
): StopSignals {
  const graceful = new AbortController();
  const atOnce = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;

  const receive = (signal: StopSignal): void => {
    const reason = new InterruptedError(signal);
    if (graceful.signal.aborted) {
      atOnce.abort(reason);
      return;
    }
    timer = setTimeout(() => atOnce.abort(reason), gracePeriodMs);
    onFirst(signal);
    graceful.abort(reason);
  };
  const onInterrupt = (): void => receive("SIGINT");
  const onTerminate = (): void => receive("SIGTERM");
  source.on("SIGINT", onInterrupt);
  source.on("SIGTERM", onTerminate);
  return {
    graceful: graceful.signal,
    atOnce: atOnce.signal,
    dispose: () => {
      clearTimeout(timer);
      source.off("SIGINT", onInterrupt);
      source.off("SIGTERM", onTerminate);
    },
  };
}

/** Settles as `work` does, or rejects with the signal's reason as soon as it aborts. */
export async function unlessAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
