import { expect, test } from "bun:test";
import { runCli } from "../support/cli.ts";
import { Scenario } from "../support/cli-scenario.ts";

const QUERY =
  /^\S+ debug (clickhouse-backfill-[0-9a-f]{8}\S*-\d+) \((\w+)\): (\d+ ms|[\d.]+s), [\d,]+ rows, [\d,]+ bytes(?:, failed: Code: (\d+)\..*)?: (SELECT|DESCRIBE|INSERT|WITH) /;

async function linesAt(level: string): Promise<string[]> {
  await using scenario = await Scenario.open();
  const outcome = await runCli([...scenario.flags, "--batch-size=100"], {
    cwd: scenario.directory,
    environment: { LOG_LEVEL: level },
  });
  expect(outcome).toMatchObject({ code: 0 });
  return outcome.stderr.split("\n");
}

test("a debug log has a line for each query, with its id, duration, rows and bytes", async () => {
  const lines = (await linesAt("debug")).filter((line) => line.includes("clickhouse-backfill-"));
  const queries = lines.map((line) => QUERY.exec(line));
  expect(lines.filter((_, i) => queries[i] === null)).toEqual([]);
  // The embedded engine grants nobody SHOW ROW POLICIES: a query that a run can do without fails here.
  expect(queries.flatMap((match) => match?.[4] ?? [])).toEqual(["497"]);
  const ids = queries.map((match) => match?.[1]);
  expect(new Set(ids).size).toBe(ids.length);
  expect(new Set(queries.map((match) => match?.[2]))).toEqual(
    new Set(["query", "count", "pageRead", "traceRead", "insert"]),
  );
  expect(lines.some((line) => line.includes(" settings: "))).toBe(false);
});

test("a trace log also has the settings of each query", async () => {
  const lines = (await linesAt("trace")).filter((line) => line.includes(" settings: "));
  expect(lines.length).toBeGreaterThan(5);
  expect(lines.filter((line) => !/ trace clickhouse-backfill-\S+ settings: .*final=0 /.test(line))).toEqual(
    [],
  );
});

test("a log at level info has no queries", async () => {
  expect((await linesAt("info")).filter((line) => line.includes("clickhouse-backfill-"))).toEqual([]);
});
