import { runProcess } from "./child.ts";
import { type Contender, script, toolCommand } from "./contenders.ts";
import { TABLES } from "./data.ts";
import { openDataset } from "./dataset.ts";
import type { Plan, Tell } from "./plan.ts";
import { type Run, runRounds } from "./rounds.ts";
import { type Spread, spreadOf } from "./statistics.ts";
import type { Figure } from "./targets.ts";
import type { WatchedRun } from "./watched-run.ts";

/** A month is compared with one of a tenth of its size, and with one huge group of a part of it. */
const SMALL_SHARE = 0.1;
const GROUP_SHARE = 0.6;
const WORKERS = 2;

/** What a row costs in a month of that many rows: nanoseconds of time, and of the client's processor. */
interface RowCost {
  readonly rows: number;
  readonly time: Spread;
  readonly cpu: Spread;
}

interface Linearity {
  readonly nsPerRow: readonly RowCost[];
  /** Nanoseconds a row of each page, page after page. */
  readonly groupPages: readonly number[];
  readonly figures: Figure[];
}

/** Measures how the time per row grows with the size of the month, and from page to page within one group. */
export async function measureLinearity(plan: Plan, tell: Tell): Promise<Linearity> {
  const small = await costPerRow(plan, Math.round(plan.observations * SMALL_SHARE), tell);
  const large = await costPerRow(plan, plan.observations, tell);
  const groupPages = await pageTimes(plan, Math.round(plan.observations * GROUP_SHARE), tell);
  const tenth = Math.max(1, Math.round(groupPages.length / 10));
  // The first page also waits for the plan.
  const first = spreadOf(groupPages.slice(1, 1 + tenth)).median;
  const last = spreadOf(groupPages.slice(-tenth)).median;
  const name = (rows: number): string => rows.toLocaleString("en-US");
  return {
    nsPerRow: [small, large],
    groupPages,
    figures: [
      {
        name: `time per row: ${name(large.rows)} ÷ ${name(small.rows)} observations`,
        value: large.time.median / small.time.median,
        unit: "",
        limit: 1.1,
      },
      {
        name: "time per row in one group: last tenth of its pages ÷ first",
        value: last / first,
        unit: "",
        limit: 1.3,
      },
    ],
  };
}

async function costPerRow(plan: Plan, rows: number, tell: Tell): Promise<RowCost> {
  const traces = Math.ceil(rows / 10);
  const dataset = await openDataset({ observations: rows, traces, seed: plan.seed, shape: "month" }, tell);
  try {
    const arena = { url: dataset.server.url, binary: plan.binary };
    const contender: Contender = {
      kind: "tool",
      name: `tool, ${WORKERS} workers, ${rows.toLocaleString("en-US")} observations`,
      target: TABLES.eventsNull,
      command: (directory) => [
        ...toolCommand(arena, TABLES.eventsNull),
        ...["--parallel-workers", String(WORKERS), "--cursor-state-dir", directory],
      ],
    };
    const runs = await runRounds(dataset, [contender], plan.runs, tell);
    const nsPerRow = (ms: (run: Run) => number): Spread =>
      spreadOf(runs.map((run) => (ms(run) * 1e6) / rows));
    const cost: RowCost = {
      rows,
      time: nsPerRow(({ wallMs }) => wallMs),
      cpu: nsPerRow(({ cpuMs }) => cpuMs),
    };
    tell(
      `${rows.toLocaleString("en-US")} observations: ${(cost.time.median / 1000).toFixed(2)} µs a row, ${(cost.cpu.median / 1000).toFixed(2)} µs of the client's processor`,
    );
    return cost;
  } finally {
    await dataset.stop();
  }
}

/** The times of the pages of one group, each page's the median of several runs. */
async function pageTimes(plan: Plan, rows: number, tell: Tell): Promise<number[]> {
  const traces = Math.ceil(rows / 10);
  const dataset = await openDataset({ observations: rows, traces, seed: plan.seed, shape: "group" }, tell);
  try {
    const runs: number[][] = [];
    for (let run = 0; run < plan.runs; run++) {
      const { stdout } = await runProcess(
        script("watched-run.ts", dataset.server.url, TABLES.eventsNull, "1"),
      );
      const { pages } = JSON.parse(stdout) as WatchedRun;
      runs.push(
        pages.map((page, i) => ((page.finishedMs - (pages[i - 1]?.finishedMs ?? 0)) * 1e6) / page.rows),
      );
      tell(`one group of ${rows.toLocaleString("en-US")}, run ${run + 1}: ${pages.length} pages`);
    }
    return (runs[0] ?? []).map((_, page) => spreadOf(runs.map((run) => run[page] ?? Number.NaN)).median);
  } finally {
    await dataset.stop();
  }
}
