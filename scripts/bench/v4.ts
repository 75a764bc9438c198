import type { Contender } from "./contenders.ts";
import { type DataSize, PARTITION, TABLES, tracesWithSpans } from "./data.ts";
import { DATABASE, openDataset } from "./dataset.ts";
import type { Plan, Tell } from "./plan.ts";
import { runRounds } from "./rounds.ts";
import { type Spread, spreadOf } from "./statistics.ts";
import type { Figure } from "./targets.ts";

/** Milliseconds of runs into a table that keeps nothing. */
interface V4Measurement {
  /** Root rows, made of traces. */
  readonly roots: Spread;
  /** A month's observations, in each layout. */
  readonly observations: { readonly v4: Spread; readonly events: Spread };
  /** Traces of dataset runs, root rows included, and their observations copied plain. */
  readonly experiments: { readonly v4: Spread; readonly plain: Spread };
  readonly figures: Figure[];
}

/** A way to run the tool, and how many rows it writes. */
interface Way {
  readonly flags: readonly string[];
  readonly rows: number;
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
    v4: { flags: ["--layout", "v4", "--only", "observations"], rows: count },
    events: { flags: ["--layout", "events"], rows: count },
  });
  const ofRuns: DataSize = { observations: count, traces: count, seed, shape: "runs" };
  const named = tracesWithSpans(ofRuns);
  const rootRows = ofRuns.traces - named;
  const { roots, ...experiments } = await inTurn(plan, ofRuns, tell, {
    roots: { flags: ["--layout", "v4", "--only", "roots"], rows: rootRows },
    v4: { flags: ["--layout", "v4", "--only", "experiments"], rows: named + count },
    plain: { flags: ["--layout", "events"], rows: count },
  });
  const ratio = (one: Spread, other: Spread): number => one.median / other.median;
  return {
    roots,
    observations,
    experiments,
    figures: [
      {
        name: "root rows into Null: time per million",
        value: roots.median / 1000 / (rootRows / 1e6),
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

/** Times of the tool with each of the flags, in turn. */
async function inTurn<Name extends string>(
  plan: Plan,
  size: DataSize,
  tell: Tell,
  ways: Readonly<Record<Name, Way>>,
): Promise<Record<Name, Spread>> {
  const dataset = await openDataset(size, tell);
  const names = Object.keys(ways) as Name[];
  const { url } = dataset.server;
  const target = TABLES.eventsFullNull;
  const source = ["--partition", PARTITION, "--clickhouse-url", url, "--clickhouse-db", DATABASE];
  const command = [plan.binary, ...source, "--target-table", target, "--allow-missing-view"];
  const contenders = names.map((name): Contender => {
    const { flags, rows } = ways[name];
    return {
      kind: "tool",
      name: flags.join(" "),
      target,
      rows,
      command: (directory) => [...command, "--cursor-state-dir", directory, ...flags],
    };
  });
  try {
    const runs = await runRounds(dataset, contenders, plan.runs, tell);
    const times = contenders.map(({ name }, i) => {
      const own = runs.filter(({ contender }) => contender === name);
      return [names[i], spreadOf(own.map(({ wallMs }) => wallMs))];
    });
    return Object.fromEntries(times) as Record<Name, Spread>;
  } finally {
    await dataset.stop();
  }
}
