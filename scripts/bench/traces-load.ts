import { indexBytes } from "../../src/traces/store.ts";
import { type ProcessCost, runProcess } from "./child.ts";
import { script, toolCommand, withDirectory } from "./contenders.ts";
import { TABLES } from "./data.ts";
import { openDataset } from "./dataset.ts";
import type { Plan, Tell } from "./plan.ts";
import { spreadOf } from "./statistics.ts";
import type { Figure } from "./targets.ts";
import { ALLOWED_BYTES_PER_TRACE, ownBytesOf } from "./trace-bytes.ts";
import type { WatchedRun } from "./watched-run.ts";

/** Few, so that the traces are all that matters. */
const OBSERVATIONS = 1_000;
const WORKERS = 2;

interface TracesLoad {
  readonly traces: number;
  readonly ownBytes: number;
  readonly storeBytes: number;
  readonly watched: readonly WatchedRun[];
  readonly runs: readonly ProcessCost[];
  readonly figures: Figure[];
}

/** What the process may take in addition to the trace store. */
const ALLOWED_BYTES_BESIDES_STORE = 280e6;

/** Measures how fast traces are loaded and what they take, by dry runs over few observations. */
export async function measureTraces(plan: Plan, tell: Tell): Promise<TracesLoad> {
  const { traces, seed } = plan;
  const dataset = await openDataset({ observations: OBSERVATIONS, traces, seed, shape: "month" }, tell);
  try {
    const ownBytes = await ownBytesOf(dataset);
    const watched: WatchedRun[] = [];
    const runs: ProcessCost[] = [];
    const { url } = dataset.server;
    for (let run = 0; run < plan.runs; run++) {
      const command = script("watched-run.ts", url, TABLES.eventsNull, String(WORKERS), "--dry-run");
      const seen = JSON.parse((await runProcess(command)).stdout) as WatchedRun;
      watched.push(seen);
      const flags = ["--parallel-workers", String(WORKERS), "--dry-run"];
      const tool = [...toolCommand({ url, binary: plan.binary }, TABLES.eventsNull), ...flags];
      const { stdout: _, ...cost } = await withDirectory((directory) =>
        runProcess([...tool, "--cursor-state-dir", directory]),
      );
      runs.push(cost);
      tell(
        `run ${run + 1}: ${seen.tracesLoaded.toLocaleString("en-US")} traces read in ${(seen.lastTraceMs / 1000).toFixed(2)} s, store complete after ${(seen.firstRowsMs / 1000).toFixed(2)} s; the whole dry run ${(cost.wallMs / 1000).toFixed(2)} s, ${(cost.cpuMs / 1000).toFixed(2)} s of CPU, peak RSS ${(cost.peakRssBytes / 1e6).toFixed(0)} MB`,
      );
    }
    const recordBytes = watched[0]?.traceBytes ?? Number.NaN;
    const storeBytes = recordBytes + indexBytes(traces);
    const figures = figuresOf(traces, ownBytes, storeBytes, watched, runs);
    return { traces, ownBytes, storeBytes, watched, runs, figures };
  } finally {
    await dataset.stop();
  }
}

function figuresOf(
  traces: number,
  ownBytes: number,
  storeBytes: number,
  watched: readonly WatchedRun[],
  runs: readonly ProcessCost[],
): Figure[] {
  const perTrace = (bytes: number): number => bytes / traces;
  const loadMs = spreadOf(watched.map(({ firstRowsMs }) => firstRowsMs)).median;
  const rssBytes = spreadOf(runs.map(({ peakRssBytes }) => peakRssBytes)).median;
  return [
    {
      name: "loading, until the first rows are copied: time per million traces",
      value: loadMs / 1000 / (traces / 1e6),
      unit: "s",
      limit: 1,
    },
    {
      name: `trace store beyond the traces' own ${perTrace(ownBytes).toFixed(0)} bytes each`,
      value: perTrace(storeBytes) - perTrace(ownBytes),
      unit: "B",
      limit: ALLOWED_BYTES_PER_TRACE,
    },
    {
      name: `peak RSS, ${WORKERS} workers, trace store included`,
      value: rssBytes / 1e6,
      unit: "MB",
      limit: (ALLOWED_BYTES_BESIDES_STORE + ownBytes + traces * ALLOWED_BYTES_PER_TRACE) / 1e6,
    },
  ];
}
