import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  COMMANDS,
  type CommandSpec,
  OPTION_COMMANDS,
  SHELLS,
  type Shell,
} from "../../../src/commands/commands.ts";
import { completionScript } from "../../../src/commands/completion.ts";
import { OPTION_LIST, takesOption } from "../../../src/config/options.ts";
import { temporaryDirectory } from "../../support/cli-directory.ts";
import { checkSyntax, completionsOf } from "../../support/shell-completion.ts";
import { runProgram } from "./program.ts";

const FLAGS = OPTION_LIST.flatMap(([, { flag }]) => (flag === null ? [] : [`--${flag}`]));
const GENERAL = ["--help", "--version"];

let cwd = "";
const scripts = {} as Record<Shell, { path: string; cwd: string }>;
beforeAll(() => {
  cwd = temporaryDirectory("clickhouse-backfill-completion-");
  mkdirSync(join(cwd, "state one/inner"), { recursive: true });
  mkdirSync(join(cwd, "states"));
  writeFileSync(join(cwd, "stated.txt"), "");
  for (const shell of SHELLS) {
    // zsh's compinit knows a script by its name.
    scripts[shell] = { path: join(cwd, `_${shell}`), cwd };
    writeFileSync(scripts[shell].path, completionScript(shell));
  }
});

test.each([...SHELLS])("`completion %s` prints the script", async (shell) => {
  expect(await runProgram(["completion", shell], { cwd })).toEqual({
    code: 0,
    stdout: completionScript(shell),
    stderr: "",
  });
});

test("an unknown shell ends with code 2 and one line", async () => {
  expect(await runProgram(["completion", "tcsh"], { cwd })).toEqual({
    code: 2,
    stdout: "",
    stderr: 'unknown shell "tcsh": expected bash, zsh or fish\n',
  });
});

test.each([...SHELLS])("the script of %s has every flag and command, and no other flag", (shell) => {
  const script = completionScript(shell);
  const flags =
    shell === "fish"
      ? script.matchAll(/^complete .* -l ([a-z][a-z-]+)/gm)
      : script.matchAll(/--([a-z][a-z-]+)/g);
  const names = new Set(Array.from(flags, ([, name]) => `--${name}`));
  expect([...names].sort()).toEqual([...FLAGS, ...GENERAL].sort());
  for (const { name, takes } of COMMANDS as readonly CommandSpec[]) {
    for (const word of [name, ...(typeof takes === "object" ? takes.words : [])]) {
      expect(script).toMatch(new RegExp(`\\b${word}\\b`));
    }
  }
  if (shell === "bash") return;
  for (const [, { flag, description }] of OPTION_LIST) {
    if (flag !== null) expect(script.replaceAll("\\", "")).toContain(description);
  }
});

const isInstalled = (shell: Shell): boolean => Bun.which(shell) !== null;

// bash is always there. Without zsh and fish the text is all that can be looked at; the title in the report then says so.
describe.each(SHELLS.filter(isInstalled))("in %s", (shell) => {
  const offered = (line: string): Promise<string[]> => completionsOf(shell, scripts[shell], line);
  const withoutShort = async (line: string): Promise<string[]> =>
    (await offered(line)).filter((word) => !/^-\w$/.test(word));

  test("the syntax is right", async () => {
    await checkSyntax(shell, scripts[shell]);
  });

  test.each([
    ["--par", ["--parallel-workers", "--partition"]],
    ["run --par", ["--parallel-workers", "--partition"]],
    ["--partition 202511 --dr", ["--dry-run"]],
    ["--partition=202511 --dr", ["--dry-run"]],
    ["--dry-run --clickhouse-d", ["--clickhouse-db"]],
    ["comp", ["completion"]],
    ["completion ", [...SHELLS].sort()],
    ["completion f", ["fish"]],
    ["completion bash f", []],
    ["completion bash --par", []],
    ["verify --par", ["--parallel-workers", "--partition"]],
    ["verify --dr", []],
    ["verify --q", ["--quick"]],
    ["man --par", []],
    ["man --v", ["--version"]],
    ["--partition ", []],
    ["--clickhouse-user ma", []],
    ["run comp", []],
  ])("%j", async (line, expected) => {
    expect(await offered(line)).toEqual(expected);
  });

  test("all flags of a command are offered", async () => {
    for (const command of OPTION_COMMANDS) {
      const own = OPTION_LIST.flatMap(([, spec]) =>
        spec.flag !== null && takesOption(command, spec) ? [`--${spec.flag}`] : [],
      );
      expect(await withoutShort(`${command} --`)).toEqual([...own, ...GENERAL].sort());
    }
  });

  test("all commands are offered where one may stand", async () => {
    const names: readonly string[] = COMMANDS.map(({ name }) => name);
    expect((await offered("")).filter((word) => !word.startsWith("-"))).toEqual([...names].sort());
  });

  test("directories are offered, and files where a file is meant", async () => {
    for (const separator of [" ", "="]) {
      const plain = async (line: string): Promise<string[]> =>
        (await offered(`${line}${separator}stat`)).map((word) =>
          word.replace(/^--[a-z-]+=|\/$/g, "").replaceAll(/\\|\/$/g, ""),
        );
      expect(await plain("--cursor-state-dir")).toEqual(["state one", "states"]);
      expect(await plain("--clickhouse-password-file")).toEqual(["state one", "stated.txt", "states"]);
    }
  });
});

describe.each(SHELLS.filter((shell) => !isInstalled(shell)))("%s is not installed", (shell) => {
  test("so only its script's text is checked, above", () => {
    expect(completionScript(shell)).not.toBe("");
  });
});

describe("only bash", () => {
  test.each([
    ["--partition=202511 --par", ["--parallel-workers"]],
    ["--dry-run --d", ["--dataset-run-items-table"]],
    ["--dry-run=", ["false", "true"]],
    ["--dry-run=t", ["true"]],
    ["--dry-run --cursor-state-dir=states/../states --dr", []],
  ])("%j", async (line, expected) => {
    expect(await completionsOf("bash", scripts.bash, line)).toEqual(expected);
  });
});
