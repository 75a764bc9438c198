import { InterruptedError, type StopSignal } from "../errors.ts";

/** The signal that requests the current figures, as dd(1) takes it on Linux. */
export const FIGURES_SIGNAL = "SIGUSR1";

type Signal = StopSignal | typeof FIGURES_SIGNAL;

/** What a running command needs of the process to be stopped by signals; tests give their own. */
export interface SignalSource {
  on(signal: Signal, listener: () => void): unknown;
  off(signal: Signal, listener: () => void): unknown;
}

/** Two ways to stop: first gracefully, then at once. The reason of each is an `InterruptedError`. */
export interface StopSignals {
  /** Aborts at the first signal. */
  readonly graceful: AbortSignal;
  /** Aborts at the second one, or when the grace period is over. */
  readonly atOnce: AbortSignal;
  /** Stops as the signal does. */
  request(signal: StopSignal): void;
  dispose(): void;
}

/** How long batches in flight may take to finish after the first signal. */
export const GRACE_PERIOD_MS = 30_000;

/** The signals that stop a run. */
export const STOP_SIGNALS: readonly StopSignal[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Listens for the given signals until disposed of. `onFirst` is called with the first one. */
export function listenForStop(
  source: SignalSource,
  onFirst: (signal: StopSignal) => void,
  signals: readonly StopSignal[] = STOP_SIGNALS,
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
  const listeners = signals.map((signal) => [signal, () => receive(signal)] as const);
  for (const [signal, listener] of listeners) source.on(signal, listener);
  return {
    graceful: graceful.signal,
    atOnce: atOnce.signal,
    request: receive,
    dispose: () => {
      clearTimeout(timer);
      for (const [signal, listener] of listeners) source.off(signal, listener);
    },
  };
}
