import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { identifier, literal } from "../../src/clickhouse/sql.ts";
import { readStderr, reportedCount } from "../support/cli.ts";
import { type Fixture, ONE_BY_ONE, OTHER_SIZES, Scenario } from "../support/cli-scenario.ts";

/** A run that is stopped when it has finished a few pages. */
async function interrupt(scenario: Scenario): Promise<void> {
  const hold = scenario.proxy.on({ on: "page", nth: 3 }, { kind: "hold", at: "request" });
  const running = await scenario.startUntil(hold, ONE_BY_ONE);
  running.kill("SIGTERM");
  expect(await running.outcome).toMatchObject({ code: 143 });
  scenario.proxy.reset();
  expect(scenario.checkpoint()?.rows_processed).toBeGreaterThan(0);
}

/** The run is refused with code 3, for the reason given in the first line, and everything stays as it was. */
async function expectRefusal(scenario: Scenario, flags: readonly string[], reason: RegExp): Promise<void> {
  const files = new Map(readdirSync(scenario.directory).map((name) => [name, read(scenario, name)]));
  const outcome = await scenario.run(flags);
  expect(outcome).toMatchObject({ code: 3, stdout: "" });
  const { failure } = readStderr(outcome);
  expect(failure[0]).toMatch(reason);
  expect(failure.length).toBeGreaterThan(1);
  expect(new Map(readdirSync(scenario.directory).map((name) => [name, read(scenario, name)]))).toEqual(files);
  expect(scenario.proxy.requests).toEqual([]);
}

function read(scenario: Scenario, name: string): string {
  return readFileSync(`${scenario.directory}/${name}`, "utf8");
}

describe("a checkpoint that this run must not continue is refused:", () => {
  test.concurrent("a corrupt one", async () => {
    await using scenario = await Scenario.open();
    await interrupt(scenario);
    const whole = readFileSync(scenario.checkpointPath, "utf8");
    for (const text of ["", "{", whole.slice(0, -20), whole.replace('"rows_processed"', '"rows"')]) {
      writeFileSync(scenario.checkpointPath, text);
      await expectRefusal(scenario, [], /^The checkpoint .*cursor_state_202511\.json is corrupt: /);
    }
  });

  test.concurrent("another partition's", async () => {
    await using scenario = await Scenario.open();
    await interrupt(scenario);
    const text = readFileSync(scenario.checkpointPath, "utf8");
    writeFileSync(scenario.checkpointPath, text.replace('"partition": "202511"', '"partition": "202510"'));
    await expectRefusal(scenario, [], /is of partition "202510", this run is of "202511"/);
  });

  test.concurrent("one of an unknown version", async () => {
    await using scenario = await Scenario.open();
    await interrupt(scenario);
    const text = readFileSync(scenario.checkpointPath, "utf8");
    writeFileSync(scenario.checkpointPath, text.replace('"format_version": 1', '"format_version": 99'));
    await expectRefusal(scenario, [], /has format version 99; this program knows version 1/);
  });

  test.concurrent("another run's", async () => {
    await using scenario = await Scenario.open();
    await interrupt(scenario);
    await expectRefusal(
      scenario,
      ["--trace-window-days=7"],
      /trace_window_days: the checkpoint has 2, this run has 7/,
    );
    await expectRefusal(
      scenario,
      ["--traces-table=other"],
      /traces_table: the checkpoint has "traces", this run has "other"/,
    );
    const done = scenario.checkpoint()?.rows_processed ?? 0;
    const outcome = await scenario.run(OTHER_SIZES);
    expect(reportedCount(outcome, "Events inserted")).toBe(scenario.fixture.events - done);
    await scenario.expectEvents("set");
  });
});

describe("the lock", () => {
  test.concurrent("of a run that lives refuses a second one, but not another directory's", async () => {
    await using scenario = await Scenario.open();
    const hold = scenario.proxy.on({ on: "page" }, { kind: "hold", at: "request" });
    const first = await scenario.startUntil(hold, ONE_BY_ONE);
    const refused = await scenario.run();
    expect(refused).toMatchObject({ code: 3, stdout: "" });
    expect(readStderr(refused).failure[0]).toContain(`process ${first.pid}`);
    const elsewhere = await scenario.run(["--cursor-state-dir=elsewhere", "--dry-run"]);
    expect(elsewhere).toMatchObject({ code: 0 });
    hold.release();
    expect(await first.outcome).toMatchObject({ code: 0 });
    await scenario.expectEvents("multiset");
    expect(existsSync(scenario.lockPath)).toBe(false);
  });
});

describe("a checkpoint of an older deployment", () => {
  test.concurrent("is continued: nothing up to its cursor is copied again", async () => {
    await using scenario = await Scenario.open();
    const cursor = await middleKey(scenario.fixture);
    const done = await copyUpTo(scenario, cursor);
    const { partition } = scenario.fixture;
    const last_updated = "2025-12-01T10:00:00.123Z";
    writeFileSync(
      scenario.checkpointPath,
      JSON.stringify({ partition, cursor, rows_processed: done, last_updated }),
    );
    const outcome = await scenario.run(OTHER_SIZES);
    expect(outcome).toMatchObject({ code: 0 });
    expect(outcome.stderr).toContain("The checkpoint is of an older version");
    expect(reportedCount(outcome, "Events inserted")).toBe(scenario.fixture.events - done);
    await scenario.expectEvents("multiset");
    expect(scenario.checkpoint()).toMatchObject({ finished: true, rows_processed: scenario.fixture.events });
  });
});

interface Cursor {
  readonly project_id: string;
  readonly type: string;
  readonly date: string;
  readonly id: string;
}

const KEY = "(project_id, type, toDate(start_time), span_id)";

/** The key in the middle of the expected events, of those that JSON can hold. */
async function middleKey({ server, database, expected, events }: Fixture): Promise<Cursor> {
  const valid = ["project_id", "type", "span_id"].map((column) => `isValidUTF8(${column})`).join(" AND ");
  const [key] = await server.queryJson<Cursor>(
    `SELECT project_id, toString(type) AS type, toString(toDate(start_time)) AS date, span_id AS id
     FROM ${identifier(expected)} WHERE ${valid}
     ORDER BY ${KEY} LIMIT 1 OFFSET ${Math.floor(events / 3)}`,
    { database },
  );
  if (key === undefined) throw new Error("Hardly any key is valid UTF-8");
  return key;
}

/** Puts the expected events up to the key into the target, as the older deployment would have. */
async function copyUpTo(scenario: Scenario, key: Cursor): Promise<number> {
  const { fixture, target } = scenario;
  const { server, database, expected } = fixture;
  const bound = `(${[key.project_id, key.type].map(literal).join(", ")}, toDate(${literal(key.date)}), ${literal(key.id)})`;
  await server.command(
    `INSERT INTO ${identifier(target)} SELECT * FROM ${identifier(expected)} WHERE ${KEY} <= ${bound}`,
    { database },
  );
  return await scenario.targetRows();
}
