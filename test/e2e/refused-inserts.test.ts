import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { eventsFullTable } from "../../scripts/testbed/schema.ts";
import { readVarint } from "../../src/bytes/varint.ts";
import { identifier, literal } from "../../src/clickhouse/sql.ts";
import { type CliOutcome, readStderr, reportedCount } from "../support/cli.ts";
import { type Fixture, ONE_BY_ONE, OTHER_SIZES, Scenario } from "../support/cli-scenario.ts";
import { type Fault, serverError } from "../support/fault-proxy-faults.ts";
import { sampled } from "../support/sampled.ts";

const OUT_OF_MEMORY = serverError(500, 241, "Memory limit (for query) exceeded", "MEMORY_LIMIT_EXCEEDED");
const TOO_MANY_PARTS = serverError(500, 252, "Too many parts (3001)", "TOO_MANY_PARTS");
const SKIP_FILE = "skipped.jsonl";

/** The fault for those bodies of inserts only. */
function only(fault: Fault, isFor: (body: Buffer) => boolean): Fault {
  if (fault.kind !== "response") throw new TypeError(`A fault of kind ${fault.kind} has no response`);
  return { ...fault, isFor };
}

/** The number of rows in the head of a Native block. */
function rowsOf(block: Buffer): number {
  const cursor = { position: 0 };
  readVarint(block, cursor);
  return readVarint(block, cursor);
}

describe("an insert that is too large", () => {
  test.concurrent("is sent in halves, and the next ones are smaller", async () => {
    await using scenario = await Scenario.open();
    const sizes: number[] = [];
    const fault = only(OUT_OF_MEMORY, (body) => {
      sizes.push(rowsOf(body));
      return rowsOf(body) > 20;
    });
    scenario.proxy.on({ on: "insert", nth: "every" }, fault);
    const outcome = await scenario.run([...ONE_BY_ONE, "--max-retries=0"]);
    expect(outcome).toMatchObject({ code: 0 });
    await scenario.expectEvents("multiset");
    expect(reportedCount(outcome, "Retries")).toBe(0);
    expect(reportedCount(outcome, "Batches halved")).toBe(sizes.filter((rows) => rows > 20).length);
    expect(readStderr(outcome).log.join("\n")).toMatch(/sent again in smaller inserts: Code: 241\. /);
    const refused = sizes.findIndex((rows) => rows > 20);
    expect(sizes.length).toBeGreaterThan(refused + 8);
    // One batch may have been filled already; larger ones come after eight that went through.
    const next = sizes.slice(refused + 1, refused + 8).filter((rows) => rows > 20);
    expect(next.length).toBeLessThanOrEqual(1);
  });

  const codes: readonly (readonly [number, string])[] = [
    [159, "TIMEOUT_EXCEEDED"],
    [160, "TOO_SLOW"],
    [209, "SOCKET_TIMEOUT"],
  ];
  test.concurrent.each(sampled(codes, 1))(
    "is sent in halves when the server fails with code %i",
    async (code, name) => {
      await using scenario = await Scenario.open();
      const rule = scenario.proxy.on({ on: "insert", nth: 2 }, serverError(500, code, "Timeout", name));
      const outcome = await scenario.run([...ONE_BY_ONE, "--max-retries=0"]);
      expect(outcome).toMatchObject({ code: 0 });
      expect(rule.applied).toBe(1);
      expect(reportedCount(outcome, "Batches halved")).toBe(1);
      await scenario.expectEvents("multiset");
    },
  );
});

describe("a table with too many parts", () => {
  test.concurrent("is waited for, which costs no attempts", async () => {
    await using scenario = await Scenario.open();
    const rule = scenario.proxy.on({ on: "insert", nth: 2, times: 2 }, TOO_MANY_PARTS);
    const outcome = await scenario.run([...ONE_BY_ONE, "--max-retries=0"]);
    expect(outcome).toMatchObject({ code: 0 });
    expect(rule.applied).toBe(2);
    expect(reportedCount(outcome, "Retries")).toBe(0);
    expect(outcome.stdout).toMatch(/Time waited for merges +\d/);
    expect(readStderr(outcome).log.join("\n")).toMatch(
      new RegExp(`into .*${scenario.target}.*: waiting .* for merges: Code: 252\\. .*Too many parts`),
    );
    await scenario.expectEvents("multiset");
  });

  test.concurrent("is waited for no longer once the run is stopped", async () => {
    await using scenario = await Scenario.open();
    scenario.proxy.on({ on: "insert", times: 2 }, TOO_MANY_PARTS);
    const third = scenario.proxy.on({ on: "insert", nth: "every" }, TOO_MANY_PARTS);
    const running = await scenario.startUntil(third, ONE_BY_ONE);
    // The third pause takes two seconds at least.
    await Bun.sleep(300);
    running.kill("SIGINT");
    expect(await running.outcome).toMatchObject({ code: 130, stdout: "" });
    expect(third.applied).toBe(1);
  });

  test.concurrent("is an error like others where waiting is disabled", async () => {
    await using scenario = await Scenario.open();
    const rule = scenario.proxy.on({ on: "insert", nth: "every" }, TOO_MANY_PARTS);
    const outcome = await scenario.run([...ONE_BY_ONE, "--max-wait-minutes=0", "--max-retries=1"]);
    expect(outcome).toMatchObject({ code: 1, stdout: "" });
    expect(rule.applied).toBe(2);
  });
});

