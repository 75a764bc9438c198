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
import { svgOfScreen } from "./picture/svg.ts";
import { DATABASE, fillTwoMonths, MONTHS } from "./picture/two-months.ts";
import { startDevServer } from "./testbed/server.ts";

const ROOT = join(import.meta.dir, "..");
const OUTPUT = join(ROOT, "docs/run.svg");
const SCREEN = { cols: 110, rows: 16 };
/** The second month, once a good part of it is kept. */
const MOMENT = /^202510 observations: limited by .*\n.* [3-8]\d\.\d%/m;
const MAX_WAIT_MS = 120_000;

const directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-picture-"));
const { url, process: clickhouse } = await startDevServer("--temporary");
try {
  await fillTwoMonths(url);
  await Bun.write(OUTPUT, svgOfScreen(await screenOfRun(), SCREEN.cols));
} finally {
  clickhouse.kill("SIGTERM");
  await clickhouse.exited;
  rmSync(directory, { recursive: true });
}

/** Runs the program until the moment, and returns the lines of the screen. */
async function screenOfRun(): Promise<string[]> {
  const screen = new Terminal({ ...SCREEN, allowProposedApi: true, convertEol: true });
  const program = join(ROOT, "src/main.ts");
  const flags = [`--clickhouse-url=${url}`, `--clickhouse-db=${DATABASE}`, `--partition=${MONTHS}`];
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
