/**
 * Shows the tool at work on this machine: starts a local ClickHouse on .local/demo, makes a month of lifelike data, runs
 * the backfill, verifies every event, and then changes one, has it found and has it repaired.
 *
 *   bun run demo [--layout events|v4] [--observations 200000] [--traces 20000] [--seed 1] [--port 0]
 *            [--binary <path> [--runner "<command>"]]
 *
 * A runner starts a binary that is not for this machine: --runner "qemu-aarch64-static -L /usr/aarch64-linux-gnu".
 * Exit codes: 0 events as expected, 1 differences or failure, 2 usage, 130 and 143 interrupted.
 */
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { type ArgsDef, defineCommand, runMain } from "citty";
import { type DemoSize, dataStatements } from "./demo/data.ts";
import { datasetRunStatement } from "./demo/dataset-runs.ts";
import { showLangfusePages } from "./demo/langfuse-pages.ts";
import { startLocalServer } from "./demo/server.ts";
import {
  datasetRunItemsTable,
  eventsCoreTables,
  eventsFullTable,
  eventsTable,
  observationsTable,
  tracesTable,
} from "./testbed/schema.ts";
import { connectTo, type TestServer } from "./testbed/server.ts";

const ROOT = join(import.meta.dir, "..");
const DIRECTORY = join(ROOT, ".local/demo");
const DATA_DIRECTORY = join(DIRECTORY, "clickhouse");
const STATE_DIRECTORY = join(DIRECTORY, "state");
const DATABASE = "demo";
const PARTITION = "202511";
const MAX_ROWS = 100_000_000;

const DEMO_LAYOUTS = ["events", "v4"] as const;
type DemoLayout = (typeof DEMO_LAYOUTS)[number];

interface Demo {
  readonly layout: DemoLayout;
  readonly size: DemoSize;
  readonly port: number;
  /** Empty: the sources. */
  readonly binary: string;
  readonly runner: readonly string[];
}

/** The exit code of the signal that ends the demo early; the run, if one is under way, ends by the same signal. */
let interruptedWith: number | null = null;
let stopServer: (() => Promise<void>) | null = null;
let run: Bun.Subprocess | null = null;

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.on(signal, () => {
    const isSecond = interruptedWith !== null;
    interruptedWith = code;
    // A terminal's Ctrl-C reaches the run by itself; a second one would make it stop at once.
    const hasRunGotIt = signal === "SIGINT" && process.stdin.isTTY;
    if (run !== null && !hasRunGotIt) run.kill(signal);
    // Whatever waits for the server then fails, and the demo ends.
    if (run === null || isSecond) void stopServer?.();
  });
}

const ARGS = {
  layout: {
    type: "string",
    default: "events",
    description: "events; or v4: events_full of Langfuse v4, with root rows and dataset runs",
  },
  observations: { type: "string", default: "200000", description: "observations to make" },
  traces: { type: "string", default: "20000", description: "traces to make" },
  seed: { type: "string", default: "1", description: "another seed makes other data" },
  port: { type: "string", default: "0", description: "port of the local ClickHouse; 0 picks a free one" },
  binary: { type: "string", default: "", description: "a compiled binary to run in place of the sources" },
  runner: { type: "string", default: "", description: "a command, split at spaces, that starts the binary" },
} as const satisfies ArgsDef;

await runMain(
  defineCommand({
    meta: { name: "demo", description: "Backfills a month of made-up data on a local ClickHouse" },
    args: ARGS,
    async run({ args, rawArgs }) {
      const unknown = rawArgs.find((arg) => arg.startsWith("-") && !isKnownFlag(arg)) ?? args._[0];
      if (unknown !== undefined) {
        console.error(
          `${unknown}: expected ${Object.keys(ARGS)
            .map((name) => `--${name} <value>`)
            .join(", ")}`,
        );
        process.exit(2);
      }
      const size = {
        observations: numberOf("observations", args.observations, 1, MAX_ROWS),
        traces: numberOf("traces", args.traces, 1, MAX_ROWS),
        seed: numberOf("seed", args.seed, 0, 2 ** 31),
      };
      const layout = DEMO_LAYOUTS.find((name) => name === args.layout);
      if (layout === undefined) {
        console.error(`--layout ${args.layout}: expected ${DEMO_LAYOUTS.join(" or ")}`);
        process.exit(2);
      }
      const port = numberOf("port", args.port, 0, 65_535);
      const runner = args.runner.split(" ").filter((word) => word !== "");
      if (runner.length > 0 && args.binary === "") {
        console.error(`--runner ${args.runner}: expected together with --binary`);
        process.exit(2);
      }
      process.exit(await demo({ layout, size, port, binary: args.binary, runner }));
    },
  }),
);

/** The whole demo; returns the exit code. */
async function demo({ layout, size, port, binary, runner }: Demo): Promise<number> {
  let code: number;
  try {
    rmSync(STATE_DIRECTORY, { recursive: true, force: true });
    say(`Starting a local ClickHouse on ${relative(process.cwd(), DATA_DIRECTORY)}`);
    const local = await startLocalServer(DATA_DIRECTORY, port);
    stopServer = local.stop;
    const server = connectTo(local.url);
    if (interruptedWith === null) await makeData(server, layout, size);
    const tool = { url: local.url, layout, binary, runner };
    code = interruptedWith ?? (await expectCode(0, runTool(tool, "run")));
    if (code === 0) code = await expectCode(0, runTool(tool, "verify"));
    if (code === 0) code = await repairPlanted(server, tool);
    if (code === 0 && layout === "v4") {
      say("What Langfuse's pages ask for");
      await showLangfusePages(server, DATABASE);
    }
  } catch (error) {
    if (interruptedWith === null) console.error(error instanceof Error ? error.message : error);
    code = 1;
  }
  await stopServer?.();
  if (interruptedWith !== null) {
    console.error("Interrupted. Nothing is left running.");
    return interruptedWith;
  }
  if (stopServer !== null) tellHowToLook(layout);
  return code;
}

