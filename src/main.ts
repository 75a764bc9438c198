import { availableParallelism } from "node:os";
import { keepFreedMemory } from "./allocator.ts";
import { runCli } from "./commands/cli.ts";
import { renderFailure } from "./commands/failure.ts";
import type { Host } from "./commands/host.ts";
import { isBuilt } from "./commands/version.ts";
import { EXIT_CODES, exitCodeOf } from "./errors.ts";
import { openOutput } from "./report/output.ts";
import { Secrets } from "./report/secrets.ts";

/** How long the end waits for a reader of stdout or stderr that does not read. */
const FLUSH_TIMEOUT_MS = 2_000;

const cleaners: (() => void)[] = [];

const secrets = new Secrets();
const stderr = openOutput(process.stderr, secrets, () => {
  // There is no other place to tell it.
});

const host: Host = {
  environment: process.env,
  workingDirectory: process.cwd(),
  stdout: openOutput(process.stdout, secrets, (error) =>
    stderr.write(`The output could not be written to stdout: ${error.message}\n`),
  ),
  stderr,
  secrets,
  signals: process,
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
};

process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);
runCli(process.argv.slice(2), host).then(() => exit(EXIT_CODES.done), fail);

async function fail(error: unknown): Promise<void> {
  host.stderr.write(renderFailure(error, host.showStacks));
  await exit(exitCodeOf(error));
}

async function exit(code: number): Promise<void> {
  await flush();
  for (const clean of cleaners) {
    try {
      clean();
    } catch (error) {
      host.stderr.write(renderFailure(error, host.showStacks));
      await flush();
    }
  }
  process.exit(code);
}

function flush(): Promise<unknown> {
  return Promise.race([
    // What fails on stdout is told on stderr.
    host.stdout.settled().then(() => host.stderr.settled()),
    new Promise((resolve) => setTimeout(resolve, FLUSH_TIMEOUT_MS)),
  ]);
}
