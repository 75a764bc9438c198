import { describe, expect, test } from "bun:test";
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Ajv from "ajv/dist/2020.js";
import { expectSameRows } from "../../scripts/testbed/compare.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import { compiledBinary } from "../support/binary.ts";
import { type CliOutcome, type RunningCli, runCli, startCommand } from "../support/cli.ts";
import { ONE_BY_ONE, Scenario, SMALL, sharedFixture } from "../support/cli-scenario.ts";
import { boundByPermissions } from "../support/mounting.ts";
import { writeReference } from "../support/reference.ts";

const SCHEMAS = join(import.meta.dir, "../../docs/schemas");

/** The months that the shared fixture has rows of, the newest first, and the events that they must yield together. */
interface AllMonths {
  readonly months: readonly string[];
  readonly expected: string;
}

/** Each month is one page. */
const PAGE_A_MONTH = ["--parallel-workers=1"];

let allMonths: Promise<AllMonths> | undefined;

function monthsOfFixture(): Promise<AllMonths> {
  allMonths ??= (async () => {
    const { server, database, partition } = await sharedFixture();
    // A month without traces of its own; the generated data has one neighbour with observations.
    await server.command(
      `INSERT INTO observations SELECT * REPLACE(addMonths(start_time, -3) AS start_time, concat('old-', id) AS id)
        FROM observations FINAL WHERE _partition_id = {partition:String} AND isValidUTF8(id) ORDER BY id LIMIT 90`,
      { database, params: { partition } },
    );
    const rows = await server.queryJson<{ month: string }>(
      "SELECT DISTINCT _partition_id AS month FROM observations ORDER BY month DESC",
      { database },
    );
    const months = rows.map(({ month }) => month);
    const tables: string[] = [];
    for (const partition of months) {
      const table = `expected_${partition}`;
      await writeReference(server, { database, partition, target: "events" }, table);
      tables.push(table);
    }
    const expected = "expected_of_all_months";
    const parts = tables.map((table) => `SELECT * FROM ${identifier(table)}`).join(" UNION ALL ");
    await server.command(`CREATE TABLE ${expected} AS ${identifier(tables[0] ?? "")}`, { database });
    await server.command(`INSERT INTO ${expected} ${parts}`, { database });
    return { months, expected };
  })();
  return allMonths;
}

/** Runs another command on the state directory of a scenario. */
async function beside(scenario: Scenario, ...args: readonly string[]): Promise<CliOutcome> {
  return await runCli(args, { cwd: scenario.directory });
}

async function expectAllMonths(scenario: Scenario, mode: "multiset" | "set"): Promise<void> {
  const { server, database } = scenario.fixture;
  const { expected } = await monthsOfFixture();
  await expectSameRows(server, { database, actual: scenario.arrived, expected }, mode);
}

/** The flags of a scenario, for other months. */
function flagsFor(partition: string, flags: readonly string[] = SMALL): string[] {
  return [...flags, "--layout=events", `--partition=${partition}`];
}

async function startMonths(
  scenario: Scenario,
  partition: string,
  flags?: readonly string[],
): Promise<RunningCli> {
  const own = scenario.flags.filter(
    (flag) => !flag.startsWith("--partition") && !flag.startsWith("--layout"),
  );
  return startCommand([await compiledBinary(), ...own, ...flagsFor(partition, flags)], {
    cwd: scenario.directory,
  });
}

/** Runs the months to their end. */
async function runMonths(
  scenario: Scenario,
  partition: string,
  flags?: readonly string[],
): Promise<CliOutcome> {
  return await (await startMonths(scenario, partition, flags)).outcome;
}

