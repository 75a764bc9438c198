import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { compiledBinary } from "../support/binary.ts";
import { type CliOutcome, startCommand } from "../support/cli.ts";
import { ONE_BY_ONE, OTHER_SIZES, Scenario } from "../support/cli-scenario.ts";
import { canMount, UNSHARED } from "../support/mounting.ts";

/** Runs the program in a shell's script as `"$@"`. */
async function runInShell(
  scenario: Scenario,
  script: string,
  shell: readonly string[] = ["bash"],
): Promise<CliOutcome> {
  const command = [...shell, "-c", script, "bash", await compiledBinary(), ...scenario.flags, ...ONE_BY_ONE];
  return await startCommand(command, { cwd: scenario.directory }).outcome;
}

async function expectDone(scenario: Scenario): Promise<void> {
  expect(scenario.checkpoint()).toMatchObject({ finished: true, rows_processed: scenario.fixture.events });
  expect(readdirSync(scenario.directory)).toHaveLength(1);
}

describe("a run goes on to its end", () => {
  test.concurrent.each([
    ["without streams", '"$@" <&- >&- 2>&-'],
    ["when nobody reads its report", '"$@" | head -n 0; exit $PIPESTATUS'],
    ["when nobody reads its log", '"$@" 2>&1 > /dev/null | head -n 0; exit $PIPESTATUS'],
    ["when the disk of its log is full", '"$@" 2> /dev/full'],
  ])("%s", async (_, script) => {
    await using scenario = await Scenario.open();
    expect(await runInShell(scenario, script)).toMatchObject({ code: 0 });
    await expectDone(scenario);
    await scenario.expectEvents("multiset");
  });
});

describe("a checkpoint that cannot be written ends the run with code 1, and the next one goes on:", () => {
  test.concurrent("at a limit, before any page is recorded", async () => {
    await using scenario = await Scenario.open();
    // Enough for the lock and not for a checkpoint.
    const failed = await runInShell(scenario, 'prlimit --fsize=500 "$@"');
    expect(failed).toMatchObject({ code: 1, stdout: "" });
    expect(failed.stderr).toMatch(/^The checkpoint .*\.json could not be written: EFBIG: /m);
    expect(readdirSync(scenario.directory)).toEqual([]);
    expect(await scenario.targetRows()).toBeGreaterThan(0);
    expect(await scenario.run(OTHER_SIZES)).toMatchObject({ code: 0 });
    await expectDone(scenario);
    await scenario.expectEvents("set");
  });

  test.concurrent.each(canMount() ? ["disk"] : [])("on a %s that fills up", async () => {
    await using scenario = await Scenario.open();
    // Two blocks: for the lock and one checkpoint, but not for the next one, which is written before the first is removed.
    const script = `mount -t tmpfs -o size=8k none . && cd "$PWD"
      "$@"; echo "code $?"; ls; mount -o remount,size=1m . && "$@"; echo "code $?"; ls`;
    const { stdout, stderr } = await runInShell(scenario, script, [...UNSHARED, "bash"]);
    expect(stderr).toMatch(/^The checkpoint .*\.json could not be written: ENOSPC: .*\nFree some space on /m);
    expect(stderr).toMatch(/ observations in the partition, \d+ done by earlier runs/);
    const state = `cursor_state_${scenario.fixture.partition}.json`;
    expect(stdout).toStartWith(`code 1\n${state}\nPartition ${scenario.fixture.partition} is done`);
    expect(stdout).toEndWith(`code 0\n${state}\n`);
    await scenario.expectEvents("set");
  });
});