const MIN_ID_BYTES = 16;

interface Key {
  readonly project_id: string;
  readonly type: string;
  readonly date: string;
  readonly id: string;
  readonly trace_id: string;
}

/**
 * Some observations, in different batches, whose ids are long and occur in no other row. The bytes of a short id, or of one that
 * another row names as its parent, would be found in inserts that do not carry the row.
 */
async function someRows({ server, database, expected, events }: Fixture, rows: number): Promise<Key[]> {
  const columns = ["project_id", "type", "span_id", "trace_id"];
  return await server.queryJson<Key>(
    `SELECT project_id, toString(type) AS type, toString(toDate(start_time)) AS date, span_id AS id, trace_id
     FROM ${identifier(expected)} WHERE ${columns.map((column) => `isValidUTF8(${column})`).join(" AND ")}
       AND length(span_id) >= ${MIN_ID_BYTES} AND span_id IN (
         SELECT id FROM (SELECT DISTINCT span_id AS id FROM ${identifier(expected)}) AS ids
         CROSS JOIN (SELECT formatRow('TSVRaw', *) AS row FROM ${identifier(expected)}) AS texts
         GROUP BY id HAVING countIf(position(row, id) > 0) = 1)
     ORDER BY cityHash64(span_id, ${events}) LIMIT ${rows}`,
    { database },
  );
}

/** Has the server itself refuse these rows, with code 469. */
async function refuse({ fixture, target }: Scenario, condition: string): Promise<void> {
  const { server, database } = fixture;
  const arrived = `${target}_arrived`;
  await server.command(`DROP TABLE ${identifier(arrived)}`, { database });
  const table = eventsFullTable(arrived, { engine: "Memory" });
  const constrained = table.replace(/\)(\s*ENGINE)/, `, CONSTRAINT refused CHECK NOT (${condition}))$1`);
  expect(constrained).not.toBe(table);
  await server.command(constrained, { database });
}

function isOneOf(keys: readonly Key[]): string {
  return `span_id IN (${keys.map(({ id }) => literal(id)).join(", ")})`;
}

interface SkippedLine {
  readonly partition: string;
  readonly source_table: string;
  readonly key: unknown;
  readonly trace_id: string;
  readonly code: number;
  readonly message: string;
  readonly time: string;
}

function skippedLines(scenario: Scenario): SkippedLine[] {
  const text = readFileSync(join(scenario.directory, SKIP_FILE), "utf8");
  expect(text === "" || text.endsWith("\n")).toBe(true);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as SkippedLine);
}

/** All expected rows but those of `keys` arrived. */
async function expectAllBut(scenario: Scenario, keys: readonly Key[]): Promise<void> {
  const { server, database, expected } = scenario.fixture;
  const columns = "project_id, type, start_time, span_id, trace_id, event_ts";
  const [difference] = await server.queryJson<{ rows: number }>(
    `SELECT count() AS rows FROM (
       SELECT ${columns} FROM ${identifier(expected)} WHERE NOT (${isOneOf(keys)})
       EXCEPT SELECT ${columns} FROM ${identifier(`${scenario.target}_arrived`)})`,
    { database },
  );
  expect(difference?.rows).toBe(0);
  const arrived = `SELECT count() FROM ${identifier(`${scenario.target}_arrived`)} WHERE ${isOneOf(keys)}`;
  expect(Number(await server.query(arrived, { database }))).toBe(0);
}

function failureOf(outcome: CliOutcome): string {
  return readStderr(outcome).failure.join("\n");
}