describe("several months", () => {
  test.concurrent("are copied newest first, and a second run finds them finished", async () => {
    await using scenario = await Scenario.open();
    const { months } = await monthsOfFixture();
    expect(months.length).toBeGreaterThanOrEqual(3);
    const outcome = await runMonths(scenario, "all");
    expect(outcome).toMatchObject({ code: 0 });
    const rows = outcome.stdout.split("\n").slice(1, -1);
    expect(rows.map((row) => row.split(/ {2,}/).slice(0, 2))).toEqual(months.map((month) => [month, "done"]));
    await expectAllMonths(scenario, "multiset");
    const again = await runMonths(scenario, "all");
    expect(again.stdout.match(/finished before/g)).toHaveLength(months.length);
    await expectAllMonths(scenario, "multiset");
  });

  test.concurrent("go on after kill -9 in the second one", async () => {
    await using scenario = await Scenario.open();
    const { months } = await monthsOfFixture();
    const range = `${months.at(-1)}..${months[0]}`;
    const hold = scenario.proxy.on({ on: "page", nth: 2 }, { kind: "hold", at: "request" });
    const running = await startMonths(scenario, range, PAGE_A_MONTH);
    await hold.reached;
    running.kill("SIGKILL");
    await running.outcome;
    hold.release();
    scenario.proxy.reset();
    const status = await beside(scenario, "status");
    expect(status.stdout).toStartWith("No run is live here.\n");
    expect(status.stdout).toMatch(/ finished /);
    expect(status.stdout).toMatch(new RegExp(` interrupted .* ${running.pid} on \\S+`));
    expect(await runMonths(scenario, range)).toMatchObject({ code: 0 });
    await expectAllMonths(scenario, "set");
  });

  test.concurrent("end with the first that fails, unless they are to go on", async () => {
    await using scenario = await Scenario.open();
    const [newest = "", second = "", ...others] = (await monthsOfFixture()).months;
    const checkpoint = join(scenario.directory, `cursor_state_${second}.json`);
    writeFileSync(checkpoint, "{");
    const ended = await runMonths(scenario, "all");
    expect(ended).toMatchObject({ code: 3 });
    expect(ended.stderr).toContain(`cursor_state_${second}.json is corrupt`);
    expect(
      ended.stdout
        .split("\n")
        .slice(1, -1)
        .map((row) => row.split(/ {2,}/).slice(0, 2).join(" ")),
    ).toEqual([`${newest} done`, `${second} failed`, ...others.map((month) => `${month} not begun`)]);
    const wentOn = await runMonths(scenario, "all", [...SMALL, "--keep-going"]);
    expect(wentOn).toMatchObject({ code: 3 });
    for (const month of others) expect(wentOn.stdout).toMatch(new RegExp(`${month} +done`));
    rmSync(checkpoint);
    expect(await runMonths(scenario, "all", [...SMALL, "--oldest-first"])).toMatchObject({ code: 0 });
    await expectAllMonths(scenario, "multiset");
  });

  test.concurrent("all stop with Ctrl-C in the second one, and go on later", async () => {
    await using scenario = await Scenario.open();
    const [newest = "", second = "", third = ""] = (await monthsOfFixture()).months;
    const hold = scenario.proxy.on({ on: "page", nth: 2 }, { kind: "hold", at: "request" });
    const list = [third, second, newest].join(",");
    const running = await startMonths(scenario, list, PAGE_A_MONTH);
    await hold.reached;
    running.kill("SIGINT");
    const outcome = await running.outcome;
    expect(outcome).toMatchObject({ signal: "SIGINT" });
    expect(outcome.stdout).toMatch(
      new RegExp(`${newest} +done[^]*${second} +stopped[^]*${third} +not begun`),
    );
    hold.release();
    scenario.proxy.reset();
    expect(await runMonths(scenario, list)).toMatchObject({ code: 0 });
  });
});

