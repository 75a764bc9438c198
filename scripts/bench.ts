/**
 * Measures the tool against what it costs merely to carry the bytes, against what its own requests cost the server, against
 * the server's own join, and against a program as one would write it first. Each runs as a process of its own, several
 * times in turn, on the local ClickHouse.
 *
 *   bun run bench [--observations 1000000] [--traces 100000] [--seed 1] [--runs 3] [--only floor,requests,tool,join,naive]
 *                 [--binary PATH] [--json PATH]
 *   bun run bench --linear         time per row of a small and of a large month, and of the pages of one huge group
 *   bun run bench --traces-load    loading five million traces, and the memory they take
 *   bun run bench --far            the tool over simulated networks, with each compression and other sizes
 *
 * The data is made once and kept under .local/bench; so are the results. Only ratios carry over to other machines: client
 * and server share the cores of this one.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type ArgsDef, defineCommand, runMain } from "citty";
import { runProcess } from "./bench/child.ts";
import { type Arena, type Contender, contendersOf, withDirectory } from "./bench/contenders.ts";
import { BENCH_DIRECTORY, type Dataset, openDataset } from "./bench/dataset.ts";
import { measureFar } from "./bench/far.ts";
import { checkFlags, fail, numberFlag } from "./bench/flags.ts";
import { noteToolRequests } from "./bench/insert-body.ts";
import { findBestJoin, type Trial } from "./bench/join-trial.ts";
import { describeVariant, type JoinVariant } from "./bench/join-variant.ts";
import { measureLinearity } from "./bench/linear.ts";
import { describeMachine, type Machine, renderMachine } from "./bench/machine.ts";
import type { Plan } from "./bench/plan.ts";
import { renderSummaries, runOnce, runRounds, summarize } from "./bench/rounds.ts";
import { type PeakQuery, watchMemory } from "./bench/server-memory.ts";
import { spreadOf } from "./bench/statistics.ts";
import { type Figure, figuresOf, isMet, renderFigures } from "./bench/targets.ts";
import { allowedStoreBytes } from "./bench/trace-bytes.ts";
import { measureTraces } from "./bench/traces-load.ts";
import { buildBinary } from "./build/binary.ts";

const KINDS = ["floor", "requests", "tool", "join", "naive"] as const;
const HELP_RUNS = 20;

const ARGS = {
  observations: {
    type: "string",
    description: "observations to make; 1,000,000, or 5,000,000 with --linear, or 200,000 with --far",
  },
  traces: { type: "string", description: "traces to make; 100,000, or 5,000,000 with --traces-load" },
  seed: { type: "string", default: "1", description: "another seed makes other data" },
  runs: { type: "string", default: "3", description: "runs of each contender" },
  only: { type: "string", default: KINDS.join(), description: `contenders, of ${KINDS.join(", ")}` },
  binary: {
    type: "string",
    default: "",
    description: "the tool to measure; built from the sources otherwise",
  },
  json: {
    type: "string",
    default: "",
    description: "where the results go; .local/bench/results-<time>.json otherwise",
  },
  linear: { type: "boolean", default: false, description: "measure how time grows with size" },
  "traces-load": { type: "boolean", default: false, description: "measure loading traces" },
  far: { type: "boolean", default: false, description: "measure over simulated networks" },
} as const satisfies ArgsDef;

await runMain(
  defineCommand({
    meta: { name: "bench", description: "Measures the tool against its limits" },
    args: ARGS,
    async run({ args, rawArgs }) {
      const flags = checkFlags(ARGS, args, rawArgs);
      const only = args.only.split(",");
      const unknown = only.find((kind) => !KINDS.some((known) => known === kind));
      if (unknown !== undefined) fail(`--only ${unknown}: expected ${KINDS.join(", ")}`);
      const plan: Plan = {
        observations: numberFlag(flags, "observations", 1, usualObservations(args)),
        traces: numberFlag(flags, "traces", 1, usualTraces(args)),
        seed: numberFlag(flags, "seed", 0),
        runs: numberFlag(flags, "runs", 1),
        binary: args.binary === "" ? await build() : args.binary,
      };
      const begunAt = new Date();
      const result = await measure(plan, args, only);
      if (result.figures.length > 0) console.log(`\n${renderFigures(result.figures)}`);
      const path = args.json === "" ? join(BENCH_DIRECTORY, `results-${fileTime(begunAt)}.json`) : args.json;
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, `${JSON.stringify({ begunAt, plan, ...result }, null, 2)}\n`);
      console.log(`\nOnly ratios carry over to other machines. All figures: ${path}`);
      console.log(verdict(result.figures));
    },
  }),
);

/** What was measured, of which every kind has figures. */
interface Result {
  readonly figures: readonly Figure[];
}

