import { runProcess } from "./child.ts";
import { withDirectory } from "./contenders.ts";
import { type DataSize, PARTITION, TABLES } from "./data.ts";
import { DATABASE, openDataset } from "./dataset.ts";
import type { Plan, Tell } from "./plan.ts";
import { rowsOf } from "./rounds.ts";
import { type Spread, spreadOf } from "./statistics.ts";
import type { Figure } from "./targets.ts";

/** Runs into a table that keeps nothing. */
interface V4Measurement {
  /** Root rows, made of traces. */
  readonly roots: Copies;
  /** A month's observations, in each layout. */
  readonly observations: { readonly v4: Copies; readonly events: Copies };
  /** Traces of dataset runs, root rows included, and their observations copied plain. */
  readonly experiments: { readonly v4: Copies; readonly plain: Copies };
  readonly figures: Figure[];
}

/** What several runs of one kind wrote, each of them, and how long they took. */
interface Copies {
  readonly rows: number;
  readonly wallMs: Spread;
}

/** 200,000 root rows a second. */
const MAX_ROOT_SECONDS = 5;
const MAX_OF_EVENTS = 1.05;
const MAX_OF_PLAIN = 2;

/** Measures each phase of Langfuse v4, beside what it is compared with. */
export async function measureV4(plan: Plan, tell: Tell): Promise<V4Measurement> {
  const { observations: count, traces, seed } = plan;
  const month: DataSize = { observations: count, traces, seed, shape: "month" };
  const observations = await inTurn(plan, month, tell, {
    v4: ["--layout", "v4", "--only", "observations"],
    events: ["--layout", "events"],
  });
  const ofRuns: DataSize = { observations: count, traces: count, seed, shape: "runs" };
  const { roots, ...experiments } = await inTurn(plan, ofRuns, tell, {
    roots: ["--layout", "v4", "--only", "roots"],
    v4: ["--layout", "v4", "--only", "experiments"],
    plain: ["--layout", "events"],
  });
  const ratio = (one: Copies, other: Copies): number => one.wallMs.median / other.wallMs.median;
  return {
    roots,
    observations,
    experiments,
    figures: [
      {
        name: "root rows into Null: time per million",
        value: roots.wallMs.median / 1000 / (roots.rows / 1e6),
        unit: "s",
        limit: MAX_ROOT_SECONDS,
      },
      {
        name: "observations into Null: v4 ÷ events",
        value: ratio(observations.v4, observations.events),
        unit: "",
        limit: MAX_OF_EVENTS,
      },
      {
        name: "experiments into Null: v4 ÷ plain",
        value: ratio(experiments.v4, experiments.plain),
        unit: "",
        limit: MAX_OF_PLAIN,
      },
    ],
  };
}

/** Runs the tool with each of the flags in turn, `plan.runs` times. */
async function inTurn<Name extends string>(
  plan: Plan,
  size: DataSize,
  tell: Tell,
  flagsOf: Readonly<Record<Name, readonly string[]>>,
): Promise<Record<Name, Copies>> {
  const dataset = await openDataset(size, tell);
  const names = Object.keys(flagsOf) as Name[];
  const runs = new Map(names.map((name) => [name, [] as { rows: number; wallMs: number }[]]));
  const { server } = dataset;
  const tables = [
    "--clickhouse-db",
    DATABASE,
    "--target-table",
    TABLES.eventsFullNull,
    "--allow-missing-view",
  ];
  const command = [plan.binary, "--partition", PARTITION, "--clickhouse-url", server.url, ...tables];
  try {
    for (let round = 0; round < plan.runs; round++) {
      const first = round % names.length;
      for (const name of [...names.slice(first), ...names.slice(0, first)]) {
        const { stdout, wallMs } = await withDirectory((directory) =>
          runProcess([...command, "--cursor-state-dir", directory, ...flagsOf[name]]),
        );
        const rows = rowsOf(stdout) ?? Number.NaN;
        runs.get(name)?.push({ rows, wallMs });
        const seconds = (wallMs / 1000).toFixed(2);
        tell(
          `round ${round + 1}: ${flagsOf[name].join(" ")}, ${rows.toLocaleString("en-US")} rows in ${seconds} s`,
        );
      }
    }
  } finally {
    await dataset.stop();
  }
  const copies = [...runs].map(([name, all]) => [
    name,
    { rows: all[0]?.rows ?? Number.NaN, wallMs: spreadOf(all.map(({ wallMs }) => wallMs)) },
  ]);
  return Object.fromEntries(copies) as Record<Name, Copies>;
}
