/**
 * Runs the program against ClickHouse's engines of many versions, which come as Python wheels, and compares every row.
 *
 * Usage:   bun run test:engines [--only 24.8,25.5] [--list] [--jobs 2]
 * Output:  a line per engine as it ends, then a matrix of engines and scenarios. Exit codes: 0 all well, 1 not.
 *
 * The wheels, 0.5 to 0.9 GB each, are kept in ENGINES_DIR (~/.cache/clickhouse-backfill/engines).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { engineDirectory, installEngine } from "./install.ts";
import { type EngineOutcome, matrixLines } from "./matrix-lines.ts";
import { ENGINES, type EngineVersion } from "./versions.ts";

const ROOT = resolve(import.meta.dir, "../..");

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    list: { type: "boolean", default: false },
    jobs: { type: "string", default: "2" },
  },
});

if (values.list) {
  for (const { name, wheel } of ENGINES) console.log(`${name}  ${wheel.package} ${wheel.version}`);
  process.exit(0);
}

const chosen = choose(values.only);
const startedMs = performance.now();
const outcomes = new Map<string, EngineOutcome>();
const waiting = [...chosen];
await Promise.all(Array.from({ length: Number(values.jobs) || 1 }, work));
console.log();
for (const line of matrixLines(chosen.map(({ name }) => [name, outcomes.get(name) ?? {}]))) console.log(line);
const failed = [...outcomes.values()].filter((outcome) => outcome.failure !== undefined);
console.log(`\n${seconds(startedMs)}, wheels in ${engineDirectory()}`);
process.exit(failed.length === 0 ? 0 : 1);

function choose(only: string | undefined): EngineVersion[] {
  if (only === undefined) return [...ENGINES];
  const names = only.split(",");
  const unknown = names.find((name) => !ENGINES.some((engine) => engine.name === name));
  if (unknown !== undefined) {
    console.error(`--only ${unknown}: expected some of ${ENGINES.map(({ name }) => name).join(",")}`);
    process.exit(2);
  }
  return ENGINES.filter(({ name }) => names.includes(name));
}

async function work(): Promise<void> {
  for (let engine = waiting.shift(); engine !== undefined; engine = waiting.shift()) {
    const began = performance.now();
    const outcome = await runEngine(engine).catch((error: unknown) => ({ failure: String(error) }));
    outcomes.set(engine.name, outcome);
    console.log(`${engine.name}: ${outcome.failure ?? "as it should be"} (${seconds(began)})`);
  }
}

/** Runs the scenarios in a process of their own, as `bun test` does. */
async function runEngine(engine: EngineVersion): Promise<EngineOutcome> {
  await installEngine(engine);
  const directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-engines-"));
  const report = join(directory, "report.json");
  try {
    const child = Bun.spawn([process.execPath, "test", "./test/engines/matrix.ts"], {
      cwd: ROOT,
      env: { ...process.env, ENGINE: engine.name, ENGINE_REPORT: report },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const texts = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    const results = (await Bun.file(report).exists())
      ? ((await Bun.file(report).json()) as EngineOutcome)
      : {};
    if ((await child.exited) === 0) return results;
    return { ...results, failure: `failed\n${texts.join("\n")}` };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function seconds(sinceMs: number): string {
  return `${((performance.now() - sinceMs) / 1000).toFixed(0)} s`;
}
