import {
  datasetRunItemsTable,
  type ObservationsGeneration,
  observationsTable,
  tracesTable,
} from "../../scripts/testbed/schema.ts";
import type { TestServer } from "../../scripts/testbed/server.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import { datasetRunCases, deepChain } from "./data/dataset-run-cases.ts";
import { makeDatasetRunItems } from "./data/dataset-run-items.ts";
import {
  DATASET_RUN_ITEM_ENCODERS,
  type DatasetRunItemRow,
  NEWER_DATASET_RUN_ITEM_ENCODERS,
} from "./data/dataset-run-rows.ts";
import { makeObservations, withoutCollisions } from "./data/observations.ts";
import { type Random, randomFrom } from "./data/random.ts";
import { encodeRows, type RowEncoders } from "./data/row-binary.ts";
import {
  NEWER_OBSERVATION_ENCODERS,
  OBSERVATION_ENCODERS,
  type ObservationRow,
  TRACE_ENCODERS,
} from "./data/rows.ts";
import { makeTraces } from "./data/traces.ts";
import { plainCases } from "./data/v4-cases.ts";
import { CHAINS, withTrees } from "./data/v4-observations.ts";
import { joinRows, type V4Rows, withoutRootCollisions } from "./data/v4-rows.ts";
import { PARTITION } from "./data/values.ts";

export { chooseSeed } from "./data/random.ts";

export interface DatasetOptions {
  readonly database: string;
  /** From `chooseSeed()`, which tells of it. */
  readonly seed: number;
  /** Observations and traces, without their old versions. */
  readonly observations: number;
  readonly traces: number;
  /** The columns that the observations have; the newer ones unless said otherwise. */
  readonly generation?: ObservationsGeneration;
  /** Unmerged parts per table and month, at least. */
  readonly parts?: number;
  /**
   * Whether some observations become events of one sorting key of the target, of which it keeps one. Then only
   * comparisons with FINAL are exact.
   */
  readonly collidingEvents?: boolean;
  /** How many observations have an input of 5 MB. */
  readonly largeInputs?: number;
}

/** What was inserted; the rows are versions, of the month and of its neighbours. */
export interface Dataset {
  readonly partition: string;
  readonly observationRows: number;
  readonly traceRows: number;
}

const DEFAULT_PARTS = 4;
/** A request is a few dozen MB at most, whatever the size of the rows. */
const MAX_ROWS_PER_INSERT = 20_000;

/**
 * Makes the tables `traces` and `observations` in a database and fills them with data that bites, the same for the same
 * options: several unmerged parts, old versions, ties, deletions, traces that are missing or moved, and odd bytes in
 * every column that holds text.
 */
export async function generateDataset(server: TestServer, options: DatasetOptions): Promise<Dataset> {
  const random = randomFrom(options.seed);
  const traces = makeTraces(random, options.traces);
  const observations = makeObservations(random, options.observations, traces.names, {
    collidingEvents: options.collidingEvents ?? false,
    largeInputs: options.largeInputs ?? 2,
  });
  await fillSources(server, options, random, { traces: traces.rows, observations });
  return { partition: PARTITION, observationRows: observations.length, traceRows: traces.rows.length };
}

export interface V4DatasetOptions extends Omit<DatasetOptions, "collidingEvents"> {
  /** Dataset run items without their old versions; a fourth of the traces unless given. */
  readonly items?: number;
  /** The columns that the dataset run items have; the newer ones unless said otherwise. */
  readonly itemsGeneration?: ObservationsGeneration;
  /** Adds one chain of so many observations to the dataset runs. */
  readonly deepChain?: number;
}

/** What was inserted, with the rows of dataset run items. */
export interface V4Dataset extends Dataset {
  readonly itemRows: number;
}

/**
 * As {@link generateDataset}, and a table `dataset_run_items_rmt`: random data with trees of spans in the traces of dataset
 * runs, and the cases written by hand (`plainCases`, `datasetRunCases`).
 */
