/**
 * Draws docs/run.svg: the screen of a run, as a terminal shows it. Starts a local ClickHouse with two months of made-up data, runs the program in
 * a terminal, and takes what the screen shows in the midst of the second month.
 *
 * Usage:   bun run picture
 * Output:  docs/run.svg
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Terminal } from "@xterm/headless";
import { dataStatements } from "./demo/data.ts";
import { svgOfScreen } from "./picture/svg.ts";
import { eventsTable, observationsTable, tracesTable } from "./testbed/schema.ts";
import { connectTo, startDevServer } from "./testbed/server.ts";

const ROOT = join(import.meta.dir, "..");
const OUTPUT = join(ROOT, "docs/run.svg");
const DATABASE = "langfuse";
const SIZE = { observations: 150_000, traces: 15_000, seed: 1 };
const SCREEN = { cols: 110, rows: 16 };
/** The second month, once a good part of it is kept. */
const MOMENT = /^202510 observations: limited by .*\n.* [3-8]\d\.\d%/m;
const MAX_WAIT_MS = 120_000;

const directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-picture-"));
const { url, process: clickhouse } = await startDevServer("--temporary");
try {
  await fill();
  await Bun.write(OUTPUT, svgOfScreen(await screenOfRun(), SCREEN.cols));
} finally {
  clickhouse.kill("SIGTERM");
  await clickhouse.exited;
  rmSync(directory, { recursive: true });
}

/** Two months: the data of one, and the same a month earlier. */
async function fill(): Promise<void> {
  const server = connectTo(url);
  await server.command(`CREATE DATABASE ${DATABASE}`);
  const statements = [
    observationsTable("observations"),
    tracesTable("traces"),
    eventsTable("events"),
    ...dataStatements(SIZE).map(({ sql }) => sql),
    `INSERT INTO observations SELECT * REPLACE (start_time - toIntervalMonth(1) AS start_time, concat(id, '-1') AS id)
      FROM observations WHERE _partition_id = '202511'`,
  ];
  for (const sql of statements) await server.command(sql, { database: DATABASE });
}

/** Runs the program until the moment, and returns the lines of the screen. */
async function screenOfRun(): Promise<string[]> {
  const screen = new Terminal({ ...SCREEN, allowProposedApi: true, convertEol: true });
  const program = join(ROOT, "src/main.ts");
  const flags = [`--clickhouse-url=${url}`, `--clickhouse-db=${DATABASE}`, "--partition=202510..202511"];
  const small = ["--stream-block-size=10000", "--insert-rows=20000"];
  const child = Bun.spawn([process.execPath, program, ...flags, ...small], {
    cwd: directory,
    env: { PATH: process.env["PATH"] ?? "", TERM: "xterm-256color" },
    terminal: { ...SCREEN, data: (_, bytes) => screen.write(bytes) },
  });
  try {
    for (let waitedMs = 0; waitedMs < MAX_WAIT_MS; waitedMs += 50) {
      await Bun.sleep(50);
      const lines = linesOf(screen);
      if (MOMENT.test(lines.join("\n"))) return lines;
      if (child.exitCode !== null)
        throw new Error(`The run ended before the moment came:\n${lines.join("\n")}`);
    }
    throw new Error("The moment did not come");
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}

function linesOf(screen: Terminal): string[] {
  const { active } = screen.buffer;
  const lines = Array.from({ length: SCREEN.rows }, (_, row) =>
    (active.getLine(active.viewportY + row)?.translateToString(true) ?? "").replace(
      url,
      "https://clickhouse.example.com:8443",
    ),
  );
  return lines.slice(0, lines.findLastIndex((line) => line !== "") + 1);
}
