/** The run failed: server, network or data. The message names the operation, the table, the key range and the server's own error. */
export class RunError extends Error {
  override readonly name: string = "RunError";
}

/** The command line or the configuration is wrong. The message is one line that names the option, the value and what is accepted. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}

/** The checkpoint or its lock forbids this run. The message names the difference and what to do. */
export class CheckpointError extends Error {
  override readonly name: string = "CheckpointError";
}

/** A verification found differences. The message says how many, of what kind. */
export class DifferencesError extends Error {
  override readonly name: string = "DifferencesError";
}

/** The signals that end a run gracefully. */
export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

const STOPPED: Readonly<Record<StopSignal, string>> = {
  SIGINT: "Interrupted",
  SIGTERM: "Terminated",
  SIGHUP: "Hung up",
};

/** The run was stopped by a signal; what is finished is in the checkpoint. */
export class InterruptedError extends Error {
  override readonly name: string = "InterruptedError";
  readonly signal: StopSignal;

  constructor(signal: StopSignal) {
    super(STOPPED[signal]);
    this.signal = signal;
  }
}

/** Exit codes as documented in docs/reference.md; scripts rely on them. */
export const EXIT_CODES = {
  done: 0,
  failed: 1,
  usage: 2,
  checkpoint: 3,
  differences: 4,
  sighup: 129,
  sigint: 130,
  sigterm: 143,
} as const;

/** What a shell says of a program that a signal has ended. */
const CODE_OF_SIGNAL: Readonly<Record<StopSignal, number>> = {
  SIGINT: EXIT_CODES.sigint,
  SIGTERM: EXIT_CODES.sigterm,
  SIGHUP: EXIT_CODES.sighup,
};

/** The exit code that an error ends the program with; anything unforeseen counts as a failed run. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT_CODES.usage;
  if (error instanceof CheckpointError) return EXIT_CODES.checkpoint;
  if (error instanceof DifferencesError) return EXIT_CODES.differences;
  if (error instanceof InterruptedError) return CODE_OF_SIGNAL[error.signal];
  return EXIT_CODES.failed;
}
