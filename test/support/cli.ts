import { compiledBinary } from "./binary.ts";

/** How the program is started. Of this process's environment it gets PATH only. */
export interface CliOptions {
  readonly cwd: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** What the program did. `code` is null when a signal ended it. */
export interface CliOutcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running program. */
export interface RunningCli {
  readonly pid: number;
  readonly outcome: Promise<CliOutcome>;
  kill(signal: "SIGINT" | "SIGTERM" | "SIGKILL"): void;
}

/** Starts the compiled program. */
export async function startCli(args: readonly string[], options: CliOptions): Promise<RunningCli> {
  return startCommand([await compiledBinary(), ...args], options);
}

/** Runs the compiled program to its end. */
export async function runCli(args: readonly string[], options: CliOptions): Promise<CliOutcome> {
  return await (await startCli(args, options)).outcome;
}

/** Starts any command, as {@link startCli} does the program. */
export function startCommand(command: readonly string[], { cwd, environment }: CliOptions): RunningCli {
  const child = Bun.spawn([...command], {
    cwd,
    env: { PATH: process.env["PATH"] ?? "", ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const outcome = Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]).then(([stdout, stderr]) => ({ code: child.exitCode, stdout, stderr }));
  return { pid: child.pid, outcome, kill: (signal) => child.kill(signal) };
}

/** The log's entries, and below them the lines that tell why the program failed. */
export interface ReadStderr {
  readonly log: readonly string[];
  readonly failure: readonly string[];
}

const LOG_ENTRY = /^\d{4}-\d\d-\d\dT[\d:.]+Z (trace|debug|info |warn |error) /;

/** Takes stderr, not written to a terminal, apart. */
export function readStderr({ stderr }: CliOutcome): ReadStderr {
  const lines = stderr.split("\n").filter((line) => line !== "");
  const lastEntry = lines.findLastIndex((line) => LOG_ENTRY.test(line));
  return { log: lines.slice(0, lastEntry + 1), failure: lines.slice(lastEntry + 1) };
}

/** A figure of the final report. */
export function reportedCount({ stdout }: CliOutcome, label: string): number {
  const text = new RegExp(`^ *${label} +([\\d,]+)$`, "m").exec(stdout)?.[1];
  if (text === undefined) throw new Error(`The report has no ${JSON.stringify(label)}:\n${stdout}`);
  return Number(text.replaceAll(",", ""));
}
