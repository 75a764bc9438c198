/**
 * Backfills generated data while requests fail at random and the compiled program is killed at random and started again
 * with other sizes, until it is done; then compares every row with what SQL says.
 *
 * Usage:   bun run test:chaos [--runs N] [--seed N] [--only N] [--jobs N]
 *          --runs  how many such stories (default 300)
 *          --seed  of the first one (default: random); the others have the numbers that follow
 *          --only  the seed of a single story, to see it again
 *          --jobs  stories at a time (default 2)
 * Output:  the totals; for each story that did not end as expected, the command that repeats it and the directory of its
 *          evidence, and exit code 1. A seed repeats data, sizes, faults and the plan of the kills; where exactly a kill
 *          lands is up to the machine.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { testServer } from "../../scripts/testbed/server.ts";
import { describeFailure, playStories, renderTally } from "./runner.ts";

const PROGRESS_EVERY = 25;

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "300" },
    seed: { type: "string" },
    only: { type: "string" },
    jobs: { type: "string", default: "2" },
  },
});
const chosen = values.only ?? values.seed;
const seed = chosen === undefined ? Math.floor(Math.random() * 2 ** 31) : wholeNumber(chosen);
const stories = values.only === undefined ? wholeNumber(values.runs) : 1;
const directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-chaos-"));
console.log(`${stories} runs from seed ${seed}`);
const startMs = performance.now();
const { tally, failures } = await playStories({
  server: await testServer(),
  seed,
  stories,
  jobs: wholeNumber(values.jobs),
  directory,
  onStory: (done) => {
    if (done % PROGRESS_EVERY === 0) console.log(`${done} of ${stories} runs`);
  },
});
const seconds = Math.round((performance.now() - startMs) / 1000);
for (const line of renderTally(tally)) console.log(line);
console.log(
  `${stories} runs from seed ${seed} in ${seconds} s: ${tally.sum("starts")} starts, ${tally.sum("starts") - stories} of them restarts, ` +
    `${tally.sum("kills")} kills, ${tally.sum("faults")} faults; ${failures.length} runs failed`,
);
for (const failure of failures) console.error(describeFailure(failure));
if (failures.length === 0) rmSync(directory, { recursive: true });
process.exit(failures.length === 0 ? 0 : 1);

function wholeNumber(text: string): number {
  if (!/^\d{1,10}$/.test(text)) {
    console.error(`${text}: expected a whole number`);
    process.exit(1);
  }
  return Number(text);
}
