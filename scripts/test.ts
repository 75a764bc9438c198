/**
 * Runs all tests, several files at a time, and checks that all of them did run.
 *
 * Usage:   bun run test [paths or flags of `bun test`]
 *          FULL=1        all cases of tests that otherwise draw some of them (`bun run test:full`)
 *          SUITE_SEED=N  the seed of all generated data (default: one that the commit's tree gives, so that a commit passes
 *                        or fails the same everywhere; `random` for a new one); SEED=N repeats a single failure
 * Output:  the test runner's, and a last line `N passed, N failed`
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "..");
/** Processes of tests, each with a ClickHouse of its own: one waits while the others compute. */
const PROCESSES = 3;

const directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-test-"));
const reportPath = join(directory, "junit.xml");
const args = process.argv.slice(2);
const suiteSeed = process.env["SUITE_SEED"] ?? seedOfTree() ?? "random";
const { SUITE_SEED: _, ...environment } = process.env;
const child = Bun.spawn(
  [
    process.execPath,
    "test",
    "--timeout=120000",
    "--reporter=junit",
    `--reporter-outfile=${reportPath}`,
    // One process runs its files in one module registry, so that they share the ClickHouse and the compiled program.
    ...(args.length === 0 ? [`--parallel=${PROCESSES}`, "--parallel-delay=0", "--no-isolate"] : args),
  ],
  {
    cwd: ROOT,
    env: suiteSeed === "random" ? environment : { ...environment, SUITE_SEED: suiteSeed },
    stdio: ["ignore", "inherit", "inherit"],
  },
);
const exitCode = await child.exited;
const report = await Bun.file(reportPath)
  .text()
  // A test that ends the process leaves no report; that is a failure, whatever the exit code says.
  .catch(() => null);
rmSync(directory, { recursive: true });

const problems: string[] = [];
let passed = 0;
let failed = 0;
if (report === null) problems.push("The test process ended without a report");
else {
  const totals = /<testsuites [^>]*tests="(\d+)"[^>]*failures="(\d+)"[^>]*skipped="(\d+)"/.exec(report);
  const [tests, failures, skipped] = (totals?.slice(1) ?? ["0", "0", "0"]).map(Number) as [
    number,
    number,
    number,
  ];
  failed = failures;
  passed = tests - failures - skipped;
  if (skipped > 0) problems.push(`${skipped} tests were skipped`);
  if (args.length === 0) problems.push(...filesWithoutTests(report).map((file) => `No test of ${file} ran`));
}
if (exitCode !== 0 && failed === 0) problems.push(`bun test ended with exit code ${exitCode}`);
for (const problem of problems) console.log(problem);
console.log(`${passed} passed, ${failed + problems.length} failed`);
process.exit(failed + problems.length === 0 && passed > 0 ? 0 : 1);

/** A seed from the hash of the checked-out tree; null outside a repository. */
function seedOfTree(): string | null {
  const { exitCode, stdout } = Bun.spawnSync(["git", "rev-parse", "HEAD^{tree}"], {
    cwd: ROOT,
    stderr: "ignore",
  });
  return exitCode === 0 ? String(Number.parseInt(stdout.toString().slice(0, 7), 16)) : null;
}

/** Test files that the report does not know: their tests vanish when loading them fails or ends early. */
function filesWithoutTests(report: string): string[] {
  const files = [...new Bun.Glob("test/**/*.test.ts").scanSync({ cwd: ROOT })];
  return files.filter((file) => !report.includes(`file="${file}"`)).sort();
}
