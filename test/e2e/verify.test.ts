import { beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventsFullTable } from "../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../scripts/testbed/server.ts";
import { type CliOutcome, reportedCount, runCli, startCli } from "../support/cli.ts";
import { temporaryDirectory } from "../support/cli-directory.ts";
import { reached } from "../support/cli-scenario.ts";
import { makeDatasetRuns } from "../support/data/dataset-runs.ts";
import { FaultProxy } from "../support/fault-proxy.ts";
import { serverError } from "../support/fault-proxy-faults.ts";
import { chooseSeed, generateDataset } from "../support/generate.ts";

const PARTITION = "202511";
const seed = chooseSeed();

let server: TestServer;
let database: string;
let cwd: string;

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("e2e_verify");
  await generateDataset(server, { database, seed, observations: 160, traces: 50, largeInputs: 0 });
  await makeDatasetRuns(server, { database, seed, chainSpans: 10 });
  await server.command(eventsFullTable("events_full", { mergesOff: true }), { database });
  cwd = temporaryDirectory("clickhouse-backfill-verify-");
  const outcome = await runCli(flags(["--allow-missing-view"]), { cwd });
  expect(outcome).toMatchObject({ code: 0 });
});

/** What `more` gives beats the rest. */
function flags(more: readonly string[], url = server.url): string[] {
  const common = [
    `--partition=${PARTITION}`,
    `--clickhouse-url=${url}`,
    `--clickhouse-user=${server.user}`,
    `--clickhouse-password=${server.password}`,
    `--clickhouse-db=${database}`,
    "--target-table=events_full",
  ];
  const isGiven = (flag: string): boolean => more.some((other) => other.split("=")[0] === flag.split("=")[0]);
  return [...common.filter((flag) => !isGiven(flag)), ...more];
}

/** Comparisons with a state directory of their own: of several in one only the first keeps its state. */
let comparisons = 0;

function verify(...more: string[]): Promise<CliOutcome> {
  const directory = `state-${++comparisons}`;
  return runCli(["verify", ...flags([...more, `--cursor-state-dir=${directory}`])], { cwd });
}

/** A copy of the target with a difference of each kind. */
async function tamperedTarget(name: string): Promise<void> {
  await server.command(`CREATE TABLE ${name} AS events_full`, { database });
  await server.command(`INSERT INTO ${name} SELECT * FROM events_full`, { database });
  const plain =
    "(project_id, trace_id) NOT IN (SELECT project_id, trace_id FROM dataset_run_items_rmt FINAL)";
  // Its id is no other row's, of a dataset run or another month.
  const victim = `SELECT span_id FROM events_full FINAL GROUP BY span_id
    HAVING count() = 1 AND countIf(${plain} AND toYYYYMM(start_time) = ${PARTITION}) = 1
    ORDER BY cityHash64(span_id)`;
  await server.command(
    `ALTER TABLE ${name} DELETE WHERE span_id IN (SELECT span_id FROM (${victim} LIMIT 2))`,
    { database, settings: { mutations_sync: 2 } },
  );
  await server.command(
    `INSERT INTO ${name} SELECT * REPLACE ('tampered' AS output) FROM events_full FINAL
      WHERE span_id IN (SELECT span_id FROM (${victim} LIMIT 1 OFFSET 2))`,
    { database },
  );
  await server.command(
    `INSERT INTO ${name} SELECT * REPLACE ('invented' AS span_id) FROM events_full FINAL
      WHERE ${plain} AND toYYYYMM(start_time) = ${PARTITION} LIMIT 1`,
    { database },
  );
}

