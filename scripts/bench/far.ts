import type { Compression } from "../../src/clickhouse/connection.ts";
import { type Contender, toolCommand } from "./contenders.ts";
import { TABLES } from "./data.ts";
import { type Dataset, openDataset } from "./dataset.ts";
import { type Link, SimulatedNetwork, type Traffic } from "./network.ts";
import type { Plan, Tell } from "./plan.ts";
import { type Run, runOnce } from "./rounds.ts";
import { renderColumns, spreadOf } from "./statistics.ts";
import type { Figure } from "./targets.ts";

const LOCAL: Link = { name: "same machine", roundTripMs: 0, bitsPerSecond: Number.POSITIVE_INFINITY };
const ZONE: Link = { name: "1 ms, 1 Gbit/s", roundTripMs: 1, bitsPerSecond: 1e9 };
const FAR: Link = { name: "40 ms, 100 Mbit/s", roundTripMs: 40, bitsPerSecond: 1e8 };

interface Choice {
  readonly compression: Compression;
  readonly workers: number;
  readonly batchRows: number;
  readonly pageRows: number;
}

/** Pages are smaller than usual, so that there are enough of them for eight workers. */
const USUAL: Choice = { compression: "none", workers: 4, batchRows: 10_000, pageRows: 12_500 };

interface Trial {
  readonly link: Link;
  readonly choice: Choice;
}

function trials(): Trial[] {
  const compressions = (["none", "zstd", "gzip"] as const).map((compression) => ({ ...USUAL, compression }));
  const workers = (["none", "zstd"] as const).flatMap((compression) =>
    [1, 2, 8].map((count) => ({ ...USUAL, compression, workers: count })),
  );
  const sizes = (["none", "zstd"] as const).flatMap((compression) => [
    { ...USUAL, compression, batchRows: 2000 },
    { ...USUAL, compression, pageRows: 3000 },
    { ...USUAL, compression, pageRows: 50_000 },
    { ...USUAL, compression, pageRows: 50_000, batchRows: 50_000 },
  ]);
  return [
    ...compressions.map((choice) => ({ link: LOCAL, choice })),
    ...[...compressions, ...workers].map((choice) => ({ link: ZONE, choice })),
    ...[...compressions, ...workers, ...sizes].map((choice) => ({ link: FAR, choice })),
  ];
}

interface TrialRuns extends Trial {
  readonly runs: readonly (Run & { readonly traffic: Traffic })[];
}

/** The tool with each choice over each link, into a table that keeps nothing and computes nothing. */
export async function measureFar(
  plan: Plan,
  tell: Tell,
): Promise<{ figures: Figure[]; trials: TrialRuns[] }> {
  const { observations, traces, seed } = plan;
  const dataset = await openDataset({ observations, traces, seed, shape: "month" }, tell);
  try {
    const measured: TrialRuns[] = [];
    for (const trial of trials()) {
      const runs: (Run & { traffic: Traffic })[] = [];
      for (let run = 0; run < plan.runs; run++) runs.push(await runOver(dataset, plan.binary, trial));
      measured.push({ ...trial, runs });
      tell(`${trial.link.name}, ${describe(trial.choice)}: ${seconds(runs.map(({ wallMs }) => wallMs))} s`);
    }
    tell(`\n${renderTrials(measured)}`);
    return { figures: [], trials: measured };
  } finally {
    await dataset.stop();
  }
}

async function runOver(
  dataset: Dataset,
  binary: string,
  { link, choice }: Trial,
): Promise<Run & { traffic: Traffic }> {
  const network = await SimulatedNetwork.start(dataset.server.url, link);
  const { compression, workers, batchRows, pageRows } = choice;
  const contender: Contender = {
    kind: "tool",
    name: `${link.name}, ${describe(choice)}`,
    target: TABLES.eventsPlain,
    command: (directory) => [
      ...toolCommand({ url: network.url, binary }, TABLES.eventsPlain),
      ...[
        "--parallel-workers",
        String(workers),
        "--compression",
        compression,
        "--batch-size",
        String(batchRows),
      ],
      ...["--stream-block-size", String(pageRows), "--cursor-state-dir", directory],
    ],
  };
  try {
    return { ...(await runOnce(dataset, contender)), traffic: network.traffic };
  } finally {
    await network.stop();
  }
}

function renderTrials(measured: readonly TrialRuns[]): string {
  const head = ["", "wall s", "client CPU s", "server CPU s", "peak RSS MB", "MB down", "MB up"];
  const lines = measured.map(({ link, choice, runs }) => [
    `${link.name}, ${describe(choice)}`,
    seconds(runs.map(({ wallMs }) => wallMs)),
    seconds(runs.map(({ cpuMs }) => cpuMs)),
    seconds(runs.flatMap(({ serverCpuMs }) => serverCpuMs ?? [])),
    megabytes(runs.map(({ peakRssBytes }) => peakRssBytes)),
    megabytes(runs.map(({ traffic }) => traffic.toClient)),
    megabytes(runs.map(({ traffic }) => traffic.toServer)),
  ]);
  return renderColumns([head, ...lines]);
}

function describe({ compression, workers, batchRows, pageRows }: Choice): string {
  return `${compression}, ${workers} workers, batches of ${batchRows}, pages of ${pageRows}`;
}

function seconds(values: readonly number[]): string {
  return (spreadOf(values).median / 1000).toFixed(2);
}

function megabytes(values: readonly number[]): string {
  return (spreadOf(values).median / 1e6).toFixed(0);
}