export async function generateV4Dataset(server: TestServer, options: V4DatasetOptions): Promise<V4Dataset> {
  const random = randomFrom(options.seed);
  const { traces, observations, items } = makeV4Rows(random, options);
  const { database, itemsGeneration = "newer", parts = DEFAULT_PARTS } = options;
  await fillSources(server, options, random, { traces, observations });
  const target = { database, table: "dataset_run_items_rmt", parts, random };
  const table = datasetRunItemsTable(target.table, { mergesOff: true, generation: itemsGeneration });
  await server.command(table, { database });
  if (itemsGeneration === "old") {
    await insertInParts<DatasetRunItemRow>(server, target, items, DATASET_RUN_ITEM_ENCODERS);
  } else {
    await insertInParts(server, target, items, NEWER_DATASET_RUN_ITEM_ENCODERS);
  }
  return {
    partition: PARTITION,
    observationRows: observations.length,
    traceRows: traces.length,
    itemRows: items.length,
  };
}

function makeV4Rows(random: Random, options: V4DatasetOptions): V4Rows {
  const traces = makeTraces(random, options.traces);
  const count = options.items ?? Math.ceil(options.traces / 4);
  // Fewer traces than items, so that several items name one.
  const inRuns = random.shuffle(traces.names).slice(0, Math.ceil(count / 2));
  const others = random.shuffle(traces.names).slice(0, Math.ceil(count / 10));
  const drawn = makeObservations(random, options.observations, traces.names, {
    collidingEvents: false,
    largeInputs: options.largeInputs ?? 1,
  });
  const chained = inRuns.slice(0, CHAINS);
  const observations = withTrees(random, drawn, [...inRuns, ...others], chained);
  const rows = joinRows(
    {
      traces: traces.rows,
      observations,
      items: makeDatasetRunItems(random, count, { traces: inRuns, always: chained }, observations),
    },
    plainCases(),
    datasetRunCases(),
    ...(options.deepChain === undefined ? [] : [deepChain(options.deepChain)]),
  );
  return {
    ...rows,
    observations: withoutRootCollisions(withoutCollisions(rows.observations), rows.traces),
  };
}

/** Makes and fills the tables `traces` and `observations`. */
async function fillSources(
  server: TestServer,
  options: DatasetOptions,
  random: Random,
  { traces, observations }: Pick<V4Rows, "traces" | "observations">,
): Promise<void> {
  const { database, generation = "newer", parts = DEFAULT_PARTS } = options;
  await server.command(tracesTable("traces", { mergesOff: true }), { database });
  await server.command(observationsTable("observations", { mergesOff: true, generation }), { database });
  await insertInParts(server, { database, table: "traces", parts, random }, traces, TRACE_ENCODERS);
  const target = { database, table: "observations", parts, random };
  if (generation === "old") {
    await insertInParts<ObservationRow>(server, target, observations, OBSERVATION_ENCODERS);
  } else {
    await insertInParts(server, target, observations, NEWER_OBSERVATION_ENCODERS);
  }
}

/** Where rows go. */
export interface InsertTarget {
  readonly database: string;
  readonly table: string;
  readonly parts: number;
  readonly random: Random;
}

/** Inserts rows, each into a part drawn at random: versions come in any order. */
export async function insertInParts<Row>(
  server: TestServer,
  { database, table, parts, random }: InsertTarget,
  rows: readonly Row[],
  encoders: RowEncoders<Row>,
): Promise<void> {
  const columns = Object.keys(encoders).map(identifier).join(", ");
  const sql = `INSERT INTO ${identifier(table)} (${columns}) FORMAT RowBinary`;
  const shares: Row[][] = Array.from({ length: parts }, () => []);
  for (const row of rows) random.pick(shares).push(row);
  for (const share of shares) {
    for (let at = 0; at < share.length; at += MAX_ROWS_PER_INSERT) {
      const some = share.slice(at, at + MAX_ROWS_PER_INSERT);
      await server.insertRaw(sql, encodeRows(some, encoders), { database, settings: { async_insert: 0 } });
    }
  }
}
