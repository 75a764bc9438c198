import { eventsFullTable, eventsTable } from "../../scripts/testbed/schema.ts";
import type { TestServer } from "../../scripts/testbed/server.ts";
import { identifier, literal } from "../../src/clickhouse/sql.ts";
import type { LayoutName } from "../../src/mapping/layouts.ts";
import { makeDatasetRuns } from "../support/data/dataset-runs.ts";
import { randomFrom } from "../support/data/random.ts";
import { generateDataset } from "../support/generate.ts";
import { writeReference } from "../support/reference.ts";
import { writeV4Reference } from "../support/reference-v4.ts";

/** Stories of consecutive seeds that share their data. */
const STORIES_PER_WORLD = 25;

/** Of the worlds, so many are of Langfuse v4. */
const V4_SHARE = 0.4;

/** Generated data with the events that it must yield, for a number of stories. */
export interface World {
  readonly server: TestServer;
  readonly database: string;
  readonly partition: string;
  /** The table of the expected events, and how many there are. */
  readonly expected: string;
  readonly events: number;
  readonly layout: LayoutName;
  readonly targetTable: (name: string) => string;
  drop(): Promise<void>;
}

/** Which data a story plays in. */
export function worldOf(storySeed: number): number {
  return Math.floor(storySeed / STORIES_PER_WORLD);
}

/** Makes a database with data that follows from the seed alone. */
export async function openWorld(server: TestServer, seed: number): Promise<World> {
  const random = randomFrom(seed);
  const database = await server.createDatabase("chaos");
  const targetTable = random.chance(0.7)
    ? (name: string) => eventsFullTable(name, { mergesOff: true })
    : (name: string) => eventsTable(name, { mergesOff: true });
  const { partition } = await generateDataset(server, {
    database,
    seed,
    observations: random.pick([500, 1000, 2000]),
    traces: random.pick([60, 400]),
    generation: random.pick(["newer", "newer", "old"] as const),
    parts: 1 + random.below(6),
    largeInputs: 0,
  });
  const layout = random.chance(V4_SHARE) ? "v4" : "events";
  const target = layout === "v4" ? (name: string) => eventsFullTable(name, { mergesOff: true }) : targetTable;
  await server.command(target("events"), { database });
  const scope = { database, partition, target: "events" };
  if (layout === "v4") {
    await makeDatasetRuns(server, { database, seed, chainSpans: 100 });
    await writeV4Reference(server, scope, "expected");
  } else {
    await writeReference(server, scope, "expected");
  }
  const events = Number(await server.query("SELECT count() FROM expected", { database }));
  const drop = async (): Promise<void> => await server.command(`DROP DATABASE ${identifier(database)} SYNC`);
  return { server, database, partition, expected: "expected", events, layout, targetTable: target, drop };
}

/** A copy of the month's observations that a story may change, with all their versions. */
export async function copySource({ server, database, partition }: World, name: string): Promise<void> {
  await server.command(`CREATE TABLE ${identifier(name)} AS observations`, { database });
  const attach = `ATTACH PARTITION ID ${literal(partition)} FROM observations`;
  await server.command(`ALTER TABLE ${identifier(name)} ${attach}`, { database });
}

const LATE_CHANGES = {
  "new rows": (nth: number) => `concat(id, '-late-${nth}') AS id, now64(3) AS event_ts`,
  "new versions": (nth: number) => `concat(name, ' changed ${nth}') AS name, now64(3) AS event_ts`,
  deletions: () => "now64(3) AS event_ts, toUInt8(1) AS is_deleted",
} as const;

/** Writes a few rows that are made from those of the source; no row is changed twice. */
export async function writeLate(
  { server, database, partition }: World,
  source: string,
  kind: keyof typeof LATE_CHANGES,
  nth: number,
): Promise<void> {
  const table = identifier(source);
  await server.command(
    `INSERT INTO ${table} SELECT * REPLACE (${LATE_CHANGES[kind](nth)}) FROM ${table} FINAL
     WHERE _partition_id = ${literal(partition)} AND event_ts < now() - INTERVAL 1 DAY ORDER BY cityHash64(id, ${nth}) LIMIT ${1 + (nth % 5)}`,
    { database, settings: { async_insert: 0 } },
  );
}
