import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventsFullTable } from "../../scripts/testbed/schema.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import { readStderr, reportedCount } from "../support/cli.ts";
import { ONE_BY_ONE, Scenario } from "../support/cli-scenario.ts";
import { serverError } from "../support/fault-proxy-faults.ts";

/** Pages of 60 rows, each one statement. */
const SERVER = ["--engine=server", "--insert-rows=60"];
const OUT_OF_MEMORY = serverError(500, 241, "Memory limit exceeded", "MEMORY_LIMIT_EXCEEDED");

describe("the server's engine", () => {
  test.concurrent("copies a month without reading a page or loading a trace", async () => {
    await using scenario = await Scenario.open();
    const outcome = await scenario.run([...SERVER, "--parallel-workers=2"]);
    expect(outcome).toMatchObject({ code: 0 });
    await scenario.expectEvents("multiset");
    expect(reportedCount(outcome, "Events inserted")).toBe(scenario.fixture.events);
    // No page is read, and no trace is loaded.
    expect(scenario.proxy.requests.filter(({ kind }) => kind === "page" || kind === "traces")).toEqual([]);
    const again = await scenario.run(SERVER);
    expect(again.stdout).toContain("was finished by an earlier run");
  });

  test.concurrent("halves what the server has no memory for", async () => {
    await using scenario = await Scenario.open();
    const rule = scenario.proxy.on({ on: "insert", nth: 2 }, OUT_OF_MEMORY);
    const outcome = await scenario.run([...SERVER, "--parallel-workers=1"]);
    expect(outcome).toMatchObject({ code: 0 });
    expect(reportedCount(outcome, "Retries")).toBe(0);
    expect(rule.applied).toBe(1);
    expect(reportedCount(outcome, "Batches halved")).toBe(1);
    await scenario.expectEvents("multiset");
  });

  test.concurrent("tries again what passes, and waits for merges", async () => {
    await using scenario = await Scenario.open();
    scenario.proxy.on({ on: "insert", nth: 1 }, serverError(500, 252, "Too many parts", "TOO_MANY_PARTS"));
    scenario.proxy.on({ on: "insert", nth: 3 }, serverError(503, 0, "Busy", "BUSY"));
    scenario.proxy.on({ on: "insert", nth: 4 }, { kind: "reset", at: "response" });
    const outcome = await scenario.run([...SERVER, "--parallel-workers=1"]);
    expect(outcome).toMatchObject({ code: 0 });
    expect(readStderr(outcome).log.join("\n")).toMatch(/waiting .* for merges: Code: 252\. /);
    expect(reportedCount(outcome, "Retries")).toBeGreaterThanOrEqual(1);
    // The lost one had been stored.
    await scenario.expectEvents("set");
  });

  // The first page is done by then: it is one INSERT of the server's, and at most three of this program's.
  for (const [first, then, nth] of [
    [SERVER, ONE_BY_ONE, 3],
    [ONE_BY_ONE, SERVER, 5],
  ] as const) {
    test.concurrent(`a run that begins with ${first[0]} goes on with ${then[0]} after kill -9`, async () => {
      await using scenario = await Scenario.open();
      const hold = scenario.proxy.on({ on: "insert", nth }, { kind: "hold", at: "request" });
      const running = await scenario.startUntil(hold, [
        ...first.filter((flag) => !flag.startsWith("--parallel")),
        "--parallel-workers=1",
      ]);
      running.kill("SIGKILL");
      await running.outcome;
      hold.release();
      scenario.proxy.reset();
      expect(scenario.checkpoint()?.rows_processed).toBeGreaterThan(0);
      const next = await scenario.run(then);
      expect(next).toMatchObject({ code: 0 });
      await scenario.expectEvents("set");
    });
  }

  test.concurrent("a run cancels what a killed one has left, and names its queries as no other run does", async () => {
    await using scenario = await Scenario.open();
    const idsOf = async (...flags: string[]): Promise<string[]> => {
      const outcome = await scenario.run([...SERVER, ...flags], { LOG_LEVEL: "debug" });
      expect(outcome).toMatchObject({ code: 0 });
      const ids = outcome.stderr.match(/clickhouse-backfill-engine-\w+-\w+-\w+-\d+/g) ?? [];
      return [...new Set(ids)];
    };
    const [first, second] = [await idsOf(), await idsOf("--restart")];
    expect(first.length).toBeGreaterThan(2);
    expect(second).toHaveLength(first.length);
    // Else the log would say that a query is done which an earlier run has sent.
    expect(second.filter((id) => first.includes(id))).toEqual([]);
    const prefixes = [...first, ...second].map((id) => id.split("-").slice(0, 4).join("-"));
    expect(new Set(prefixes).size).toBe(1);
    const sent = scenario.proxy.requests.map(({ sql }) => sql);
    const kill = sent.findIndex((sql) => sql.startsWith("KILL QUERY WHERE startsWith(query_id"));
    expect(kill).toBeGreaterThan(0);
    expect(kill).toBeLessThan(sent.findIndex((sql) => sql.startsWith("INSERT INTO")));
  });

  test.concurrent("SIGTERM cancels the statement that runs, and the next run completes the copy", async () => {
    await using scenario = await Scenario.open();
    const hold = scenario.proxy.on({ on: "insert", nth: 2 }, { kind: "hold", at: "response" });
    const running = await scenario.startUntil(hold, [...SERVER, "--parallel-workers=1"]);
    const before = scenario.proxy.requests.length;
    running.kill("SIGTERM");
    expect(await running.outcome).toMatchObject({ code: 143, stdout: "" });
    const after = scenario.proxy.requests.slice(before).map(({ sql }) => sql);
    expect(after).toContainEqual(expect.stringMatching(/^KILL QUERY WHERE query_id = /));
    scenario.proxy.reset();
    expect(await scenario.run(SERVER)).toMatchObject({ code: 0 });
    await scenario.expectEvents("set");
  });

  test.concurrent("a page with a value that the server rejects is copied by the client's engine", async () => {
    await using scenario = await Scenario.open();
    const { server, database, expected } = scenario.fixture;
    const [bad] = await server.queryJson<{ span_id: string }>(
      `SELECT span_id FROM ${identifier(expected)} WHERE isValidUTF8(span_id) AND length(span_id) > 15
       GROUP BY span_id HAVING count() = 1 ORDER BY cityHash64(span_id) LIMIT 1`,
      { database },
    );
    if (bad === undefined) throw new Error("No row to refuse");
    await server.command(`DROP TABLE ${identifier(scenario.arrived)}`, { database });
    const table = eventsFullTable(scenario.arrived, { engine: "Memory" });
    const digits = Buffer.from(bad.span_id).toString("hex");
    await server.command(
      table.replace(/\)(\s*ENGINE)/, `, CONSTRAINT refused CHECK hex(span_id) != upper('${digits}'))$1`),
      { database },
    );
    const outcome = await scenario.run([...SERVER, "--batch-size=8", "--skip-bad-rows=skipped.jsonl"]);
    expect(outcome).toMatchObject({ code: 0 });
    expect(outcome.stderr).toContain("This program copies a page that the server cannot: ");
    expect(reportedCount(outcome, "Rows skipped")).toBe(1);
    expect(readFileSync(join(scenario.directory, "skipped.jsonl"), "utf8")).toContain('"code":469');
    expect(existsSync(scenario.checkpointPath)).toBe(true);
    const missing = await server.query(
      `SELECT count() FROM ${identifier(expected)} WHERE (span_id, trace_id, project_id) NOT IN (SELECT span_id, trace_id, project_id FROM ${identifier(scenario.arrived)})`,
      { database },
    );
    expect(missing).toBe("1\n");
  });
});