describe("a row that the server refuses", () => {
  test.concurrent("is named, and ends the run; skipped, it is written down", async () => {
    await using scenario = await Scenario.open();
    const keys = await someRows(scenario.fixture, 3);
    await refuse(scenario, isOneOf(keys));
    const failed = await scenario.run(ONE_BY_ONE);
    expect(failed).toMatchObject({ code: 1, stdout: "" });
    expect(failureOf(failed)).toMatch(/the server rejects the row \(.*\) of trace ".*": Code: 469\. /);
    expect(keys.map(({ id }) => failureOf(failed).includes(JSON.stringify(id)))).toContain(true);
    expect(failureOf(failed)).toContain("--skip-bad-rows");
    expect(scenario.checkpoint()?.finished ?? false).toBe(false);

    const done = scenario.checkpoint()?.rows_processed ?? 0;
    const outcome = await scenario.run([...OTHER_SIZES, `--skip-bad-rows=${SKIP_FILE}`]);
    expect(outcome).toMatchObject({ code: 0 });
    expect(scenario.checkpoint()).toMatchObject({ finished: true, rows_processed: scenario.fixture.events });
    expect(reportedCount(outcome, "Rows skipped")).toBe(keys.length);
    expect(reportedCount(outcome, "Events inserted")).toBe(scenario.fixture.events - done - keys.length);
    expect(outcome.stdout).toContain(
      `3 rows are not in it, since no insert could carry them: see ${SKIP_FILE}.`,
    );
    await expectAllBut(scenario, keys);

    const lines = skippedLines(scenario);
    const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1);
    expect(
      lines.map(({ key, trace_id }) => ({ ...(key as Omit<Key, "trace_id">), trace_id })).sort(byId),
    ).toEqual(keys.toSorted(byId));
    for (const line of lines) {
      expect(line).toMatchObject({
        partition: scenario.fixture.partition,
        source_table: "observations",
        code: 469,
      });
      expect(line.message).toContain("Code: 469.");
      expect(new Date(line.time).toISOString()).toBe(line.time);
    }
    expect(statSync(join(scenario.directory, SKIP_FILE)).mode & 0o777).toBe(0o600);
  });

  test.concurrent("is written down once, also when its page is copied again after kill -9", async () => {
    await using scenario = await Scenario.open();
    const keys = await someRows(scenario.fixture, 2);
    await refuse(scenario, isOneOf(keys));
    const flags = [...ONE_BY_ONE, `--skip-bad-rows=${SKIP_FILE}`];
    expect(await scenario.run(flags)).toMatchObject({ code: 0 });
    expect(skippedLines(scenario)).toHaveLength(2);
    // As after a kill between the two files: the lines are there, the checkpoint is not.
    await Bun.file(scenario.checkpointPath).delete();
    const again = await scenario.run(flags);
    expect(again).toMatchObject({ code: 0 });
    expect(reportedCount(again, "Rows skipped")).toBe(2);
    expect(skippedLines(scenario)).toHaveLength(2);
  });

  test.concurrent("is also found when it is too large for the server's memory", async () => {
    await using scenario = await Scenario.open();
    const [key] = await someRows(scenario.fixture, 1);
    if (key === undefined) throw new Error("No row to refuse");
    const marker = Buffer.from(key.id);
    scenario.proxy.on(
      { on: "insert", nth: "every" },
      only(OUT_OF_MEMORY, (body) => body.includes(marker)),
    );
    const flags = ["--stream-block-size=60", "--batch-size=8", "--parallel-workers=2", "--max-retries=0"];
    const outcome = await scenario.run([...flags, `--skip-bad-rows=${SKIP_FILE}`]);
    expect(outcome).toMatchObject({ code: 0 });
    expect(skippedLines(scenario)).toMatchObject([{ key: { id: key.id }, code: 241 }]);
  });

  test.concurrent("may be one of many, in between those that are stored", async () => {
    await using scenario = await Scenario.open();
    const { server, database, expected } = scenario.fixture;
    const isBad = "cityHash64(span_id) % 4 = 0";
    await refuse(scenario, isBad);
    const count = `SELECT count() FROM ${identifier(expected)} WHERE ${isBad}`;
    const bad = Number(await server.query(count, { database }));
    const outcome = await scenario.run([...ONE_BY_ONE, `--skip-bad-rows=${SKIP_FILE}`]);
    expect(outcome).toMatchObject({ code: 0 });
    expect(bad).toBeGreaterThan(20);
    expect(reportedCount(outcome, "Rows skipped")).toBe(bad);
    expect(await scenario.targetRows()).toBe(scenario.fixture.events - bad);
  });

  test.concurrent("is not skipped when the server refuses all rows", async () => {
    await using scenario = await Scenario.open();
    await refuse(scenario, "1");
    const outcome = await scenario.run([...ONE_BY_ONE, `--skip-bad-rows=${SKIP_FILE}`]);
    expect(outcome).toMatchObject({ code: 1, stdout: "" });
    expect(failureOf(outcome)).toMatch(/20 rows in succession were rejected.*Code: 469\. /s);
    expect(skippedLines(scenario)).toEqual([]);
    expect(scenario.checkpoint()).toBeNull();
  });
});

test.concurrent("a file of skipped rows that cannot be written is an error before anything is done", async () => {
  await using scenario = await Scenario.open();
  mkdirSync(join(scenario.directory, "folder"));
  for (const path of ["folder", "missing/file"]) {
    const outcome = await scenario.run([`--skip-bad-rows=${path}`]);
    expect(outcome).toMatchObject({ code: 2, stdout: "" });
    expect(outcome.stderr).toMatch(new RegExp(`^--skip-bad-rows "${path}": expected a file .*\n$`));
  }
  expect(scenario.proxy.requests).toEqual([]);
  expect(existsSync(scenario.checkpointPath)).toBe(false);
});
