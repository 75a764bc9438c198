import { join } from "node:path";
import type { Shell } from "../../src/commands/commands.ts";

/** The file with a shell's completion script, and where relative paths are completed. */
export interface CompletionScript {
  readonly path: string;
  readonly cwd: string;
}

const PROGRAM = "clickhouse-backfill";
const ZSH_CAPTURE = join(import.meta.dir, "shell-completion.zsh");

/** Calls the completion function as readline does, with the words that it makes of the line. */
const BASH_CAPTURE = `
source "$1" || exit
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_clickhouse_backfill
printf '%s\\n' "\${COMPREPLY[@]}"
`;

/**
 * What the real shell offers behind `clickhouse-backfill <line>`, sorted; `line` ends where the cursor stands.
 * Throws when the shell complains.
 */
export async function completionsOf(shell: Shell, script: CompletionScript, line: string): Promise<string[]> {
  const text = `${PROGRAM} ${line}`;
  const output = await outputOf(commandOf(shell, script.path, text), script.cwd);
  const lines = output.split(/\r?\n/);
  const offered =
    shell === "zsh"
      ? lines.flatMap((each) => each.match(/MATCH (.*)/)?.slice(1) ?? [])
      : lines.map((each) => each.split("\t", 1)[0] ?? "");
  return [...new Set(offered.filter((each) => each !== ""))].sort();
}

/** Throws with the shell's words when it finds the script's syntax wrong. */
export async function checkSyntax(shell: Shell, { path, cwd }: CompletionScript): Promise<void> {
  await outputOf([shell, shell === "fish" ? "--no-execute" : "-n", path], cwd);
}

function commandOf(shell: Shell, path: string, text: string): string[] {
  switch (shell) {
    case "bash":
      return ["bash", "--norc", "--noprofile", "-c", BASH_CAPTURE, "bash", path, ...readlineWords(text)];
    case "zsh":
      return ["zsh", "-f", ZSH_CAPTURE, path, text];
    case "fish":
      return ["fish", "--no-config", "-c", 'source $argv[1]; complete -C "$argv[2]"', path, text];
  }
}

/** Readline breaks at "=" too, which is in bash's COMP_WORDBREAKS. */
function readlineWords(text: string): string[] {
  const words = text.match(/=|[^\s=]+/g) ?? [];
  return text.endsWith(" ") ? [...words, ""] : words;
}

async function outputOf(command: readonly string[], cwd: string): Promise<string> {
  const child = Bun.spawn([...command], {
    cwd,
    env: { PATH: process.env["PATH"] ?? "", HOME: cwd, TERM: "dumb" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0 || stderr !== "") {
    throw new Error(`${command[0]} ended with code ${code}:\n${stderr}${stdout}`);
  }
  return stdout;
}
