import { describe, expect, test } from "bun:test";
import { readArgv } from "../../../src/commands/argv.ts";
import { UsageError } from "../../../src/errors.ts";
import { messageOf } from "../config/settings.ts";

const run = (...args: string[]) => ({ kind: "command", name: "run", args, words: [] as string[] }) as const;
const help = (command: "run" | "control" | null = null) => ({ kind: "help", command }) as const;

test.each([
  [[], run()],
  [["run"], run()],
  [["--partition", "202501"], run("--partition=202501")],
  [["run", "--partition", "202501"], run("--partition=202501")],
  [["--partition=202501"], run("--partition=202501")],
  [["--clickhouse-password="], run("--clickhouse-password=")],
  [["--clickhouse-password", ""], run("--clickhouse-password=")],
  [["--clickhouse-password=a=b --no-x"], run("--clickhouse-password=a=b --no-x")],
  [["--clickhouse-password=--dry-run"], run("--clickhouse-password=--dry-run")],
  [["--clickhouse-password", "-p"], run("--clickhouse-password=-p")],
  [["--clickhouse-user", "run"], run("--clickhouse-user=run")],
  [["--batch-size", "-5"], run("--batch-size=-5")],
  [["--dry-run"], run("--dry-run=true")],
  [["--no-dry-run"], run("--dry-run=false")],
  [["--dry-run=false"], run("--dry-run=false")],
  [["--dry-run=perhaps"], run("--dry-run=perhaps")],
  [["--dry-run", "--partition", "1"], run("--dry-run=true", "--partition=1")],
  [["-h"], help()],
  [["--help"], help()],
  [["--partition", "202501", "--help"], help()],
  [["run", "--partition", "202501", "--help"], help("run")],
  [["help"], help()],
  [["help", "run"], help("run")],
  [["help", "control"], help("control")],
  [["help", "man"], help()],
  [["--version"], { kind: "version" }],
  [["-V"], { kind: "version" }],
  [["run", "-V"], { kind: "version" }],
  [["version"], { kind: "version" }],
  [
    ["control", "set", "rate=5MB", "--partition=202501"],
    { kind: "command", name: "control", args: ["--partition=202501"], words: ["set", "rate=5MB"] },
  ],
  [["control"], { kind: "command", name: "control", args: [], words: [] }],
  [["completion", "bash"], { kind: "completion", shell: "bash" }],
  [["completion", "fish"], { kind: "completion", shell: "fish" }],
  [["completion", "--help"], help()],
  [["completion", "bash", "--version"], { kind: "version" }],
  [["man"], { kind: "man" }],
  [["man", "-h"], help()],
  [["--clickhouse-user", "man"], run("--clickhouse-user=man")],
] as const)("%j", (argv, expected) => {
  expect(readArgv(argv)).toEqual(expected);
});

describe("one line names what is wrong", () => {
  test.each<[string[], string]>([
    [["--partitoin", "202501"], 'unknown option "--partitoin": did you mean --partition?'],
    [["--dry"], 'unknown option "--dry": did you mean --dry-run?'],
    [["--batchsize=5"], 'unknown option "--batchsize": did you mean --batch-size?'],
    [["--frobnicate"], 'unknown option "--frobnicate": see --help'],
    [["--no-partition"], 'unknown option "--no-partition": did you mean --partition?'],
    [["--no-dry-run=true"], 'unknown option "--no-dry-run": did you mean --dry-run?'],
    [["--batchSize", "5"], 'unknown option "--batchSize": did you mean --batch-size?'],
    [["--PARTITION", "5"], 'unknown option "--PARTITION": see --help'],
    [["--"], 'unknown option "--": see --help'],
    [["--=x"], 'unknown option "--": see --help'],
    [["-p", "202501"], 'unknown option "-p": see --help'],
    [["--partition"], "--partition has no value: expected --partition <MONTHS>"],
    [
      ["--partition", "--dry-run"],
      "--partition has no value: expected --partition <MONTHS> (a value that begins with a dash is written --partition=…)",
    ],
    [
      ["--clickhouse-user", "-h"],
      "--clickhouse-user has no value: expected --clickhouse-user <USER> (a value",
    ],
    [["--partition", "202501", "--partition=202502"], "--partition is given twice: expected once"],
    [["--dry-run", "--no-dry-run"], "--dry-run is given twice: expected once"],
    [
      ["rum", "--partition", "1"],
      'unknown command "rum": expected run, verify, repair, plan, status, control, completion, man, help, version or options, did you mean run?',
    ],
    [
      ["202501"],
      'unknown command "202501": expected run, verify, repair, plan, status, control, completion, man, help, version or options; see --help',
    ],
    [["verify", "--batch-size=5"], "--batch-size is an option of run and repair: verify does not take it"],
    [["--quick"], "--quick is an option of verify: run does not take it"],
    [["verify", "--no-dry-run"], "--dry-run is an option of run and repair: verify does not take it"],
    [["verify", "--dry"], 'unknown option "--dry": see --help'],
    [["run", "202501"], 'unexpected argument "202501": expected options only'],
    [["run", "run"], 'unexpected argument "run": expected options only'],
    [["--partition", "202501", "run"], 'unexpected argument "run": expected options only'],
    [
      ["--dry-run", "false"],
      'unexpected argument "false": expected options only; a switch takes its value as --dry-run=true or =false',
    ],
    [["completion"], "completion has no shell: expected bash, zsh or fish"],
    [["completion", "tcsh"], 'unknown shell "tcsh": expected bash, zsh or fish'],
    [["completion", "Bash"], 'unknown shell "Bash": expected bash, zsh or fish'],
    [["completion", "bash", "zsh"], 'unexpected argument "zsh": see --help'],
    [["completion", "--partition=1", "bash"], 'unexpected option "--partition": completion takes none'],
    [["completion", "-ptopsecret"], 'unexpected option "-p": completion takes none'],
    [["man", "run"], 'unexpected argument "run": see --help'],
    [["man", "--partition", "1"], 'unexpected option "--partition": man takes none'],
    [["--partition", "1", "man"], 'unexpected argument "man": expected options only'],
    [["--partition", "1", "a\nb"], 'unexpected argument "a\\nb": expected options only'],
  ])("%j", (argv, message) => {
    expect(() => readArgv(argv)).toThrow(UsageError);
    expect(messageOf(() => readArgv(argv))).toStartWith(message);
    expect(messageOf(() => readArgv(argv))).not.toContain("\n");
  });

  test.each([
    [["--clickhouse-passwrod=topsecret"]],
    [["--clickhouse-passwrod", "topsecret"]],
    [["--clickhouse-password", "--topsecret"]],
    [["--clickhouse-password", "my", "topsecret"]],
    [["--clickhouse-password=my", "topsecret"]],
    [["--partition", "-ptopsecret"]],
    [["--clickhouse-passwordtopsecret"]],
    [["completion", "--clickhouse-passwordtopsecret"]],
    [["run", "http://user:topsecret@host"]],
    [["--dry-run", "http://host/?password=topsecret"]],
    [["--dry-run", "user:topsecret@host"]],
    [["-ptopsecret"]],
    [["-p=topsecret"]],
    [["--clickhouse-password=x", "--clickhouse-password=topsecret"]],
  ])("and never the password: %j", (argv) => {
    expect(messageOf(() => readArgv(argv))).not.toContain("topsecret");
  });
});
