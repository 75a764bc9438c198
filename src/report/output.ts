import type { Secrets } from "./secrets.ts";

/** One of the process's output streams, for code that does not care whether anybody still reads it. */
export interface Output {
  readonly isTTY: boolean;
  /** Width in columns, read at each call since terminals are resized. */
  columns(): number;
  write(text: string): void;
  /** Resolves when everything written has left the process, or can't. */
  settled(): Promise<void>;
}

const DEFAULT_COLUMNS = 80;

/**
 * Wraps a stream so that a closed pipe silences it instead of ending the run: a backfill goes on when the reader of its
 * log dies. Without an error listener Bun ends the process at the first write into a closed pipe.
 * Secrets are left out. `onFailure` is called once, for what nobody chose: a full disk, say, and not a reader that has gone.
 */
export function openOutput(
  stream: NodeJS.WriteStream,
  secrets: Secrets,
  onFailure: (error: Error) => void,
): Output {
  let broken = false;
  let last: Promise<void> = Promise.resolve();
  const fail = (error: NodeJS.ErrnoException): void => {
    if (!broken && error.code !== "EPIPE") onFailure(error);
    broken = true;
  };
  stream.on("error", fail);
  return {
    isTTY: stream.isTTY === true,
    columns: () => stream.columns || DEFAULT_COLUMNS,
    write: (text) => {
      if (broken || text === "") return;
      // The callback of an empty write comes before earlier data has left, so each write is waited for by its own.
      last = new Promise((resolve) => {
        stream.write(secrets.redact(text), (error) => {
          // The event comes later, when the process may have ended.
          if (error) fail(error);
          resolve();
        });
      });
    },
    settled: () => last,
  };
}
