import { constants } from "node:os";
import { compiledBinary } from "./binary.ts";

/** How the program is started. Of this process's environment it gets PATH only, and what makes short runs cheap. */
export interface CliOptions {
  readonly cwd: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Spares a short run a third of its CPU: that of optimizing code that hardly runs, and of starting itself anew with the allocator's setting.
 * The demo, the runs that are killed at random and the tests of releases do without.
 */
const SHORT_RUN = { BUN_JSC_useDFGJIT: "0", MIMALLOC_PURGE_DELAY: "250" };

/** What the program did. */
export interface CliOutcome {
  /** As a shell sees it, where a signal that stops the program has ended it; null where another one has. */
  readonly code: number | null;
  /** The signal that has ended it. */
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running program. */
export interface RunningCli {
  readonly pid: number;
  readonly outcome: Promise<CliOutcome>;
  kill(signal: NodeJS.Signals): void;
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
    env: { PATH: process.env["PATH"] ?? "", ...SHORT_RUN, ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const outcome = Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]).then(([stdout, stderr]) => {
    const signal = signalOf(child);
    return { code: child.exitCode ?? shellCodeOf(signal), signal, stdout, stderr };
  });
  return { pid: child.pid, outcome, kill: (signal) => child.kill(signal) };
}

/** The signal that has ended a process; null: none. */
export function signalOf({ signalCode }: Pick<Bun.Subprocess, "signalCode">): NodeJS.Signals | null {
  if (typeof signalCode === "number") throw new Error(`Signal ${signalCode} has no name`);
  return signalCode;
}

function shellCodeOf(signal: NodeJS.Signals | null): number | null {
  if (signal !== "SIGINT" && signal !== "SIGTERM" && signal !== "SIGHUP") return null;
  return 128 + constants.signals[signal];
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
