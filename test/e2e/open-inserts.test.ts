import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { eventsFullTable } from "../../scripts/testbed/schema.ts";
import { identifier, literal } from "../../src/clickhouse/sql.ts";
import { readStderr, reportedCount } from "../support/cli.ts";
import { OTHER_SIZES, Scenario } from "../support/cli-scenario.ts";
import { type Fault, serverError } from "../support/fault-proxy-faults.ts";
import { sampled } from "../support/sampled.ts";

/** Some ten pages of some four blocks each, all in one INSERT while nothing happens. */
const OPEN: readonly string[] = [
  "--stream-block-size=20",
  "--batch-size=5",
  "--insert-rows=100000",
  "--parallel-workers=1",
];
const OUT_OF_MEMORY = serverError(500, 241, "Memory limit (for query) exceeded", "MEMORY_LIMIT_EXCEEDED");
const TOO_MANY_PARTS = serverError(500, 252, "Too many parts (3001)", "TOO_MANY_PARTS");
const SKIP_FILE = "skipped.jsonl";

/** Runs with the flags above, and expects every event at the target; `set`: some of them twice. */
async function expectDone(scenario: Scenario, mode: "set" | "multiset", flags = OPEN): Promise<string> {
  const outcome = await scenario.run(flags);
  expect(outcome).toMatchObject({ code: 0 });
  await scenario.expectEvents(mode);
  expect(scenario.checkpoint()).toMatchObject({
    finished: true,
    rows_processed: scenario.fixture.events,
  });
  return `${outcome.stdout}${readStderr(outcome).log.join("\n")}`;
}

describe("an INSERT that stays open", () => {
  test.concurrent("carries the blocks of all pages where nothing ends it", async () => {
    await using scenario = await Scenario.open();
    await expectDone(scenario, "multiset");
    expect(scenario.proxy.count("page")).toBeGreaterThan(5);
    expect(scenario.proxy.count("insert")).toBe(1);
  });

  test.concurrent("ends when it holds as many rows as it may", async () => {
    await using scenario = await Scenario.open();
    const flags = [...OPEN.slice(0, 2), "--insert-rows=40", "--parallel-workers=1"];
    await expectDone(scenario, "multiset", flags);
    const least = Math.floor(scenario.fixture.events / 45);
    expect(scenario.proxy.count("insert")).toBeGreaterThanOrEqual(least);
    expect(scenario.proxy.count("insert")).toBeLessThanOrEqual(scenario.fixture.events / 40 + 1);
  });

  test.concurrent("holds rows of the run's month alone, and so of one partition of the target", async () => {
    await using scenario = await Scenario.open();
    const { server, database, partition } = scenario.fixture;
    await expectDone(scenario, "multiset");
    const monthsOf = async (table: string): Promise<number[]> => {
      const sql = `SELECT DISTINCT toYYYYMM(start_time) AS month FROM ${identifier(table)} ORDER BY month`;
      const rows = await server.queryJson<{ month: number }>(sql, { database });
      return rows.map(({ month }) => month);
    };
    expect((await monthsOf("observations")).length).toBeGreaterThan(1);
    expect(await monthsOf(scenario.arrived)).toEqual([Number(partition)]);
  });

  test.concurrent("is compressed as others are", async () => {
    await using scenario = await Scenario.open();
    await expectDone(scenario, "multiset", [...OPEN, "--compression=zstd"]);
  });

  test.concurrent("ends when no block comes, so that its pages are done", async () => {
    await using scenario = await Scenario.open();
    const slow = scenario.proxy.on({ on: "page", nth: 4 }, { kind: "hold", at: "request" });
    const running = await scenario.startUntil(slow, OPEN);
    while ((scenario.checkpoint()?.rows_processed ?? 0) === 0) await Bun.sleep(100);
    slow.release();
    expect(await running.outcome).toMatchObject({ code: 0 });
    expect(scenario.proxy.count("insert")).toBe(2);
    await scenario.expectEvents("multiset");
  });

  test.concurrent("leaves nothing done behind when the run is killed, and the next run copies all", async () => {
    await using scenario = await Scenario.open();
    const page = scenario.proxy.on({ on: "page", nth: 6 }, { kind: "hold", at: "request" });
    const running = await scenario.startUntil(page, OPEN);
    running.kill("SIGKILL");
    await running.outcome;
    expect(scenario.checkpoint()?.rows_processed ?? 0).toBe(0);
    scenario.proxy.reset();
    await expectDone(scenario, "set", OTHER_SIZES);
  });

  test.concurrent("ends after a block when the run is stopped, and its pages are done", async () => {
    await using scenario = await Scenario.open();
    const page = scenario.proxy.on({ on: "page", nth: 6 }, { kind: "hold", at: "request" });
    const running = await scenario.startUntil(page, OPEN);
    running.kill("SIGINT");
    expect(await running.outcome).toMatchObject({ code: 130 });
    expect(scenario.checkpoint()?.rows_processed).toBeGreaterThan(0);
    scenario.proxy.reset();
    await expectDone(scenario, "multiset");
  });
});