describe(`verify, seed ${seed}`, () => {
  test.concurrent("ends with code 0 and says what was compared where nothing differs", async () => {
    const outcome = await verify();
    expect(outcome).toMatchObject({ code: 0 });
    expect(outcome.stdout).toStartWith(
      `Partition ${PARTITION}: events_full is the same as its sources, in every column that a run fills.\n`,
    );
    const rows = reportedCount(outcome, "  Rows expected");
    expect(rows).toBeGreaterThan(150);
    expect(reportedCount(outcome, "  Rows in events_full")).toBe(rows);
    expect(reportedCount(outcome, "  Missing rows")).toBe(0);
    expect(outcome.stdout).toContain("the server computes it (calculated_input_cost");
    // Neither a lock nor the state of the comparison is left.
    expect(readdirSync(join(cwd, "state-1"))).toEqual([]);
  });

  test.concurrent("ends with code 4 and shows the rows that differ", async () => {
    await tamperedTarget("tampered");
    const report = join(cwd, "differences.jsonl");
    const outcome = await verify("--target-table=tampered", `--report=${report}`, "--examples=1");
    expect(outcome).toMatchObject({ code: 4 });
    expect(outcome.stderr).not.toContain("warn");
    expect(outcome.stderr).toEndWith(
      "tampered differs from its sources: 2 missing, 1 unexpected, 1 differing\n",
    );
    expect(outcome.stdout).toMatch(/^Missing rows, 1 of 2:\n {2}project_id ".*\nUnexpected rows:$/m);
    expect(outcome.stdout).toMatch(/^Differing rows:\n {2}project_id ".*": output$/m);
    expect(outcome.stdout).toMatch(/^Unexpected rows:\n {2}project_id ".*span_id "invented", start_time "/m);
    const lines = readFileSync(report, "utf8").trimEnd().split("\n");
    const ranges = lines.map((line) => JSON.parse(line) as Record<string, string | number>);
    expect(ranges.reduce((sum, range) => sum + Number(range["missing"] ?? 0), 0)).toBe(2);
    for (const range of ranges) {
      expect(range["partition"]).toBe(PARTITION);
      expect(range["day"]).toMatch(/^2025-1[0-2]-\d\d$/);
      expect(Buffer.from(String(range["project_hex"]), "hex").toString()).toBe(String(range["project"]));
    }
  });

  test.concurrent("prints JSON, of keys and versions alone with --quick", async () => {
    const { stdout } = await verify("--json", "--quick");
    expect(JSON.parse(stdout)).toMatchObject({
      partition: PARTITION,
      layout: "v4",
      equal: true,
      quick: true,
      missing: 0,
      examples: [],
      columns: ["project_id", "trace_id", "span_id", "start_time", "event_ts"],
    });
  });

  test.concurrent("compares nothing where there is nothing, and never calls that equal", async () => {
    const outcome = await verify("--partition=203001");
    expect(outcome).toMatchObject({ code: 1, stdout: "" });
    expect(outcome.stderr).toContain(
      "Nothing was compared: neither the sources nor events_full hold rows of partition 203001\n",
    );
  });

  test.concurrent("tries again what passes, and ends with code 1 where it does not", async () => {
    const proxy = await FaultProxy.start(server.url);
    await using _ = { [Symbol.asyncDispose]: () => proxy.close() };
    const memory = serverError(500, 241, "Memory limit exceeded", "MEMORY_LIMIT_EXCEEDED");
    const rule = proxy.on({ on: /sipHash128/, nth: 2, times: 1 }, memory);
    const outcome = await runCli(["verify", ...flags([], proxy.url)], { cwd });
    expect(outcome).toMatchObject({ code: 0 });
    expect(rule.applied).toBe(1);
    expect(outcome.stderr).toContain(": retry 1 of 3 in ");
    proxy.on(
      { on: /sipHash128/, nth: "every" },
      serverError(500, 497, "Not enough privileges", "ACCESS_DENIED"),
    );
    const failed = await runCli(["verify", ...flags(["--max-retries=0"], proxy.url)], { cwd });
    expect(failed).toMatchObject({ code: 1, stdout: "" });
    expect(failed.stderr).toContain("Not enough privileges");
  });

  test.concurrent("ends by Ctrl-C", async () => {
    const proxy = await FaultProxy.start(server.url);
    await using _ = { [Symbol.asyncDispose]: () => proxy.close() };
    const hold = proxy.on({ on: /sipHash128/, nth: 1 }, { kind: "hold", at: "response" });
    const running = await startCli(["verify", ...flags([], proxy.url)], { cwd });
    await reached(hold, running);
    running.kill("SIGINT");
    expect(await running.outcome).toMatchObject({ code: 130, stdout: "" });
  });

  test.concurrent("refuses what it does not take", async () => {
    for (const [flag, message] of [
      ["--batch-size=5", "--batch-size is an option of run and repair: verify does not take it\n"],
      ["--examples=x", '--examples "x": expected a whole number'],
      [`--report=${cwd}`, `--report "${cwd}": expected a file that can be written`],
    ] as const) {
      const outcome = await verify(flag);
      expect(outcome).toMatchObject({ code: 2, stdout: "" });
      expect(outcome.stderr).toStartWith(message);
    }
  });
});

describe(`repair, seed ${seed}`, () => {
  /** Each in a state directory of its own: of one month and directory there is one at a time. */
  const repair = (...more: string[]): Promise<CliOutcome> =>
    runCli(["repair", ...flags([...more, "--cursor-state-dir=."])], {
      cwd: temporaryDirectory("clickhouse-backfill-repair-"),
    });
  const partsOf = async (target: string): Promise<string[]> =>
    (
      await server.queryJson<{ name: string }>(
        "SELECT name FROM system.parts WHERE active AND database = {database:String} AND table = {target:String}",
        { params: { database, target } },
      )
    ).map(({ name }) => name);

  test("copies what differs, deletes nothing and leaves other parts as they are", async () => {
    await tamperedTarget("repaired");
    const before = await partsOf("repaired");
    const report = `--report=${join(cwd, "repaired.jsonl")}`;
    expect(await verify("--target-table=repaired", report)).toMatchObject({ code: 4 });
    const dry = await repair("--target-table=repaired", "--dry-run", report);
    expect(dry).toMatchObject({ code: 0 });
    expect(dry.stdout).toMatch(/^Would copy \d parts of partition 202511 again:\n {2}project ".*, 2025-11-/);
    expect(await partsOf("repaired")).toEqual(before);
    const outcome = await repair("--target-table=repaired", "--allow-missing-view", report);
    expect(outcome).toMatchObject({ code: 4 });
    expect(outcome.stderr).toEndWith("repaired still differs from its sources: 1 unexpected\n");
    expect(await partsOf("repaired")).toEqual(expect.arrayContaining(before));
    const [statement = ""] = /^ {2}DELETE FROM .*$/m.exec(outcome.stdout) ?? [];
    await server.command(
      statement.replace("DELETE FROM", "ALTER TABLE").replace(" WHERE ", " DELETE WHERE "),
      {
        database,
        settings: { mutations_sync: 2 },
      },
    );
    // Without a report it compares the month first.
    expect(await repair("--target-table=repaired")).toMatchObject({
      code: 0,
      stdout: "Nothing to repair: no part of partition 202511 differs.\n",
    });
  });

  test("copies the parts that a report names, experiments among them", async () => {
    await server.command("CREATE TABLE half AS events_full", { database });
    await server.command("INSERT INTO half SELECT * FROM events_full WHERE cityHash64(span_id) % 2 = 0", {
      database,
    });
    const report = `--report=${join(cwd, "half.jsonl")}`;
    expect(await verify("--target-table=half", "--quick", report)).toMatchObject({ code: 4 });
    expect(readFileSync(join(cwd, "half.jsonl"), "utf8")).toContain('"phase":"experiments"');
    const outcome = await repair("--target-table=half", report, "--allow-missing-view");
    expect(outcome).toMatchObject({ code: 0 });
    const shown = (table: string): Promise<string> =>
      server.query(`SELECT count() FROM ${table} FINAL WHERE toYYYYMM(start_time) = ${PARTITION}`, {
        database,
      });
    expect(await shown("half")).toBe(await shown("events_full"));
  });

  test("refuses a report that is none, or of another month", async () => {
    const path = join(cwd, "odd.jsonl");
    for (const [text, message] of [
      ["{}\n", "line 1: "],
      [
        `${JSON.stringify({ partition: "202510", phase: "month", project_hex: "41", day: "2025-10-01" })}\n`,
        "line 1 is of partition 202510, not of 202511",
      ],
    ] as const) {
      await Bun.write(path, text);
      const outcome = await repair(`--report=${path}`);
      expect(outcome).toMatchObject({ code: 2, stdout: "" });
      expect(outcome.stderr).toStartWith(`--report "${path}": expected a report of verify: ${message}`);
    }
  });
});
