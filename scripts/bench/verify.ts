import { identifier } from "../../src/clickhouse/sql.ts";
import { type ProcessCost, runProcess } from "./child.ts";
import { toolCommand, withDirectory } from "./contenders.ts";
import { PARTITION, TABLES } from "./data.ts";
import { DATABASE, type Dataset, openDataset } from "./dataset.ts";
import type { Plan, Tell } from "./plan.ts";
import { type Spread, spreadOf } from "./statistics.ts";
import { emptyStored, mergesDone } from "./stored.ts";
import type { Figure } from "./targets.ts";

/** What comparing a month takes, beside reading the same columns of both sides. */
interface VerifyCosts {
  readonly target: string;
  readonly plainMs: Spread;
  readonly verifyMs: Spread;
  readonly quickMs: Spread;
  readonly peakRssBytes: Spread;
}

interface Verification {
  readonly costs: readonly VerifyCosts[];
  readonly figures: Figure[];
}

const MAX_OF_A_PLAIN_READ = 1.5;
/** Two million rows a second. */
const MAX_QUICK_SECONDS = 0.5;
const MAX_RSS_MB = 100;

/** Measures `verify` of a month that was copied, into each table that keeps rows. */
export async function measureVerify(plan: Plan, tell: Tell): Promise<Verification> {
  const { observations, traces, seed } = plan;
  const dataset = await openDataset({ observations, traces, seed, shape: "month" }, tell);
  try {
    const costs: VerifyCosts[] = [];
    for (const target of [TABLES.eventsFull, TABLES.events]) {
      costs.push(await costsOf(dataset, plan, target, tell));
    }
    return { costs, figures: costs.flatMap((cost) => figuresOf(cost, observations)) };
  } finally {
    await dataset.stop();
  }
}

function figuresOf(
  { target, plainMs, verifyMs, quickMs, peakRssBytes }: VerifyCosts,
  rows: number,
): Figure[] {
  return [
    {
      name: `${target}: verify ÷ reading both sides`,
      value: verifyMs.median / plainMs.median,
      unit: "",
      limit: MAX_OF_A_PLAIN_READ,
    },
    {
      name: `${target}: verify --quick`,
      value: quickMs.median / 1000 / (rows / 1e6),
      unit: "s per million rows",
      limit: MAX_QUICK_SECONDS,
    },
    { name: `${target}: verify, peak RSS`, value: peakRssBytes.median / 1e6, unit: "MB", limit: MAX_RSS_MB },
  ];
}

async function costsOf(dataset: Dataset, plan: Plan, target: string, tell: Tell): Promise<VerifyCosts> {
  const arena = { url: dataset.server.url, binary: plan.binary };
  await emptyStored(dataset);
  const flags = toolCommand(arena, target).slice(1);
  const tool = async (command: readonly string[], ...more: readonly string[]): Promise<ProcessCost> =>
    await withDirectory((directory) =>
      runProcess([plan.binary, ...command, ...flags, "--cursor-state-dir", directory, ...more]),
    );
  await tool([]);
  await mergesDone(dataset);
  const columns = await insertableColumns(dataset, target);
  const [plain, whole, quick]: [number[], ProcessCost[], number[]] = [[], [], []];
  for (let round = 0; round < plan.runs; round++) {
    plain.push(await readBothSides(dataset, target, columns));
    whole.push(await tool(["verify"]));
    quick.push((await tool(["verify"], "--quick")).wallMs);
    tell(
      `${target}, round ${round + 1}: reading ${seconds(plain)}, verify ${seconds(whole.map(({ wallMs }) => wallMs))}, --quick ${seconds(quick)}`,
    );
  }
  return {
    target,
    plainMs: spreadOf(plain),
    verifyMs: spreadOf(whole.map(({ wallMs }) => wallMs)),
    quickMs: spreadOf(quick),
    peakRssBytes: spreadOf(whole.map(({ peakRssBytes }) => peakRssBytes)),
  };
}

function seconds(times: readonly number[]): string {
  return `${((times.at(-1) ?? Number.NaN) / 1000).toFixed(2)} s`;
}

/** The columns that an INSERT may name: a run fills most of them. */
async function insertableColumns({ server }: Dataset, target: string): Promise<string[]> {
  const rows = await server.queryJson<{ name: string }>(
    `SELECT name FROM system.columns
     WHERE database = '${DATABASE}' AND table = '${target}' AND default_kind IN ('', 'DEFAULT') ORDER BY position`,
  );
  return rows.map(({ name }) => name);
}

/** Milliseconds in which the server reads both sides at once, as FINAL shows them, and throws the values away. */
async function readBothSides(
  { server }: Dataset,
  target: string,
  columns: readonly string[],
): Promise<number> {
  const startedMs = performance.now();
  const read = async (list: string, table: string): Promise<unknown> =>
    await server.query(
      `SELECT ${list} FROM ${identifier(table)} FINAL WHERE _partition_id = '${PARTITION}' FORMAT Null`,
      { database: DATABASE },
    );
  await Promise.all([read(columns.map(identifier).join(", "), target), read("*", TABLES.source)]);
  return performance.now() - startedMs;
}
