import { expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Ajv from "ajv/dist/2020.js";
import { eventsFullTable } from "../../scripts/testbed/schema.ts";
import { type CliOutcome, runCli } from "../support/cli.ts";
import { Scenario, SMALL } from "../support/cli-scenario.ts";

interface Plan {
  readonly months: readonly {
    readonly month: string;
    readonly observations: number;
    readonly traces: number;
    readonly target_rows: number;
    readonly checkpoint: string;
    readonly seconds: number;
    readonly memory_bytes: number;
  }[];
  readonly rows_per_second: number;
  readonly speed_from: string;
  readonly columns: {
    readonly filled: string[];
    readonly defaulted: string[];
    readonly left_out: string[];
  } | null;
  readonly projects: readonly { readonly rows: number }[] | null;
  readonly warnings: readonly string[];
  readonly command: string;
}

async function plan(scenario: Scenario, ...flags: readonly string[]): Promise<CliOutcome> {
  const given = new Set(["--partition", ...flags.map((flag) => flag.split("=", 1)[0])]);
  const connection = scenario.flags.filter((flag) => !given.has(flag.split("=", 1)[0]));
  return await runCli(["plan", ...connection, ...flags], { cwd: scenario.directory });
}

const isPlan = new Ajv({ strict: true, allowUnionTypes: true }).compile(
  JSON.parse(readFileSync(join(import.meta.dir, "../../docs/schemas/plan.schema.json"), "utf8")) as object,
);

function parsePlan(stdout: string): Plan {
  const document: unknown = JSON.parse(stdout);
  if (!isPlan(document)) throw new Error(JSON.stringify(isPlan.errors));
  return document as Plan;
}

test.concurrent("all months are listed with what the server has of them, and nothing is changed", async () => {
  await using scenario = await Scenario.open();
  const { server, database } = scenario.fixture;
  const outcome = await plan(scenario, "--json");
  expect(outcome).toMatchObject({ code: 0, stderr: "" });
  const document = parsePlan(outcome.stdout);
  const stored = await server.queryJson<{ month: string; rows: number }>(
    "SELECT _partition_id AS month, count() AS rows FROM observations GROUP BY month ORDER BY month DESC",
    { database },
  );
  const listed = document.months.filter(({ observations }) => observations > 0);
  expect(listed.map(({ month, observations }) => ({ month, rows: observations }))).toEqual(stored);
  for (const month of document.months) expect(month).toMatchObject({ target_rows: 0, checkpoint: "none" });
  expect(document.months.every(({ memory_bytes }) => memory_bytes > 200e6)).toBe(true);
  expect(document.speed_from).toBe("probe");
  expect(document.rows_per_second).toBeGreaterThan(0);
  const changes = scenario.proxy.requests.filter(
    ({ sql }) => !/^\s*(SELECT|WITH|DESCRIBE|SHOW|EXISTS)\b/i.test(sql),
  );
  expect(changes.map(({ sql }) => sql)).toEqual([]);
  expect(existsSync(scenario.checkpointPath)).toBe(false);
});

test.concurrent("one month is looked at in detail, and the command at the end does what is planned", async () => {
  await using scenario = await Scenario.open();
  const { partition } = scenario.fixture;
  const flags = [`--partition=${partition}`];
  const text = await plan(scenario, ...flags);
  expect(text).toMatchObject({ code: 0 });
  for (const line of [
    /^Columns: \d+ filled; /m,
    /^Largest projects:$/m,
    /^Engine: client, since /m,
    /^Time: /m,
  ]) {
    expect(text.stdout).toMatch(line);
  }
  const document = parsePlan((await plan(scenario, ...flags, "--json")).stdout);
  expect(document.columns?.filled).toContain("input");
  expect(document.columns?.defaulted).toContain("service_name");
  expect(document.projects?.length).toBeGreaterThan(0);
  expect(document.command).not.toContain("password");
  const command = document.command.split(" ").slice(1);
  const run = await runCli(
    [...command, `--clickhouse-password=${scenario.fixture.server.password}`, ...SMALL],
    {
      cwd: scenario.directory,
    },
  );
  expect(run).toMatchObject({ code: 0 });
  await scenario.expectEvents("multiset");
});

test.concurrent("the speed of an earlier run is taken from its checkpoint", async () => {
  await using scenario = await Scenario.open();
  expect(await scenario.run()).toMatchObject({ code: 0 });
  const checkpoint = JSON.parse(readFileSync(scenario.checkpointPath, "utf8")) as Record<string, unknown>;
  // A run of so few rows records none.
  expect(checkpoint["rows_per_second"]).toBeUndefined();
  writeFileSync(scenario.checkpointPath, JSON.stringify({ ...checkpoint, rows_per_second: 12_345 }));
  const document = parsePlan((await plan(scenario, "--json")).stdout);
  expect(document).toMatchObject({ speed_from: "record", rows_per_second: 12_345 });
  const finished = document.months.find(({ month }) => month === scenario.fixture.partition);
  expect(finished).toMatchObject({ checkpoint: "finished" });
  // Another trace window copies something else.
  const other = parsePlan((await plan(scenario, "--json", "--trace-window-days=3")).stdout);
  expect(other.speed_from).toBe("probe");
});

test.concurrent("what a run would be refused for is said", async () => {
  await using scenario = await Scenario.open();
  const missing = await plan(scenario, "--target-table=nowhere");
  expect(missing).toMatchObject({ code: 1, stdout: "" });
  expect(missing.stderr).toContain("nowhere");
  const empty = await plan(scenario, "--partition=199901");
  expect(empty).toMatchObject({ code: 1, stdout: "" });
  expect(empty.stderr).toMatch(/^observations has no observations of 199901\nIt has these months: \d{6}/m);
});

test.concurrent("what a flag lets a run go on with, it lets plan go on with, and the command keeps the flag", async () => {
  await using scenario = await Scenario.open();
  const { server, database } = scenario.fixture;
  await server.command(eventsFullTable("full_without_view", { mergesOff: true }), { database });
  const flags = ["--layout=v4", "--target-table=full_without_view"];
  const refused = await plan(scenario, ...flags);
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(refused.stderr).toContain("give --allow-missing-view");
  const outcome = await plan(scenario, ...flags, "--allow-missing-view", "--ignore-ttl", "--json");
  expect(outcome).toMatchObject({ code: 0 });
  const { warnings, command } = parsePlan(outcome.stdout);
  expect(warnings.join("\n")).toContain("no materialized view fills events_core");
  expect(command).toEndWith(" --ignore-ttl --allow-missing-view");
});
