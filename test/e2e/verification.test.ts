import { describe, expect, test } from "bun:test";
import { identifier } from "../../src/clickhouse/sql.ts";
import { type CliOutcome, readStderr, reportedCount } from "../support/cli.ts";
import { ONE_BY_ONE, OTHER_SIZES, Scenario } from "../support/cli-scenario.ts";
import { type Fault, serverError } from "../support/fault-proxy-faults.ts";
import type { Match } from "../support/fault-proxy-rules.ts";

/** The query that counts the source at the end. */
const COUNT: Match = { on: /countIf\(/ };
/** A response that is whole and says that a page has no rows. */
const NO_ROWS: Fault = { kind: "edit", body: () => Buffer.alloc(0) };

/** A copy of the shared observations that a test may change. */
class Source {
  readonly #scenario: Scenario;
  readonly name: string;

  private constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.name = `observations_of_${scenario.target}`;
  }

  static async make(scenario: Scenario): Promise<Source> {
    const source = new Source(scenario);
    await source.command(`CREATE TABLE ${identifier(source.name)} AS observations`);
    // Without old versions: of ties the one counts that was inserted last, and this does not keep that order.
    await source.command(
      `INSERT INTO ${identifier(source.name)} SELECT * FROM observations FINAL
       WHERE _partition_id = '${scenario.fixture.partition}'`,
    );
    return source;
  }

  get flags(): string[] {
    return [`--source-table=${this.name}`];
  }

  async command(sql: string): Promise<void> {
    const { server, database } = this.#scenario.fixture;
    await server.command(sql, { database });
  }

  /** Writes versions of the first `rows` observations, as they are but for what `changes` replace. */
  async write(rows: number, changes: string): Promise<void> {
    const table = identifier(this.name);
    await this.command(
      `INSERT INTO ${table} SELECT * REPLACE (${changes}) FROM ${table} FINAL
       WHERE _partition_id = '${this.#scenario.fixture.partition}'
       ORDER BY project_id, type, toDate(start_time), id LIMIT ${rows}`,
    );
  }
}

/** Runs until the source is to be counted, changes it, and has the run count it. */
async function runWithChange(
  scenario: Scenario,
  flags: readonly string[],
  change: () => Promise<void>,
): Promise<CliOutcome> {
  const hold = scenario.proxy.on(COUNT, { kind: "hold", at: "request" });
  const running = await scenario.startUntil(hold, flags);
  await change();
  hold.release();
  return await running.outcome;
}

function failureOf(outcome: CliOutcome): string {
  return readStderr(outcome).failure.join("\n");
}

describe("rows that are missing", () => {
  test.concurrent("since a page came back empty end the run; the next one copies them", async () => {
    await using scenario = await Scenario.open();
    const { events } = scenario.fixture;
    const rule = scenario.proxy.on({ on: "page", nth: 2 }, NO_ROWS);
    const failed = await scenario.run(ONE_BY_ONE);
    expect(failed).toMatchObject({ code: 1, stdout: "" });
    expect(rule.applied).toBe(1);
    const missing = events - (await scenario.targetRows());
    expect(missing).toBeGreaterThan(0);
    const failure = failureOf(failed).split("\n");
    expect(failure[0]).toMatch(
      new RegExp(
        `^Comparing .*\`observations\` with what was read: ${missing} ${missing === 1 ? "row is" : "rows are"} missing$`,
      ),
    );
    expect(failure[1]).toMatch(new RegExp(`^keys after .* up to .*: ${missing} rows in the source, 0 read$`));
    expect(scenario.checkpoint()).toMatchObject({ finished: false, rows_processed: events - missing });

    scenario.proxy.reset();
    const next = await scenario.run(OTHER_SIZES);
    expect(next).toMatchObject({ code: 0 });
    expect(reportedCount(next, "Events inserted")).toBe(missing);
    expect(scenario.checkpoint()).toMatchObject({ finished: true, rows_processed: events });
    await scenario.expectEvents("multiset");
  });

  test.concurrent("show in a dry run too", async () => {
    await using scenario = await Scenario.open();
    scenario.proxy.on({ on: "page", nth: 2 }, NO_ROWS);
    const failed = await scenario.run([...ONE_BY_ONE, "--dry-run"]);
    expect(failed).toMatchObject({ code: 1, stdout: "" });
    expect(failureOf(failed)).toMatch(
      /(1 row is|rows are) missing\nkeys after .* rows in the source, 0 read\n/,
    );
    expect(scenario.checkpoint()).toBeNull();
  });

  test.concurrent("by an earlier run are found by the one that completes the copy", async () => {
    await using scenario = await Scenario.open();
    const { events } = scenario.fixture;
    scenario.proxy.on({ on: "page", nth: 2 }, NO_ROWS);
    const hold = scenario.proxy.on({ on: "page", nth: 4 }, { kind: "hold", at: "request" });
    // Enough pages, whatever the data.
    const stopped = await scenario.startUntil(hold, ["--stream-block-size=30", ...ONE_BY_ONE.slice(1)]);
    stopped.kill("SIGTERM");
    expect(await stopped.outcome).toMatchObject({ code: 143 });
    scenario.proxy.reset();

    const failed = await scenario.run(OTHER_SIZES);
    expect(failed).toMatchObject({ code: 1 });
    expect(failureOf(failed)).toMatch(/(1 row is|rows are) missing\nkeys from the first key up to /);
    expect(scenario.checkpoint()?.finished).toBe(false);
    expect(await scenario.run(OTHER_SIZES)).toMatchObject({ code: 0 });
    expect(scenario.checkpoint()).toMatchObject({ finished: true, rows_processed: events });
    await scenario.expectEvents("set");
  });

  test.concurrent("are found where an earlier run has read nothing at all", async () => {
    await using scenario = await Scenario.open();
    scenario.proxy.on({ on: "page", nth: "every" }, NO_ROWS);
    const hold = scenario.proxy.on(COUNT, { kind: "hold", at: "request" });
    const stopped = await scenario.startUntil(hold, ONE_BY_ONE);
    stopped.kill("SIGTERM");
    expect(await stopped.outcome).toMatchObject({ code: 143 });
    expect(scenario.checkpoint()).toMatchObject({ finished: false, rows_processed: 0 });
    scenario.proxy.reset();

    const failed = await scenario.run(OTHER_SIZES);
    expect(failed).toMatchObject({ code: 1, stdout: "" });
    expect(failureOf(failed)).toContain(`: ${scenario.fixture.events} rows are missing\n`);
    expect(await scenario.run(OTHER_SIZES)).toMatchObject({ code: 0 });
    await scenario.expectEvents("multiset");
  });

  test.concurrent("are those that carry an early time, whenever they came", async () => {
    await using scenario = await Scenario.open();
    const source = await Source.make(scenario);
    const flags = [...ONE_BY_ONE, ...source.flags];
    const failed = await runWithChange(scenario, flags, () => source.write(2, "concat(id, '-early') AS id"));
    expect(failed).toMatchObject({ code: 1 });
    expect(failureOf(failed)).toContain(": 2 rows are missing\n");
    const next = await scenario.run(flags);
    expect(next).toMatchObject({ code: 0 });
    expect(scenario.checkpoint()).toMatchObject({
      finished: true,
      rows_processed: scenario.fixture.events + 2,
    });
    await scenario.expectEvents("set").then(
      () => expect.unreachable(),
      (error: Error) => expect(error.message).toContain("-early"),
    );
  });
});