describe("pages are copied again, and none is lost, when their INSERT", () => {
  const FAULTS: readonly (readonly [string, Fault])[] = [
    ["is refused at its head", { kind: "reset", at: "head" }],
    ["is cut in its first block", { kind: "reset", at: { bodyBytes: 100 } }],
    ["is cut in a later block", { kind: "reset", at: { bodyBytes: 9_000 } }],
    ["is cut near its end", { kind: "reset", at: { bodyBytes: 30_000 } }],
    ["is stored and its acknowledgement is lost", { kind: "reset", at: "response" }],
    ["reaches the server without its end", { kind: "shortenBody", toBytes: 12_345 }],
    ["meets a busy server", serverError(503, 202, "Too many", "TOO_MANY_SIMULTANEOUS_QUERIES")],
    [
      "is acknowledged with fewer rows",
      {
        kind: "edit",
        head: ({ headers }) => {
          for (const header of headers) {
            if (header[0].toLowerCase() === "x-clickhouse-summary") header[1] = '{"written_rows":"7"}';
          }
        },
      },
    ],
  ];
  test.concurrent.each(sampled(FAULTS, 4))("%s", async (_, fault) => {
    await using scenario = await Scenario.open();
    const rule = scenario.proxy.on({ on: "insert" }, fault);
    const said = await expectDone(scenario, "set");
    expect(rule.applied).toBe(1);
    expect(said).toMatch(/Retries +[1-9]/);
  });

  test.concurrent("is still open while a page cannot be read", async () => {
    await using scenario = await Scenario.open();
    const rule = scenario.proxy.on(
      { on: "page", nth: 3 },
      { kind: "cutResponse", afterBytes: 3_000, framing: "chunked" },
    );
    await expectDone(scenario, "set");
    expect(rule.applied).toBe(1);
  });

  test.concurrent("meets a table with too many parts, which is waited for", async () => {
    await using scenario = await Scenario.open();
    const rule = scenario.proxy.on({ on: "insert", times: 2 }, TOO_MANY_PARTS);
    const said = await expectDone(scenario, "set", [...OPEN, "--max-retries=0"]);
    expect(rule.applied).toBe(2);
    expect(said).toMatch(/Time waited for merges +\d/);
  });

  test.concurrent("is too large: the next ones are smaller", async () => {
    await using scenario = await Scenario.open();
    const sizes: number[] = [];
    const isTooLarge = (bytes: number): boolean => bytes > 0.6 * (sizes[0] ?? 0);
    const isFor = (body: Buffer): boolean => sizes.push(body.length) > 0 && isTooLarge(body.length);
    if (OUT_OF_MEMORY.kind !== "response") throw new Error("No response");
    scenario.proxy.on({ on: "insert", nth: "every" }, { ...OUT_OF_MEMORY, isFor });
    const said = await expectDone(scenario, "set", [...OPEN, "--max-retries=0"]);
    expect(sizes.filter(isTooLarge).length).toBeGreaterThan(0);
    expect(sizes.filter((bytes) => !isTooLarge(bytes)).length).toBeGreaterThan(1);
    expect(said).toMatch(/Batches halved +[1-9]/);
  });
});

describe("a row that the server rejects within an INSERT of many blocks", () => {
  test.concurrent("is found and skipped, and all others are stored", async () => {
    await using scenario = await Scenario.open();
    const { server, database, expected, events } = scenario.fixture;
    const [row] = await server.queryJson<{ id: string; rows: number }>(
      `SELECT span_id AS id, count() AS rows FROM ${identifier(expected)}
       WHERE isValidUTF8(span_id) AND length(span_id) > 4 GROUP BY span_id ORDER BY cityHash64(span_id, ${events}) LIMIT 1`,
      { database },
    );
    if (row === undefined) throw new Error("No row to reject");
    const arrived = `${scenario.target}_arrived`;
    const table = eventsFullTable(arrived, { engine: "Memory" });
    await server.command(`DROP TABLE ${identifier(arrived)}`, { database });
    const check = `, CONSTRAINT refused CHECK span_id != ${literal(row.id)})$1`;
    await server.command(table.replace(/\)(\s*ENGINE)/, check), { database });

    const outcome = await scenario.run([...OPEN, `--skip-bad-rows=${SKIP_FILE}`]);
    expect(outcome).toMatchObject({ code: 0 });
    expect(reportedCount(outcome, "Rows skipped")).toBe(row.rows);
    const lines = readFileSync(join(scenario.directory, SKIP_FILE), "utf8").trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { key: { id: string } }).key.id)).toEqual(
      Array.from({ length: row.rows }, () => row.id),
    );
    const [difference] = await server.queryJson<{ rows: number }>(
      `SELECT count() AS rows FROM (SELECT span_id, trace_id, start_time FROM ${identifier(expected)}
         WHERE span_id != ${literal(row.id)} EXCEPT SELECT span_id, trace_id, start_time FROM ${identifier(arrived)})`,
      { database },
    );
    expect(difference?.rows).toBe(0);
  });
});
