import { type ArgsDef, type CommandDef, defineCommand, runCommand } from "citty";
import type { OptionCommand } from "../config/option-spec.ts";
import { OPTION_LIST, takesOption } from "../config/options.ts";
import { readArgv } from "./argv.ts";
import type { Host } from "./host.ts";
import { PROGRAM, version, versionLine } from "./version.ts";

/**
 * Runs the command that the arguments (without runtime and script) name. Its modules are imported when it runs, so that `--help` and
 * a wrong flag respond without loading the ClickHouse client.
 * @throws the error that decides the exit code; see `exitCodeOf`.
 */
export async function runCli(argv: readonly string[], host: Host): Promise<void> {
  const invocation = readArgv(argv);
  switch (invocation.kind) {
    case "help": {
      const { helpText } = await import("./help.ts");
      return host.stdout.write(helpText(invocation.command));
    }
    case "version":
      return host.stdout.write(`${versionLine()}\n`);
    case "completion": {
      const { completionScript } = await import("./completion.ts");
      return host.stdout.write(completionScript(invocation.shell));
    }
    case "man": {
      const { manualPage } = await import("./man.ts");
      return host.stdout.write(manualPage(version()));
    }
    case "command":
      await runCommand(rootCommand(host), {
        rawArgs: [invocation.name, ...invocation.args, ...invocation.words],
      });
  }
}

function rootCommand(host: Host): CommandDef {
  const run = optionCommand("run", async (flags) => {
    host.beforeRun();
    const { run } = await import("./run.ts");
    await run(flags, host);
  });
  const verify = optionCommand("verify", async (flags) => {
    const { verifyCommand } = await import("./verify.ts");
    await verifyCommand(flags, host);
  });
  const repair = optionCommand("repair", async (flags) => {
    host.beforeRun();
    const { repairCommand } = await import("./repair.ts");
    await repairCommand(flags, host);
  });
  const plan = optionCommand("plan", async (flags) => {
    const { planCommand } = await import("./plan.ts");
    await planCommand(flags, host);
  });
  const status = optionCommand("status", async (flags) => {
    const { statusCommand } = await import("./status.ts");
    await statusCommand(flags, host);
  });
  const control = optionCommand("control", async (flags, words) => {
    const { controlCommand } = await import("./control.ts");
    await controlCommand(flags, words, host);
  });
  const subCommands = { run, verify, repair, plan, status, control };
  return defineCommand({ meta: { name: PROGRAM }, subCommands });
}

function optionCommand(
  name: OptionCommand,
  run: (flags: ReadonlyMap<string, string>, words: readonly string[]) => Promise<void>,
): CommandDef {
  return defineCommand({
    meta: { name },
    args: optionArgs(name),
    run: async ({ args }) => await run(flagsOf(args), args._),
  });
}

/** All strings: citty reads any value of a boolean but `false` as true, and has no say in defaults. */
function optionArgs(command: OptionCommand): ArgsDef {
  return Object.fromEntries(
    OPTION_LIST.flatMap(([, spec]) =>
      spec.flag === null || !takesOption(command, spec)
        ? []
        : [[spec.flag, { type: "string", description: spec.description }]],
    ),
  );
}

function flagsOf(args: Readonly<Record<string, unknown>>): Map<string, string> {
  const flags = new Map<string, string>();
  for (const [, { flag }] of OPTION_LIST) {
    const value = flag === null ? undefined : args[flag];
    if (flag !== null && typeof value === "string") flags.set(flag, value);
  }
  return flags;
}
