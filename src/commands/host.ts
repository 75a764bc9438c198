import type { Output } from "../report/output.ts";
import type { Secrets } from "../report/secrets.ts";
import type { SignalSource } from "./stop-signals.ts";

/** What a command sees of the process it runs in. */
export interface Host {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Absolute; `.env` is looked for here. */
  readonly workingDirectory: string;
  readonly stdout: Output;
  readonly stderr: Output;
  /** What neither of them writes. */
  readonly secrets: Secrets;
  readonly signals: SignalSource;
  /** The process was started with SIGHUP ignored, as nohup does it: closing the terminal must not stop it. */
  readonly ignoresHangup: boolean;
  /** Entry point of the page workers. */
  readonly workerUrl: URL;
  /** Processors that the process may use. */
  readonly cores: number;
  /** Called before a run begins anything; may restart the process. */
  beforeRun(): void;
  /** Runs `clean` as the last thing before the process exits by itself. */
  onExit(clean: () => void): void;
  /** Whether a failure is reported with its stack. */
  showStacks: boolean;
  /** How failures are reported, and everything else on stderr. */
  logFormat: "text" | "json";
}
