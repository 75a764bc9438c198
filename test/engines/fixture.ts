import { eventsFullTable, eventsTable } from "../../scripts/testbed/schema.ts";
import type { TestServer } from "../../scripts/testbed/server.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import { makeObservations } from "../support/data/observations.ts";
import { METADATA_VALUES } from "../support/data/oddities.ts";
import { randomFrom } from "../support/data/random.ts";
import type { Text } from "../support/data/row-binary.ts";
import { NEWER_OBSERVATION_ENCODERS } from "../support/data/rows.ts";
import { PARTITION } from "../support/data/values.ts";
import { generateDataset, insertInParts } from "../support/generate.ts";
import { writeReference } from "../support/reference.ts";

/** The kinds of targets. */
export const TARGETS = ["events, JSON", "events, String", "events_full"] as const;
export type TargetName = (typeof TARGETS)[number];

/** A month with every oddity on an engine, and what copying it must yield. */
export interface EngineFixture {
  readonly server: TestServer;
  readonly database: string;
  readonly partition: string;
  /** The engine's own JSON type; null where it has none that a column may have. */
  readonly jsonType: string | null;
  /** Whether the engine makes the text indexes of events_full. */
  readonly hasTextIndexes: boolean;
  /** Makes an empty target of that kind. */
  makeTarget(kind: TargetName, name: string): Promise<void>;
  /** The table of the events that a target of that kind must hold in the end. */
  expected(kind: TargetName): Promise<string>;
}

const SIZES = { observations: 150, traces: 60, parts: 2, largeInputs: 0 };
/** Values of one path in rows that follow each other: what one becomes may depend on the other. */
const NEIGHBOURS = ["1.5", "9007199254740993", "[1.5]", "[9007199254740993]", "[1]", '["x"]', "true", "text"];

/** Makes the tables of a month on an engine and fills them. */
export async function makeFixture(server: TestServer, seed: number): Promise<EngineFixture> {
  const database = await server.createDatabase("engine");
  await generateDataset(server, { database, seed, ...SIZES });
  await insertOddities(server, database, seed);
  const jsonType = await ownJsonType(server, database);
  const hasTextIndexes = await canMake(server, database, eventsFullTable("probe"));
  const ddl = (kind: TargetName, name: string): string => {
    if (kind === "events_full") return fullTable(name, hasTextIndexes);
    const table = eventsTable(name, { mergesOff: true }).replace(/^ *\w+_json JSON.*\n/gm, "");
    return kind === "events, JSON" ? table : table.replace("metadata JSON,", "metadata String,");
  };
  const references = new Map<TargetName, string>();
  const fixture: EngineFixture = {
    server,
    database,
    partition: PARTITION,
    jsonType,
    hasTextIndexes,
    makeTarget: async (kind, name) =>
      await server.command(ddl(kind, name), { database, settings: experimental(jsonType) }),
    expected: async (kind) => {
      const known = references.get(kind);
      if (known !== undefined) return known;
      const [shape, name] = [`shape_${references.size}`, `expected_${references.size}`];
      references.set(kind, name);
      await fixture.makeTarget(kind, shape);
      await writeReference(server, { database, partition: PARTITION, target: shape }, name);
      return name;
    },
  };
  return fixture;
}

/** Each odd value of metadata in a live row of its own, and neighbours. */
async function insertOddities(server: TestServer, database: string, seed: number): Promise<void> {
  const random = randomFrom(seed + 1);
  const values: readonly Text[] = [...Object.values(METADATA_VALUES).flat(), ...NEIGHBOURS];
  const made = makeObservations(random, values.length, [], { collidingEvents: false, largeInputs: 0 });
  const [model] = made;
  if (model === undefined) throw new Error("No row to start from");
  const start = Date.UTC(2025, 10, 20);
  const rows = values.map((value, i) => ({
    ...model,
    id: `odd ${String(i).padStart(4, "0")}`,
    project_id: "odd",
    type: "SPAN",
    trace_id: "",
    start_time: start + i,
    event_ts: start + i,
    is_deleted: false,
    metadata: [
      ["value", value],
      [`value ${i % 5}`, value],
    ] as const,
  }));
  const target = { database, table: "observations", parts: 1, random };
  await insertInParts(server, target, rows, NEWER_OBSERVATION_ENCODERS);
}

async function ownJsonType(server: TestServer, database: string): Promise<string | null> {
  for (const setting of [null, "allow_experimental_json_type", "allow_experimental_object_type"] as const) {
    const settings = setting === null ? {} : { [setting]: 1 };
    const sql = "CREATE TABLE json_probe (j JSON) ENGINE = MergeTree ORDER BY tuple()";
    const isMade = await server.command(sql, { database, settings }).then(
      () => true,
      () => false,
    );
    if (!isMade) continue;
    const type = await server.query("SELECT type FROM system.columns WHERE table = 'json_probe'", {
      database,
    });
    return type.trim().replaceAll("\\'", "'");
  }
  return null;
}

/** What an engine needs to be given a column of its JSON type. */
function experimental(jsonType: string | null): Record<string, number> {
  if (jsonType === null) return {};
  return jsonType.startsWith("Object")
    ? { allow_experimental_object_type: 1 }
    : { allow_experimental_json_type: 1 };
}

async function canMake(server: TestServer, database: string, sql: string): Promise<boolean> {
  try {
    await server.command(sql, { database });
    await server.command(`DROP TABLE ${identifier("probe")}`, { database });
    return true;
  } catch {
    return false;
  }
}

function fullTable(name: string, hasTextIndexes: boolean): string {
  const table = eventsFullTable(name, { mergesOff: true });
  return hasTextIndexes ? table : table.replace(/,\s*INDEX \w+ [^\n]* TYPE text\([^\n]*\)(?=[,\n])/g, "");
}
