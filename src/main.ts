import { availableParallelism } from "node:os";
import { keepFreedMemory } from "./bytes/allocator.ts";
import { runCli } from "./commands/cli.ts";
import { renderFailure } from "./commands/failure.ts";
import type { Host } from "./commands/host.ts";
import { ignoresHangup } from "./commands/ignored-signals.ts";
import { FIGURES_SIGNAL } from "./commands/stop-signals.ts";
import { isBuilt } from "./commands/version.ts";
import { EXIT_CODES, exitCodeOf, InterruptedError, type StopSignal } from "./errors.ts";
import { openOutput } from "./report/output.ts";
import { Secrets } from "./report/secrets.ts";

/** How long the end waits for a reader of stdout or stderr that does not read. */
const FLUSH_TIMEOUT_MS = 2_000;
/** How long the process waits to be ended by the signal that it has sent itself. */
const SIGNAL_TIMEOUT_MS = 1_000;

const cleaners: (() => void)[] = [];

const secrets = new Secrets();
const stderr = openOutput(process.stderr, secrets, () => {
  // There is no other place to report it.
});

// Its default would end a run; a run logs its figures.
process.on(FIGURES_SIGNAL, () => {});

const host: Host = {
  environment: process.env,
  workingDirectory: process.cwd(),
  stdout: openOutput(process.stdout, secrets, (error) =>
    stderr.write(`The output could not be written to stdout: ${error.message}\n`),
  ),
  stderr,
  secrets,
  signals: process,
  ignoresHangup: ignoresHangup(),
  // Compiled, a worker is found relative to the main module only; see Bun's documentation on standalone executables.
  workerUrl: new URL("./worker.ts", import.meta.url),
  cores: availableParallelism(),
  beforeRun: () => {
    if (isBuilt()) keepFreedMemory(process.env);
  },
  onExit: (clean) => {
    cleaners.push(clean);
  },
  showStacks: false,
  logFormat: "text",
};

process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);
runCli(process.argv.slice(2), host).then(() => exit(EXIT_CODES.done), fail);

async function fail(error: unknown): Promise<void> {
  host.stderr.write(renderFailure(error, host));
  await exit(exitCodeOf(error), error instanceof InterruptedError ? error.signal : null);
}

/** Ends the process, by `signal` where one has stopped it: shell loops and supervisors then see that, and stop as well. */
async function exit(code: number, signal: StopSignal | null = null): Promise<void> {
  await flush();
  for (const clean of cleaners) {
    try {
      clean();
    } catch (error) {
      host.stderr.write(renderFailure(error, host));
      await flush();
    }
  }
  if (signal !== null) {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    // The signal may be blocked, or come late.
    await new Promise((resolve) => setTimeout(resolve, SIGNAL_TIMEOUT_MS));
  }
  process.exit(code);
}

function flush(): Promise<unknown> {
  return Promise.race([
    // What fails on stdout is reported on stderr.
    host.stdout.settled().then(() => host.stderr.settled()),
    new Promise((resolve) => setTimeout(resolve, FLUSH_TIMEOUT_MS)),
  ]);
}
