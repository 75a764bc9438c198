/**
 * Measures the tool against what it costs merely to carry the bytes (the floor), against what its own requests cost the
 * server, against the server's own join, and against a program as one would write it first (naive): into tables that keep
 * nothing, into the real events and events_full, and with rows of 50 kB. Each runs as a process of its own, several times
 * in turn, on the local ClickHouse.
 *
 *   bun run bench [--observations 1000000] [--traces 100000] [--seed 1] [--runs 3] [--only floor,requests,tool,server,join,naive]
 *                 [--binary PATH] [--json PATH]
 *   bun run bench --linear         time per row of a small and of a large month, and of the pages of one huge group
 *   bun run bench --traces-load    loading five million traces, and the memory they take
 *   bun run bench --far            the tool over simulated networks, with each compression and other sizes
 *   bun run bench --verify         verify of a copied month, beside reading the same columns
 *   bun run bench --v4             the phases of Langfuse v4: root rows, observations beside the other layout, dataset runs
 *
 * The data is made once and kept under .local/bench; so are the results. Only ratios carry over to other machines: client
 * and server share the cores of this one.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type ArgsDef, defineCommand, runMain } from "citty";
import { runProcess } from "./bench/child.ts";
import {
  type Arena,
  type Contender,
  contendersOf,
  KINDS,
  type Kind,
  wideContendersOf,
  withDirectory,
} from "./bench/contenders.ts";
import { BENCH_DIRECTORY, type Dataset, openDataset } from "./bench/dataset.ts";
import { measureFar } from "./bench/far.ts";
import { checkFlags, fail, numberFlag } from "./bench/flags.ts";
import { noteToolRequests } from "./bench/insert-body.ts";
import { findBestJoin, type Trial } from "./bench/join-trial.ts";
import { describeVariant, type JoinVariant } from "./bench/join-variant.ts";
import { measureLinearity } from "./bench/linear.ts";
import { describeMachine, type Machine, renderMachine } from "./bench/machine.ts";
import type { Plan } from "./bench/plan.ts";
import { type Run, renderSummaries, runOnce, runRounds, type Summary, summarize } from "./bench/rounds.ts";
import { type PeakQuery, watchMemory } from "./bench/server-memory.ts";
import { spreadOf } from "./bench/statistics.ts";
import { type Figure, figuresOf, isMet, renderFigures } from "./bench/targets.ts";
import { measureTraces } from "./bench/traces-load.ts";
import { measureV4 } from "./bench/v4.ts";
import { measureVerify } from "./bench/verify.ts";
import { buildBinary } from "./build/binary.ts";

/** A hundredth of the month's rows, each some forty times as large. */
const WIDE_SHARE = 0.02;
const HELP_RUNS = 20;
const USUAL_JOIN: JoinVariant = { statement: "lean", algorithm: "parallel_hash", insertThreads: 1 };

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
    description: "the tool to measure; without it the tool is built from the sources",
  },
  json: {
    type: "string",
    default: "",
    description: "where the results go (default: .local/bench/results-<time>.json)",
  },
  linear: { type: "boolean", default: false, description: "measure how time grows with size" },
  "traces-load": { type: "boolean", default: false, description: "measure loading traces" },
  far: { type: "boolean", default: false, description: "measure over simulated networks" },
  verify: { type: "boolean", default: false, description: "measure comparing a month that was copied" },
  v4: { type: "boolean", default: false, description: "measure the phases of Langfuse v4" },
} as const satisfies ArgsDef;

