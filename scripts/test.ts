/**
 * Runs all tests and checks that all of them did run.
 *
 * Usage:   bun run test [paths or flags of `bun test`]
 * Output:  the test runner's, and a last line `N passed, N failed`
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "..");

const directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-test-"));
const reportPath = join(directory, "junit.xml");
const args = process.argv.slice(2);
const child = Bun.spawn(
  [
    process.execPath,
    "test",
    "--timeout=120000",
    "--reporter=junit",
    `--reporter-outfile=${reportPath}`,
    ...args,
  ],
  { cwd: ROOT, stdio: ["ignore", "inherit", "inherit"] },
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

/** Test files that the report does not know: their tests vanish when loading them fails or ends early. */
function filesWithoutTests(report: string): string[] {
  const files = [...new Bun.Glob("test/**/*.test.ts").scanSync({ cwd: ROOT })];
  return files.filter((file) => !report.includes(`file="${file}"`)).sort();
}