describe("a run is steered from another terminal", () => {
  for (const [engine, flags, first] of [
    ["client", ONE_BY_ONE, "page"],
    ["server", ["--engine=server", "--insert-rows=60", "--parallel-workers=1"], "insert"],
  ] as const) {
    test.concurrent(`pause, resume, rate and workers, with the engine ${engine}`, async () => {
      await using scenario = await Scenario.open();
      const held = scenario.proxy.on({ on: first, nth: 2 }, { kind: "hold", at: "request" });
      const running = await scenario.startUntil(held, flags);
      expect(await beside(scenario, "control", "pause")).toMatchObject({
        code: 0,
        stdout: expect.stringContaining(`Process ${running.pid}: the run is paused`),
      });
      held.release();
      // What is in flight ends; then nothing moves.
      await Bun.sleep(1_500);
      const arrived = await scenario.targetRows();
      await Bun.sleep(1_000);
      expect(await scenario.targetRows()).toBe(arrived);
      expect(arrived).toBeLessThan(scenario.fixture.events);
      const status = await beside(scenario, "status");
      expect(status.stdout).toContain("state      paused: by the operator");
      expect(await beside(scenario, "control", "set", "rate=5000rows")).toMatchObject({ code: 0 });
      expect(await beside(scenario, "control", "set", "workers=3")).toMatchObject({ code: 0 });
      expect(await scenario.targetRows()).toBe(arrived);
      expect(await beside(scenario, "control", "resume")).toMatchObject({
        stdout: `Process ${running.pid}: the run goes on.\n`,
      });
      const outcome = await running.outcome;
      expect(outcome).toMatchObject({ code: 0 });
      for (const line of [
        "Control: pause",
        "Paused: by the operator",
        "Control: set rate=5000rows",
        "3 workers",
      ]) {
        expect(outcome.stderr).toContain(line);
      }
      await scenario.expectEvents("multiset");
      expect(readdirSync(scenario.directory).filter((name) => name.endsWith(".sock"))).toEqual([]);
    });

    test.concurrent(`stop, with the engine ${engine}`, async () => {
      await using scenario = await Scenario.open();
      const held = scenario.proxy.on({ on: first, nth: 2 }, { kind: "hold", at: "request" });
      const running = await scenario.startUntil(held, flags);
      expect(
        await beside(scenario, "control", "stop", `--partition=${scenario.fixture.partition}`),
      ).toMatchObject({
        code: 0,
      });
      held.release();
      expect(await running.outcome).toMatchObject({ signal: "SIGTERM" });
      expect(await scenario.run()).toMatchObject({ code: 0 });
      await scenario.expectEvents("set");
    });
  }

  test.concurrent("a pause ends the INSERT that is open, and what it holds is kept", async () => {
    await using scenario = await Scenario.open();
    // One INSERT for everything, open while the third page is waited for.
    const flags = ["--stream-block-size=60", "--batch-size=25", "--parallel-workers=1"];
    const held = scenario.proxy.on({ on: "page", nth: 3 }, { kind: "hold", at: "request" });
    const running = await scenario.startUntil(held, flags);
    expect(await scenario.targetRows()).toBe(0);
    await beside(scenario, "control", "pause");
    for (let waits = 0; waits < 20 && (await scenario.targetRows()) === 0; waits++) await Bun.sleep(100);
    expect(await scenario.targetRows()).toBeGreaterThan(0);
    expect(scenario.checkpoint()?.rows_processed).toBeGreaterThan(0);
    held.release();
    await beside(scenario, "control", "resume");
    expect(await running.outcome).toMatchObject({ code: 0 });
    await scenario.expectEvents("multiset");
  });

  test.concurrent("orders without a run, or that mean nothing, are refused by name", async () => {
    await using scenario = await Scenario.open();
    const nobody = await beside(scenario, "control", "pause");
    expect(nobody).toMatchObject({ code: 1, stdout: "" });
    expect(nobody.stderr).toStartWith("No live run uses the state directory .\n");
    expect(await beside(scenario, "control", "set", "workers=none")).toMatchObject({
      code: 2,
      stderr: 'control: set workers="none": expected a whole number from 1 to 256\n',
    });
    expect(await beside(scenario, "status")).toMatchObject({
      code: 0,
      stdout: ". has no checkpoints, and no run uses it.\n",
    });
  });

  test.concurrent("another user can neither look at it nor steer it", async () => {
    await using scenario = await Scenario.open();
    const held = scenario.proxy.on({ on: "page", nth: 2 }, { kind: "hold", at: "request" });
    const running = await scenario.startUntil(held, ONE_BY_ONE);
    const [socket = ""] = readdirSync(scenario.directory).filter((name) => name.endsWith(".sock"));
    // What the mode means to others, for a test that is the same user, and root.
    chmodSync(join(scenario.directory, socket), 0o000);
    const command = [...boundByPermissions(), await compiledBinary(), "control", "pause"];
    const outcome = await startCommand(command, { cwd: scenario.directory }).outcome;
    expect(outcome).toMatchObject({ code: 1 });
    expect(outcome.stderr).toContain(`The run at ${socket} belongs to another user`);
    held.release();
    expect(await running.outcome).toMatchObject({ code: 0 });
  });
});

describe("the server's load", () => {
  test.concurrent("a run waits while --pause-when returns 1, and says so", async () => {
    await using scenario = await Scenario.open();
    const running = await scenario.start([...SMALL, "--pause-when=SELECT count() >= 0 FROM system.one"]);
    for (let waits = 0; waits < 100; waits++) {
      const { stdout } = await beside(scenario, "status");
      if (stdout.includes("paused: the query of --pause-when returns 1")) break;
      await Bun.sleep(100);
    }
    expect(await scenario.targetRows()).toBe(0);
    expect(await beside(scenario, "control", "resume")).toMatchObject({
      stdout: expect.stringContaining("the run is still paused: the query of --pause-when returns 1"),
    });
    running.kill("SIGTERM");
    expect(await running.outcome).toMatchObject({ signal: "SIGTERM" });
    expect(await scenario.run([...SMALL, "--pause-when=SELECT 0;"])).toMatchObject({ code: 0 });
    await scenario.expectEvents("multiset");
  });

  test.concurrent("a run keeps to --max-rate, and says so", async () => {
    await using scenario = await Scenario.open();
    const outcome = await scenario.run([...SMALL, "--max-rate=2MB"]);
    expect(outcome).toMatchObject({ code: 0 });
    expect(outcome.stderr).toContain("info  Running, at most 2MB a second\n");
    await scenario.expectEvents("multiset");
    const refused = await scenario.run([...SMALL, "--max-rate=fast"]);
    expect(refused).toMatchObject({ code: 2 });
  });

  test.concurrent("a query of --pause-when that fails ends the run before it begins", async () => {
    await using scenario = await Scenario.open();
    const outcome = await scenario.run([...SMALL, "--pause-when=SELECT nonsense"]);
    expect(outcome).toMatchObject({ code: 1 });
    expect(outcome.stderr).toContain("Running the query of --pause-when: Code: 47. ");
    expect(await scenario.targetRows()).toBe(0);
  });
});

