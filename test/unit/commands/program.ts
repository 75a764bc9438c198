import { join } from "node:path";

const ROOT = join(import.meta.dir, "../../..");
const PRELOAD = join(import.meta.dir, "replace-backfill.ts");

/** How the program is started. */
export interface ProgramOptions {
  readonly cwd: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** What the program did. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line that runs the program from source, with the fake core and without Bun's own reading of `.env`. */
export function programCommand(args: readonly string[]): string[] {
  return [process.execPath, "--no-env-file", "--preload", PRELOAD, join(ROOT, "src/main.ts"), ...args];
}

/** The environment of a started program: nothing of ours but what it needs to start. */
export function programEnvironment(environment: ProgramOptions["environment"]): Record<string, string> {
  return { PATH: process.env["PATH"] ?? "", ...environment };
}

export function startProgram(args: readonly string[], { cwd, environment }: ProgramOptions) {
  return Bun.spawn(programCommand(args), {
    cwd,
    env: programEnvironment(environment),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** Runs the program to its end. */
export async function runProgram(args: readonly string[], options: ProgramOptions): Promise<Outcome> {
  return await outcomeOf(startProgram(args, options));
}

/** Runs a command, with `"$@"` in the shell's script, which connects its streams. */
export async function runInShell(
  script: string,
  command: readonly string[],
  { cwd, environment }: ProgramOptions,
): Promise<Outcome> {
  const child = Bun.spawn(["bash", "-c", script, "bash", ...command], {
    cwd,
    env: programEnvironment(environment),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  return await outcomeOf(child);
}

async function outcomeOf(child: Bun.ReadableSubprocess): Promise<Outcome> {
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}
