import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readStderr, runCli } from "../support/cli.ts";
import { temporaryDirectory } from "../support/cli-directory.ts";
import { Scenario, SMALL } from "../support/cli-scenario.ts";
import { gatewayError } from "../support/fault-proxy-faults.ts";

let root = "";
beforeAll(() => {
  root = temporaryDirectory("clickhouse-backfill-e2e-");
});

describe("the binary", () => {
  test("prints its help and its version without any other files", async () => {
    const options = { cwd: "/tmp" };
    const help = await runCli(["--help"], options);
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout).toContain("--partition <MONTHS>");
    const { version } = (await Bun.file("package.json").json()) as { version: string };
    const printed = await runCli(["--version"], options);
    expect(printed).toMatchObject({ code: 0, stderr: "" });
    expect(printed.stdout).toMatch(
      new RegExp(`^clickhouse-backfill ${version.replaceAll(".", "\\.")} \\(\\w.*\\)\\n$`),
    );
  });

  test("runs no code that lies in the working directory", async () => {
    const cwd = mkdtempSync(join(root, "cwd-"));
    const trap = `require("node:fs").writeFileSync(${JSON.stringify(join(cwd, "sprung"))}, "");`;
    writeFileSync(join(cwd, "trap.js"), trap);
    writeFileSync(join(cwd, "trap.ts"), trap);
    writeFileSync(join(cwd, "bunfig.toml"), 'preload = ["./trap.js"]\n[test]\npreload = ["./trap.js"]\n');
    writeFileSync(join(cwd, "package.json"), '{ "name": "trap", "main": "trap.js", "type": "commonjs" }');
    writeFileSync(join(cwd, "tsconfig.json"), '{ "compilerOptions": { "paths": { "*": ["./trap.ts"] } } }');
    mkdirSync(join(cwd, "node_modules/citty"), { recursive: true });
    writeFileSync(join(cwd, "node_modules/citty/index.js"), trap);
    writeFileSync(join(cwd, ".env"), "PARTITION=202511\nCLICKHOUSE_URL=http://127.0.0.1:9\nMAX_RETRIES=0\n");
    const outcome = await runCli([], { cwd });
    expect(existsSync(join(cwd, "sprung"))).toBe(false);
    // Reaching for the server of .env shows that the program itself ran, and that it read the file.
    expect(outcome).toMatchObject({ code: 1, stdout: "" });
    expect(outcome.stderr).toStartWith("No ClickHouse server responds at http://127.0.0.1:9\n");
  });

  test("reads .env in the working directory, which the environment beats", async () => {
    await using scenario = await Scenario.open();
    const { server, database, events } = scenario.fixture;
    const env = [
      "PARTITION=203001",
      `CLICKHOUSE_URL='${scenario.proxy.url}'`,
      `CLICKHOUSE_USER=${server.user}`,
      `CLICKHOUSE_PASSWORD=${server.password}`,
      `CLICKHOUSE_DB=${database}`,
      `TARGET_TABLE=${scenario.target}`,
      "CURSOR_STATE_DIR=state",
      "LAYOUT=events",
    ];
    writeFileSync(join(scenario.directory, ".env"), env.join("\n"));
    const environment = { PARTITION: scenario.fixture.partition };
    const outcome = await runCli(["run", "--parallel-workers=1"], { cwd: scenario.directory, environment });
    expect(outcome).toMatchObject({ code: 0 });
    expect(readdirSync(join(scenario.directory, "state"))).toEqual([
      `cursor_state_${scenario.fixture.partition}.json`,
    ]);
    expect(await scenario.targetRows()).toBe(events);
  });
});

describe("what leaves no trace:", () => {
  test("a dry run reads everything and writes nothing", async () => {
    await using scenario = await Scenario.open();
    const outcome = await scenario.run([...SMALL, "--dry-run", "--cursor-state-dir=state"]);
    expect(outcome).toMatchObject({ code: 0 });
    expect(outcome.stdout).toStartWith(
      `Dry run of partition ${scenario.fixture.partition}: nothing was inserted`,
    );
    expect(outcome.stdout).toMatch(new RegExp(`Observations read +${scenario.fixture.events}\\n`));
    expect(scenario.proxy.count("page")).toBeGreaterThan(1);
    expect(scenario.proxy.count("insert")).toBe(0);
    expect(await scenario.targetRows()).toBe(0);
    expect(readdirSync(scenario.directory)).toEqual([]);
  });

  test("an empty partition is reported", async () => {
    await using scenario = await Scenario.open();
    const flags = scenario.flags.filter((flag) => !flag.startsWith("--partition="));
    const outcome = await runCli([...flags, "--partition=203001"], { cwd: scenario.directory });
    expect(outcome).toMatchObject({ code: 0 });
    // Which neighboring months have rows, and how many, depends on the seed.
    expect(outcome.stdout).toMatch(
      /^Nothing to do: partition 203001 of observations holds no observations\.\nobservations has rows of \d months?:\n(?: {2}2025\d\d {2}\d+\n)*? {2}202511 {2}\d+\n(?: {2}2025\d\d {2}\d+\n)*$/,
    );
    expect(readdirSync(scenario.directory)).toEqual([]);
  });
});

describe("output", () => {
  test("consists of lines without control characters where there is no terminal", async () => {
    await using scenario = await Scenario.open();
    scenario.proxy.on({ on: "insert" }, gatewayError(503));
    const outcome = await scenario.run();
    expect(outcome).toMatchObject({ code: 0 });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(outcome.stdout + outcome.stderr).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f]/);
    const { log, failure } = readStderr(outcome);
    expect(failure).toEqual([]);
    expect(log.some((line) => line.includes(`info  ${scenario.fixture.partition} observations: `))).toBe(
      true,
    );
    expect(log.some((line) => / warn {2}Inserting .*: retry 1 of 3 in .*503/.test(line))).toBe(true);
  });
});