async function makeData(server: TestServer, layout: DemoLayout, size: DemoSize): Promise<void> {
  const { observations, traces } = size;
  say(`Making November 2025: ${count(observations)} observations of ${count(traces)} traces`);
  // Not by removing the directory: a server that someone looks at the last demo with may be running on it.
  await server.command(`DROP DATABASE IF EXISTS ${DATABASE} SYNC`);
  await server.command(`CREATE DATABASE ${DATABASE}`);
  const on = { database: DATABASE };
  const names = { full: "events_full", core: "events_core", view: "events_core_mv" };
  const targets =
    layout === "events"
      ? [eventsTable("events")]
      : [
          eventsFullTable(names.full),
          ...eventsCoreTables(names),
          datasetRunItemsTable("dataset_run_items_rmt"),
        ];
  for (const table of [tracesTable("traces"), observationsTable("observations"), ...targets]) {
    await server.command(table, on);
  }
  const runs = layout === "v4" ? [{ what: "dataset runs", sql: datasetRunStatement() }] : [];
  for (const { what, sql } of [...dataStatements(size), ...runs]) {
    const started = performance.now();
    await server.command(sql, on);
    console.log(`  ${what}, ${seconds(started)}`);
  }
  const [parts] = await server.queryJson<{ rows: number; size: string }>(
    "SELECT sum(rows) AS rows, formatReadableSize(sum(data_uncompressed_bytes)) AS size FROM system.parts WHERE active AND database = 'demo'",
  );
  if (parts !== undefined) console.log(`  ${count(parts.rows)} rows, ${parts.size} uncompressed`);
}

/** How the tool is run. */
interface Tool extends Pick<Demo, "layout" | "binary" | "runner"> {
  readonly url: string;
}

/** Runs a command of the tool, as a user would, and returns its exit code. A compiled binary runs from a folder of its own. */
async function runTool(
  { url, layout, binary, runner }: Tool,
  command: "run" | "verify" | "repair",
  ...more: readonly string[]
): Promise<number> {
  const cwd = binary === "" ? ROOT : tmpdir();
  const program = binary === "" ? [process.execPath, "src/main.ts"] : [...runner, resolve(binary)];
  const flags = ["--partition", PARTITION, "--clickhouse-url", url, "--clickhouse-db", DATABASE];
  if (layout === "v4") flags.push("--target-table", "events_full");
  const directory = binary === "" ? relative(ROOT, STATE_DIRECTORY) : STATE_DIRECTORY;
  const state = command === "verify" ? [] : ["--cursor-state-dir", directory];
  const words = [...program, command, ...flags, ...state, ...more];
  say([binary === "" ? "bun" : program[0], ...words.slice(1)].join(" "));
  run = Bun.spawn(words, { cwd, stdio: ["inherit", "inherit", "inherit"] });
  const code = await run.exited;
  run = null;
  return code;
}

/** Resolves to 0 where a command ends with the code that it should end with, and else to a code that ends the demo. */
async function expectCode(expected: number, command: Promise<number>): Promise<number> {
  const code = await command;
  if (code === expected) return 0;
  if (interruptedWith === null) console.error(`It ended with exit code ${code}, expected ${expected}.`);
  return code === 0 ? 1 : code;
}

/** Changes an event behind the tool's back, and has the tool find and repair it. Returns the exit code. */
async function repairPlanted(server: TestServer, tool: Tool): Promise<number> {
  const target = tool.layout === "v4" ? "events_full" : "events";
  say("Changing the output of one event");
  await server.command(
    `INSERT INTO ${target} SELECT * REPLACE ('not what the model said' AS output) FROM ${target} FINAL
      WHERE notEmpty(output) ORDER BY span_id LIMIT 1`,
    { database: DATABASE },
  );
  const report = ["--report", join(DIRECTORY, "differences.jsonl")];
  const found = await expectCode(4, runTool(tool, "verify", ...report));
  return found === 0 ? await expectCode(0, runTool(tool, "repair", ...report)) : found;
}

function tellHowToLook(layout: DemoLayout): void {
  const data = relative(process.cwd(), DATA_DIRECTORY);
  say("The data stays until the next demo. To look at it:");
  console.log(`  bun scripts/dev-clickhouse.ts --path ${data} --port 8123`);
  console.log(
    `  curl 'http://localhost:8123/?database=${DATABASE}' --data-binary 'SELECT * FROM ${layout === "v4" ? "events_full" : "events"} LIMIT 1 FORMAT Vertical'`,
  );
}

function isKnownFlag(arg: string): boolean {
  return Object.keys(ARGS).some((name) => arg === `--${name}` || arg.startsWith(`--${name}=`));
}

function numberOf(flag: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  console.error(`--${flag} ${text}: expected a number from ${least} to ${most}`);
  process.exit(2);
}

function say(line: string): void {
  console.log(`\n${line}`);
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

function seconds(startedMs: number): string {
  return `${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
}
