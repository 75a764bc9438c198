import { eventsFullTable, eventsTable } from "../../scripts/testbed/schema.ts";
import type { TestServer } from "../../scripts/testbed/server.ts";
import { identifier, literal } from "../../src/clickhouse/sql.ts";
import type { LayoutName } from "../../src/mapping/layouts.ts";
import type { BackfillOptions } from "../../src/run/backfill-options.ts";
import { makeDatasetRuns } from "../support/data/dataset-runs.ts";
import { generateDataset } from "../support/generate.ts";
import { writeReference } from "../support/reference.ts";
import { writeV4Reference } from "../support/reference-v4.ts";
import { type Digest, tableDigest } from "./digest.ts";

/** A small month with every oddity, and the events that it must yield. Trials in it run one after another. */
export interface World {
  readonly server: TestServer;
  readonly database: string;
  readonly partition: string;
  readonly layout: LayoutName;
  readonly engine: BackfillOptions["engine"];
  /** Whether each month is verified as well, under the same profile. */
  readonly isVerified: boolean;
  /** What the target and its view's table must hold. */
  readonly digests: Digests;
  /** The columns that a comparison without a profile compares; none until {@link withFirstRun}. */
  readonly compared: readonly string[];
}

export interface Digests {
  readonly target: Digest;
  readonly viewed: Digest;
}

export const TARGET = "events";
export const VIEWED = "viewed";
export const EXPECTED: Readonly<Record<string, string>> = {
  [TARGET]: "expected",
  [VIEWED]: "expected_viewed",
};

const OBSERVATIONS = 64;
const TRACES = 16;
const PARTS = 2;
const CHAIN_SPANS = 12;
/** Hundreds of keys, and values nested hundreds of levels deep, would take half of the time. */
const MAX_METADATA_BYTES = 2000;

/** What a trial makes, and how. */
export type RunKind = Pick<World, "layout" | "engine" | "isVerified">;

/**
 * Makes a month of several versions, tombstones, orphans, odd metadata and odd bytes, in several parts; some of its rows
 * are deleted with a lightweight DELETE, and others are changed by patch parts.
 */
export async function openWorld(
  server: TestServer,
  seed: number,
  { layout, engine, isVerified }: RunKind,
): Promise<World> {
  const database = await server.createDatabase("settings");
  const { partition } = await generateDataset(server, {
    database,
    seed,
    observations: OBSERVATIONS,
    traces: TRACES,
    parts: PARTS,
    largeInputs: 0,
  });
  if (layout === "v4") await makeDatasetRuns(server, { database, seed, chainSpans: CHAIN_SPANS });
  for (const table of ["observations", "traces"]) await makePatchable(server, database, table);
  const run = (sql: string): Promise<void> => server.command(sql, { database });
  await run("DELETE FROM observations WHERE cityHash64(id, start_time) % 11 = 3");
  await run("DELETE FROM traces WHERE cityHash64(id, timestamp) % 13 = 3");
  await run("UPDATE observations SET name = 'patched' WHERE cityHash64(id, start_time) % 7 = 2");
  await run("UPDATE traces SET user_id = 'patched' WHERE cityHash64(id, timestamp) % 7 = 2");
  const world = { server, database, partition, layout, engine, isVerified };
  await makeTables(world);
  const write = layout === "v4" ? writeV4Reference : writeReference;
  await write(server, { database, partition, target: TARGET }, "expected");
  await run("CREATE TABLE expected_viewed AS expected");
  await run(`INSERT INTO expected_viewed ${shortened("expected")}`);
  const digests = {
    target: await tableDigest(server, database, "expected", engine),
    viewed: await tableDigest(server, database, "expected_viewed", engine),
  };
  return { ...world, digests, compared: [] };
}

type Place = Omit<World, "digests" | "compared">;

/** What the target and its view's table hold. */
export async function digestsOf({ server, database, engine }: Place): Promise<Digests> {
  const [target, viewed] = await Promise.all([
    tableDigest(server, database, TARGET, engine),
    tableDigest(server, database, VIEWED, engine),
  ]);
  return { target, viewed };
}

/** Makes an empty target, and a view that copies its rows into another table. */
export async function makeTables({ server, database, layout }: Place): Promise<void> {
  const run = (sql: string): Promise<void> => server.command(sql, { database });
  for (const table of [TARGET, VIEWED]) {
    await run(
      layout === "v4" ? eventsFullTable(table, { mergesOff: true }) : eventsTable(table, { mergesOff: true }),
    );
  }
  await run(`CREATE MATERIALIZED VIEW view TO ${VIEWED} AS ${shortened(TARGET)}`);
}

/** Makes them from the start: whatever a run has done to them, or still does, is gone. */
export async function remakeTables(place: Place): Promise<void> {
  for (const table of ["failing_view", "failing_sink", "view", TARGET, VIEWED]) {
    await place.server.command(`DROP TABLE IF EXISTS ${table} SYNC`, place);
  }
  await makeTables(place);
}

export async function emptyTables({ server, database }: Place): Promise<void> {
  await Promise.all([TARGET, VIEWED].map((table) => server.command(`TRUNCATE TABLE ${table}`, { database })));
}

/** Adds a view that fails on some of the target's rows. */
export async function addFailingView({ server, database }: Place): Promise<void> {
  await server.command("CREATE TABLE failing_sink (x UInt8) ENGINE = Null", { database });
  await server.command(
    `CREATE MATERIALIZED VIEW failing_view TO failing_sink AS
     SELECT throwIf(cityHash64(span_id) % 5 = 0, '${VIEW_FAILURE}') AS x FROM ${TARGET}`,
    { database },
  );
}

export const VIEW_FAILURE = "the view fails on this row";

function shortened(table: string): string {
  return `SELECT * REPLACE (leftUTF8(input, 200) AS input, leftUTF8(output, 200) AS output) FROM ${identifier(table)}`;
}

/** Moves most of a table's rows, part by part, into one that takes lightweight updates. */
async function makePatchable(server: TestServer, database: string, table: string): Promise<void> {
  const [name, old] = [identifier(table), identifier(`${table}_generated`)];
  const run = (sql: string): Promise<void> =>
    server.command(sql, { database, settings: { optimize_on_insert: 0, async_insert: 0 } });
  await run(`RENAME TABLE ${name} TO ${old}`);
  await run(`CREATE TABLE ${name} AS ${old}`);
  await run(
    `ALTER TABLE ${name} MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1`,
  );
  const parts = await server.queryJson<{ name: string }>(
    `SELECT name FROM system.parts WHERE active AND database = {database:String} AND table = {table:String}
     ORDER BY partition, min_block_number`,
    { params: { database, table: `${table}_generated` } },
  );
  for (const part of parts) {
    await run(
      `INSERT INTO ${name} SELECT * FROM ${old} WHERE _part = ${literal(part.name)}
       AND length(toString(metadata)) < ${MAX_METADATA_BYTES}`,
    );
  }
  await run(`DROP TABLE ${old} SYNC`);
}