/** What is to be measured instead of the contenders. */
interface Kind {
  readonly linear: boolean;
  readonly "traces-load": boolean;
  readonly far: boolean;
}

function usualObservations({ linear, far }: Kind): number {
  if (far) return 200_000;
  return linear ? 5_000_000 : 1_000_000;
}

function usualTraces({ "traces-load": tracesLoad, far }: Kind): number {
  if (far) return 20_000;
  return tracesLoad ? 5_000_000 : 100_000;
}

async function measure(plan: Plan, kind: Kind, only: readonly string[]): Promise<Result> {
  if (kind.far) return await measureFar(plan, say);
  if (kind.linear) return await measureLinearity(plan, say);
  return kind["traces-load"] ? await measureTraces(plan, say) : await compare(plan, only);
}

/** Measures the chosen contenders in turn. */
async function compare(plan: Plan, only: readonly string[]): Promise<Result> {
  const { observations, traces, seed, runs } = plan;
  const dataset = await openDataset({ observations, traces, seed, shape: "month" }, say);
  try {
    const machine = describeMachine((await dataset.server.query("SELECT version()")).trim());
    tellAbout(machine, dataset);
    const join = await bestJoin(dataset, only);
    const arena: Arena = { url: dataset.server.url, binary: plan.binary, join: join.best };
    const contenders = contendersOf(arena).filter(({ name }) =>
      only.some((kind) => name.split(/\W/).includes(kind)),
    );
    if (only.includes("requests")) await noteToolRequests(dataset);
    const all = await runRounds(dataset, contenders, runs, say);
    const summaries = contenders.map(({ name }) => summarize(name, all, dataset));
    const toolPeak = await peakOf(dataset, contenders, "tool, 2 workers, into Null");
    const joinPeak = await peakOf(dataset, contenders, "server join, into Null");
    const helpMs = only.includes("tool") ? await measureHelp(plan.binary) : null;
    console.log(`\n${renderSummaries(summaries)}`);
    const figures = figuresOf({
      observations,
      summaries,
      toolPeak,
      joinPeak,
      helpMs,
      allowedStoreBytes: await allowedStoreBytes(dataset),
    });
    const result = {
      machine,
      wireBytes: dataset.wireBytes,
      join,
      runs: all,
      summaries,
      toolPeak,
      joinPeak,
      helpMs,
      figures,
    };
    return result;
  } finally {
    await dataset.stop();
  }
}

async function bestJoin(
  dataset: Dataset,
  only: readonly string[],
): Promise<{ best: JoinVariant; trials: Trial[] }> {
  const usual: JoinVariant = { statement: "lean", algorithm: "parallel_hash", insertThreads: 1 };
  if (!only.includes("join")) return { best: usual, trials: [] };
  say("looking for the best way to join");
  const join = await findBestJoin(dataset, say);
  say(`best: ${describeVariant(join.best)}`);
  return join;
}

/** The server's peak memory for any one query of the contender; null when it does not run. */
async function peakOf(
  dataset: Dataset,
  contenders: readonly Contender[],
  name: string,
): Promise<PeakQuery | null> {
  const contender = contenders.find((candidate) => candidate.name === name);
  if (contender === undefined) return null;
  const peak = await watchMemory(dataset.server, () => runOnce(dataset, contender));
  say(
    `${name}: at most ${(peak.bytes / 1e6).toFixed(0)} MB of the server's memory for one query (${peak.query}…)`,
  );
  return peak;
}

/** Milliseconds from the start of `--help` to its end, the median of several. */
async function measureHelp(binary: string): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < HELP_RUNS; run++) {
    times.push((await withDirectory(() => runProcess([binary, "--help"]))).wallMs);
  }
  return spreadOf(times).median;
}

async function build(): Promise<string> {
  const { path, commit } = await buildBinary(join(BENCH_DIRECTORY, "clickhouse-backfill"));
  say(`built the tool from commit ${commit}`);
  return path;
}

function tellAbout(machine: Machine, { size, wireBytes }: Dataset): void {
  const perRow = (wireBytes / size.observations).toFixed(0);
  say(renderMachine(machine));
  say(
    `${size.observations.toLocaleString("en-US")} observations of ${perRow} B on the wire, ${size.traces.toLocaleString("en-US")} traces, seed ${size.seed}`,
  );
}

function verdict(figures: readonly Figure[]): string {
  if (figures.length === 0) return "No target applies to what was measured.";
  const missed = figures.filter((figure) => !isMet(figure)).length;
  return missed === 0 ? "All targets are met." : `${missed} of ${figures.length} targets are not met.`;
}

function fileTime(time: Date): string {
  return time.toISOString().slice(0, 19).replaceAll(":", "");
}

function say(line: string): void {
  console.log(line);
}