describe("output for programs", () => {
  const ajv = new Ajv({ strict: true, allowUnionTypes: true });
  const validator = (name: string) =>
    ajv.compile(JSON.parse(readFileSync(join(SCHEMAS, `${name}.schema.json`), "utf8")) as object);
  const [isLogLine, isReport, isStatus] = [validator("log"), validator("report"), validator("status")];

  function expectLogLines(stderr: string): { event: string }[] {
    const lines = stderr
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { event: string });
    for (const line of lines) {
      if (!isLogLine(line)) throw new Error(`${JSON.stringify(line)}: ${JSON.stringify(isLogLine.errors)}`);
    }
    return lines;
  }

  test.concurrent("each line of the log is an object, and so is the report", async () => {
    await using scenario = await Scenario.open();
    scenario.proxy.on({ on: "page", nth: 2 }, { kind: "reset", at: "response" });
    const held = scenario.proxy.on({ on: "page", nth: 4 }, { kind: "hold", at: "request" });
    const summary = join(scenario.directory, "summary.json");
    const running = await startMonths(scenario, "all", [
      ...ONE_BY_ONE,
      "--log-format=json",
      `--summary-file=${summary}`,
    ]);
    await held.reached;
    const status = await beside(scenario, "status", "--json");
    const document: unknown = JSON.parse(status.stdout);
    if (!isStatus(document)) throw new Error(JSON.stringify(isStatus.errors));
    expect(document).toMatchObject({ runs: [{ pid: running.pid, progress: { retries: 1 } }] });
    await beside(scenario, "control", "pause");
    await beside(scenario, "control", "resume");
    held.release();
    const outcome = await running.outcome;
    expect(outcome).toMatchObject({ code: 0 });
    const events = new Set(expectLogLines(outcome.stderr).map(({ event }) => event));
    for (const event of [
      "connected",
      "months",
      "month",
      "month-ended",
      "planned",
      "progress",
      "retry",
      "control",
      "throttle",
    ]) {
      expect([...events]).toContain(event);
    }
    expect(outcome.stdout).toBe(readFileSync(summary, "utf8"));
    const report: unknown = JSON.parse(outcome.stdout);
    if (!isReport(report)) throw new Error(JSON.stringify(isReport.errors));
    expect(report).toMatchObject({ outcome: "done", not_begun: [], totals: { retries: 1 } });
    await expectAllMonths(scenario, "multiset");
  });

  test.concurrent("a failure is an object as well, and the summary says so", async () => {
    await using scenario = await Scenario.open();
    writeFileSync(scenario.checkpointPath, "{");
    const summary = join(scenario.directory, "summary.json");
    const outcome = await scenario.run([...SMALL, "--log-format=json", `--summary-file=${summary}`]);
    expect(outcome).toMatchObject({ code: 3 });
    expect(expectLogLines(outcome.stderr).at(-1)).toMatchObject({ event: "failed", exit_code: 3 });
    const report: unknown = JSON.parse(readFileSync(summary, "utf8"));
    if (!isReport(report)) throw new Error(JSON.stringify(isReport.errors));
    expect(report).toMatchObject({ outcome: "failed", months: [{ outcome: "failed" }] });
  });

  test.concurrent("--quiet prints nothing of a run that goes well", async () => {
    await using scenario = await Scenario.open();
    expect(await scenario.run([...SMALL, "--quiet"])).toMatchObject({ code: 0, stdout: "", stderr: "" });
    await scenario.expectEvents("multiset");
  });

  test.concurrent("a summary that cannot be written is known before the run", async () => {
    await using scenario = await Scenario.open();
    const outcome = await scenario.run([...SMALL, "--summary-file=none/summary.json"]);
    expect(outcome).toMatchObject({ code: 2 });
    expect(outcome.stderr).toStartWith(
      '--summary-file "none/summary.json": expected a file that can be written',
    );
    expect(await scenario.targetRows()).toBe(0);
  });
});