await runMain(
  defineCommand({
    meta: { name: "bench", description: "Measures the tool against its limits" },
    args: ARGS,
    async run({ args, rawArgs }) {
      const flags = checkFlags(ARGS, args, rawArgs);
      const only = kindsOf(args.only);
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

function kindsOf(text: string): Kind[] {
  return text.split(",").map((name) => {
    const kind = KINDS.find((known) => known === name);
    return kind ?? fail(`--only ${name}: expected ${KINDS.join(", ")}`);
  });
}

/** What was measured, of which every kind has figures. */
interface Result {
  readonly figures: readonly Figure[];
}

/** What was measured of a month of usual rows. */
interface MonthResult {
  readonly machine: Machine;
  readonly wireBytes: number;
  readonly join: { readonly best: JoinVariant; readonly trials: readonly Trial[] };
  readonly runs: readonly Run[];
  readonly summaries: readonly Summary[];
  readonly toolPeak: PeakQuery | null;
  readonly enginePeak: PeakQuery | null;
  readonly joinPeak: PeakQuery | null;
  readonly helpMs: number | null;
}

/** What is to be measured instead of the contenders. */
interface Mode {
  readonly linear: boolean;
  readonly "traces-load": boolean;
  readonly far: boolean;
  readonly verify: boolean;
  readonly v4: boolean;
}

function usualObservations({ linear, far }: Mode): number {
  if (far) return 200_000;
  return linear ? 5_000_000 : 1_000_000;
}

function usualTraces({ "traces-load": tracesLoad, far }: Mode): number {
  if (far) return 20_000;
  return tracesLoad ? 5_000_000 : 100_000;
}

async function measure(plan: Plan, mode: Mode, only: readonly Kind[]): Promise<Result> {
  if (mode.far) return await measureFar(plan, say);
  if (mode.linear) return await measureLinearity(plan, say);
  if (mode.verify) return await measureVerify(plan, say);
  if (mode.v4) return await measureV4(plan, say);
  return mode["traces-load"] ? await measureTraces(plan, say) : await compare(plan, only);
}

/** Measures the chosen contenders in turn, with usual rows and with wide ones. */
async function compare(
  plan: Plan,
  only: readonly Kind[],
): Promise<MonthResult & Result & { wide: readonly Summary[] }> {
  const month = await compareMonth(plan, only);
  const wide = await compareWide(plan, only);
  return { ...month, wide, figures: figuresOf({ observations: plan.observations, ...month, wide }) };
}

async function compareWide(plan: Plan, only: readonly Kind[]): Promise<Summary[]> {
  const { observations, traces, seed, binary } = plan;
  const dataset = await openDataset(
    {
      observations: Math.ceil(observations * WIDE_SHARE),
      traces: Math.ceil(traces * WIDE_SHARE),
      seed,
      shape: "wide",
    },
    say,
  );
  try {
    const arena: Arena = { url: dataset.server.url, binary, join: USUAL_JOIN };
    const contenders = wideContendersOf(arena).filter(({ kind }) => only.includes(kind));
    const all = await runRounds(dataset, contenders, plan.runs, say);
    const summaries = contenders.map(({ name }) => summarize(name, all, dataset));
    if (summaries.length > 0) console.log(`\nRows of 50 kB\n${renderSummaries(summaries)}`);
    return summaries;
  } finally {
    await dataset.stop();
  }
}

async function compareMonth(plan: Plan, only: readonly Kind[]): Promise<MonthResult> {
  const { observations, traces, seed, runs } = plan;
  const dataset = await openDataset({ observations, traces, seed, shape: "month" }, say);
  try {
    const machine = describeMachine((await dataset.server.query("SELECT version()")).trim());
    tellAbout(machine, dataset);
    const join = await bestJoin(dataset, only);
    const arena: Arena = { url: dataset.server.url, binary: plan.binary, join: join.best };
    const contenders = contendersOf(arena).filter(({ kind }) => only.includes(kind));
    if (only.includes("requests")) await noteToolRequests(dataset);
    const all = await runRounds(dataset, contenders, runs, say);
    const summaries = contenders.map(({ name }) => summarize(name, all, dataset));
    const toolPeak = await peakOf(dataset, contenders, "tool, at its defaults, into events");
    const enginePeak = await peakOf(dataset, contenders, "tool, --engine server, into events");
    const joinPeak = await peakOf(dataset, contenders, "server join, into events");
    const helpMs = only.includes("tool") ? await measureHelp(plan.binary) : null;
    console.log(`\n${renderSummaries(summaries)}`);
    const { wireBytes } = dataset;
    return {
      machine,
      wireBytes,
      join,
      runs: all,
      summaries,
      toolPeak,
      enginePeak,
      joinPeak,
      helpMs,
    };
  } finally {
    await dataset.stop();
  }
}

async function bestJoin(
  dataset: Dataset,
  only: readonly Kind[],
): Promise<{ best: JoinVariant; trials: Trial[] }> {
  if (!only.includes("join")) return { best: USUAL_JOIN, trials: [] };
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
