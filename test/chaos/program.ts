import { readFileSync } from "node:fs";
import { compiledBinary } from "../support/binary.ts";
import { type CliOutcome, signalOf } from "../support/cli.ts";

/** How the program ended. `code` is null where a signal ended it. */
export interface ProgramOutcome extends CliOutcome {
  readonly timedOut: boolean;
}

/** The program, running. */
export interface Program {
  readonly pid: number;
  readonly outcome: Promise<ProgramOutcome>;
  /** Resolves to whether it was still alive to take the signal. */
  kill(signal: NodeJS.Signals): boolean;
}

/** Whatever happens to it, a run of a few thousand rows has ended by then, also on a busy machine. */
const END_TIMEOUT_MS = 600_000;

/** Starts the compiled program with its output in files, `<output>.stdout` and `<output>.stderr`. */
export async function startProgram(
  args: readonly string[],
  directory: string,
  output: string,
): Promise<Program> {
  const [stdout, stderr] = [`${output}.stdout`, `${output}.stderr`];
  const child = Bun.spawn([await compiledBinary(), ...args], {
    cwd: directory,
    env: { PATH: process.env["PATH"] ?? "" },
    stdio: ["ignore", Bun.file(stdout), Bun.file(stderr)],
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, END_TIMEOUT_MS);
  const outcome = child.exited.then(() => {
    clearTimeout(timer);
    return {
      code: child.exitCode,
      signal: signalOf(child),
      stdout: readFileSync(stdout, "utf8"),
      stderr: readFileSync(stderr, "utf8"),
      timedOut,
    };
  });
  const kill = (signal: NodeJS.Signals): boolean => {
    if (child.exitCode !== null || child.signalCode !== null) return false;
    child.kill(signal);
    return true;
  };
  return { pid: child.pid, outcome, kill };
}
