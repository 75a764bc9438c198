import { runOptions } from "../../scripts/testbed/run-options.ts";
import { eventsFullTable, eventsTable } from "../../scripts/testbed/schema.ts";
import type { TestServer } from "../../scripts/testbed/server.ts";
import { verify } from "../../src/verify/verify.ts";
import { backfill } from "../support/backfill.ts";
import { makeDatasetRuns } from "../support/data/dataset-runs.ts";
import { randomFrom } from "../support/data/random.ts";
import { generateDataset } from "../support/generate.ts";
import {
  APART,
  type Change,
  columnTypes,
  inOrder,
  KEY,
  otherValue,
  Planter,
  shown,
} from "../support/planter.ts";

const PARTITION = "202511";
const NAMED = "SELECT project_id, trace_id FROM dataset_run_items_rmt FINAL";

/**
 * Copies a generated month, changes one value in each of so many random rows, and has them found. Returns how many differences were planted
 * and found. Throws where one was missed, or where something else was found.
 */
export async function playRound(server: TestServer, seed: number, changesWanted: number): Promise<number> {
  const random = randomFrom(seed);
  const database = await server.createDatabase("verify_round");
  try {
    await generateDataset(server, { database, seed, observations: 1_200, traces: 300, largeInputs: 0 });
    await makeDatasetRuns(server, { database, seed, chainSpans: 20 });
    const target = random.pick(["events", "events_full"] as const);
    await server.command(
      target === "events"
        ? eventsTable(target, { mergesOff: true })
        : eventsFullTable(target, { mergesOff: true }),
      { database },
    );
    const tables = { source: "observations", traces: "traces", target };
    const options = runOptions(server, database, PARTITION, { layout: "auto", tables });
    await backfill(options);
    const compare = async (): ReturnType<typeof verify> =>
      await verify(
        { backfill: options, quick: false, ignoreNewer: false, examples: changesWanted * 2, only: null },
        () => {},
        new AbortController().signal,
      );
    const before = await compare();
    if (before.examples.length > 0)
      throw new Error(`Seed ${seed}: a clean month differs: ${JSON.stringify(before.examples)}`);
    const planter = new Planter(server, { database, target, partition: PARTITION, seed });
    const names = before.columns.filter((name) => !KEY.includes(name) && !APART.includes(name));
    const columns = await columnTypes(server, { database, target }, names);
    const changes: Change[] = [];
    while (changes.length < changesWanted) {
      const [name, type] = random.pick(columns);
      const isOfExperiment = name.startsWith("experiment_");
      // The times of rows that an item reaches are those of writing, which are not compared.
      const isPlain = target === "events" ? "1" : `(project_id, trace_id) NOT IN (${NAMED})`;
      const victim = await planter
        .victim(isOfExperiment ? `(project_id, trace_id) IN (${NAMED})` : isPlain)
        .catch(() => null);
      if (victim === null) break;
      changes.push({ victim, column: name, sql: otherValue(name, type) });
      planter.plant("differing", victim.span_id, [name]);
    }
    await planter.insert(changes);
    const [wanted, found] = [inOrder(planter.plants), inOrder(shown((await compare()).examples))];
    if (JSON.stringify(wanted) !== JSON.stringify(found)) {
      const texts = (plants: typeof wanted): Set<string> =>
        new Set(plants.map((plant) => JSON.stringify(plant)));
      const missed = [...texts(wanted).difference(texts(found))];
      const invented = [...texts(found).difference(texts(wanted))];
      throw new Error(
        `Seed ${seed}: missed ${missed.join(", ") || "none"}; not planted ${invented.join(", ") || "none"}`,
      );
    }
    return wanted.length;
  } finally {
    await server.command(`DROP DATABASE ${database} SYNC`);
  }
}