describe("a source that is written to during a run does not fail the run:", () => {
  const NOW = "now64(3) AS event_ts";
  test.concurrent.each([
    [
      "new rows",
      `concat(id, '-late') AS id, ${NOW}`,
      /3 rows of .* were written after their page was read/,
      "Rows written too late",
    ],
    ["new versions", NOW, /3 rows of .* were written again after/, "Rows written again"],
    [
      "deletions",
      `${NOW}, toUInt8(1) AS is_deleted`,
      /3 rows that were copied are no longer in .*: they were deleted during the run/,
      null,
    ],
  ] as const)("%s", async (_, changes, notice, label) => {
    await using scenario = await Scenario.open();
    const source = await Source.make(scenario);
    const flags = [...ONE_BY_ONE, ...source.flags];
    const outcome = await runWithChange(scenario, flags, () => source.write(3, changes));
    expect(outcome).toMatchObject({ code: 0 });
    expect(readStderr(outcome).log.join("\n")).toMatch(notice);
    if (label !== null) {
      expect(reportedCount(outcome, label)).toBe(3);
      expect(outcome.stdout).toMatch(/^3 rows were written .* after their page was read/m);
    } else expect(outcome.stdout).not.toContain("after their page was read");
    expect(scenario.checkpoint()).toMatchObject({ finished: true });
    await scenario.expectEvents("multiset");
  });

  test.concurrent("rows deleted without a trace", async () => {
    await using scenario = await Scenario.open();
    const source = await Source.make(scenario);
    const flags = [...ONE_BY_ONE, ...source.flags];
    const outcome = await runWithChange(scenario, flags, () =>
      source.command(`TRUNCATE TABLE ${identifier(source.name)}`),
    );
    expect(outcome).toMatchObject({ code: 0 });
    expect(readStderr(outcome).log.join("\n")).toContain(
      `${scenario.fixture.events} rows that were copied are no longer in `,
    );
    await scenario.expectEvents("multiset");
  });
});

test.concurrent("a run that is stopped while it counts the source is continued by counting alone", async () => {
  await using scenario = await Scenario.open();
  const hold = scenario.proxy.on(COUNT, { kind: "hold", at: "response" });
  const running = await scenario.startUntil(hold, ONE_BY_ONE);
  running.kill("SIGINT");
  expect(await running.outcome).toMatchObject({ code: 130, stdout: "" });
  expect(scenario.checkpoint()).toMatchObject({ finished: false, rows_processed: scenario.fixture.events });
  scenario.proxy.reset();
  expect(await scenario.run(OTHER_SIZES)).toMatchObject({ code: 0 });
  expect(scenario.proxy.count("page")).toBe(0);
  expect(scenario.checkpoint()).toMatchObject({ finished: true });
  await scenario.expectEvents("multiset");
});

test.concurrent("a run that could not count the source is continued by counting alone", async () => {
  await using scenario = await Scenario.open();
  const denied = serverError(403, 497, "Not enough privileges", "ACCESS_DENIED");
  scenario.proxy.on({ ...COUNT, nth: "every" }, denied);
  const failed = await scenario.run(ONE_BY_ONE);
  expect(failed).toMatchObject({ code: 1, stdout: "" });
  expect(failureOf(failed)).toMatch(/^Counting .*`observations`, keys .*: Code: 497\. /);
  expect(scenario.checkpoint()).toMatchObject({ finished: false, rows_processed: scenario.fixture.events });

  scenario.proxy.reset();
  const next = await scenario.run(OTHER_SIZES);
  expect(next).toMatchObject({ code: 0 });
  expect([scenario.proxy.count("page"), scenario.proxy.count("traces")]).toEqual([0, 0]);
  expect(scenario.checkpoint()).toMatchObject({ finished: true });
  await scenario.expectEvents("multiset");
});
