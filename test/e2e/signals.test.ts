import { expect, test } from "bun:test";
import { compiledBinary } from "../support/binary.ts";
import { startCommand } from "../support/cli.ts";
import { ONE_BY_ONE, reached, Scenario } from "../support/cli-scenario.ts";

/** Quotes a word for a shell. */
function word(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

async function heldAtPage(scenario: Scenario): Promise<ReturnType<Scenario["proxy"]["on"]>> {
  return scenario.proxy.on({ on: "page", nth: 3 }, { kind: "hold", at: "request" });
}

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "a run that %s has stopped ends by that signal, with its checkpoint written",
  async (signal) => {
    await using scenario = await Scenario.open();
    const running = await scenario.startUntil(await heldAtPage(scenario), ONE_BY_ONE);
    running.kill(signal);
    const outcome = await running.outcome;
    expect(outcome).toMatchObject({ signal, stdout: "" });
    expect(outcome.stderr).toContain(`${signal}: no new pages are begun`);
    expect(scenario.checkpoint()?.rows_processed).toBeGreaterThan(0);
    expect(await Bun.file(scenario.lockPath).exists()).toBe(false);
  },
);

test("Ctrl-C ends a shell's loop over months, and not the month alone", async () => {
  await using scenario = await Scenario.open();
  const held = await heldAtPage(scenario);
  const command = [await compiledBinary(), ...scenario.flags, ...ONE_BY_ONE].map(word).join(" ");
  const loop = `for month in 1 2; do ${command}; echo "the loop goes on"; done`;
  const shell = startCommand(["setsid", "bash", "-c", loop], { cwd: scenario.directory });
  await reached(held, shell);
  // A terminal sends it to the whole foreground group.
  process.kill(-shell.pid, "SIGINT");
  expect(await shell.outcome).toMatchObject({ signal: "SIGINT", stdout: "" });
  expect(scenario.checkpoint()?.finished).toBe(false);
});

test("a run under nohup goes on when its terminal is closed", async () => {
  await using scenario = await Scenario.open();
  const held = await heldAtPage(scenario);
  const command = ["nohup", await compiledBinary(), ...scenario.flags, ...ONE_BY_ONE];
  const running = startCommand(command, { cwd: scenario.directory });
  await reached(held, running);
  running.kill("SIGHUP");
  held.release();
  expect(await running.outcome).toMatchObject({ code: 0 });
  await scenario.expectEvents("multiset");
});

test("SIGUSR1 logs the figures of the moment, and the run goes on", async () => {
  await using scenario = await Scenario.open();
  const first = scenario.proxy.on({ on: /FROM system\.settings/ }, { kind: "hold", at: "request" });
  const held = await heldAtPage(scenario);
  const running = await scenario.startUntil(first, ONE_BY_ONE);
  running.kill("SIGUSR1");
  await Bun.sleep(100);
  first.release();
  await reached(held, running);
  running.kill("SIGUSR1");
  await Bun.sleep(100);
  held.release();
  const outcome = await running.outcome;
  expect(outcome).toMatchObject({ code: 0 });
  expect(outcome.stderr).toContain("Nothing is copied yet: the run is starting");
  expect(outcome.stderr).toMatch(/observations: [1-9]\d* of \d+, /);
  await scenario.expectEvents("multiset");
});
