/**
 * Runs the tool under each value of each setting of the engine, as a user's profile, and compares every column of what it
 * stores with what SQL says. Then a value is changed and a row is taken away, and `verify` runs under the same profile: it must find
 * these two differences, and no other. Shows that the list of required settings is complete.
 *
 * Usage:   bun run test:settings [--only NAME[=VALUE]] [--sample N] [--seed N] [--jobs N] [--group N] [--tables] [--layout events|v4]
 *          [--engine client|server] [--check all|run] [--evidence FILE]
 *          --only      the trials of one setting, or a single one
 *          --sample    that many trials, drawn at random, and those that were wrong once (default: all)
 *          --seed      of the data and of the sample (default: random)
 *          --jobs      concurrent trials (default 2)
 *          --group     that many settings share a run, and are tried separately where it is not exact (default 12; with 30 all took 23 minutes
 *                      on two busy cores); 1 also sees settings that would cancel each other, in several times as long
 *          --tables    settings of the tables instead of those of users
 *          --layout    what the target is made of (default events)
 *          --engine    who enriches the rows of a month (default client)
 *          --check     run: without `verify`, in half the time (default all)
 *          --evidence  a file that gets a line of JSON for each trial
 * Output:  counts by outcome (exact, refused, silent, hung), and each outcome that is wrong; exit code 1 where
 *          there is one. A comparison that finds too little or too much is silent as well.
 */
import { appendFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { isGood, renderVerdicts } from "./report.ts";
import { sweep } from "./runner.ts";
import { chooseTrials } from "./sample.ts";

const PROGRESS_EVERY = 100;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    sample: { type: "string" },
    seed: { type: "string" },
    jobs: { type: "string", default: "2" },
    group: { type: "string", default: "12" },
    tables: { type: "boolean", default: false },
    layout: { type: "string", default: "events" },
    engine: { type: "string", default: "client" },
    check: { type: "string", default: "all" },
    evidence: { type: "string" },
  },
});
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : wholeNumber(values.seed);
const startMs = performance.now();
const { trials, summary } = await chooseTrials({
  seed,
  ofTables: values.tables,
  ...(values.only === undefined ? {} : { only: values.only }),
  ...(values.sample === undefined ? {} : { sample: wholeNumber(values.sample) }),
});
console.log(`${summary}; seed ${seed}`);
if (trials.length === 0) {
  console.error(`--only ${values.only}: no such trial`);
  process.exit(1);
}
const verdicts = await sweep({
  trials,
  seed,
  jobs: wholeNumber(values.jobs),
  groupSize: wholeNumber(values.group),
  layout: oneOf("layout", values.layout, ["events", "v4"]),
  engine: oneOf("engine", values.engine, ["client", "server"]),
  isVerified: oneOf("check", values.check, ["all", "run"]) === "all",
  onVerdict: (verdict, done) => {
    if (values.evidence !== undefined) appendFileSync(values.evidence, `${JSON.stringify(verdict)}\n`);
    if (done % PROGRESS_EVERY === 0) console.log(`${done} of ${trials.length}, ${seconds()} s`);
  },
});
for (const line of renderVerdicts(verdicts)) console.log(line);
const bad = verdicts.filter((verdict) => !isGood(verdict));
console.log(`${verdicts.length} runs from seed ${seed} in ${seconds()} s; ${bad.length} are wrong`);
process.exit(bad.length === 0 ? 0 : 1);

function seconds(): number {
  return Math.round((performance.now() - startMs) / 1000);
}

function oneOf<Name extends string>(option: string, text: string, names: readonly Name[]): Name {
  const found = names.find((name) => name === text);
  if (found !== undefined) return found;
  console.error(`--${option} ${text}: expected ${names.join(" or ")}`);
  process.exit(1);
}

function wholeNumber(text: string): number {
  if (!/^\d{1,10}$/.test(text)) {
    console.error(`${text}: expected a whole number`);
    process.exit(1);
  }
  return Number(text);
}
