import { identifier } from "../../src/clickhouse/sql.ts";
import { eventsTable } from "../support/schema.ts";
import type { TestServer } from "../support/server.ts";
import type { Trial } from "./trial.ts";

const NUMBERS = ["0", "1", "3", "9223372036854775807"];
const FRACTIONS = ["0", "0.001", "1"];

/** Settings of tables that are not tried, with the reason. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  sleep_before_commit_local_part_in_replicated_table_ms: "it sleeps",
  sleep_before_loading_outdated_parts_ms: "it sleeps",
};

/** Plans a run for each adverse value of each setting of tables that a table can be given later. */
export async function planTableTrials(server: TestServer): Promise<Trial[]> {
  const database = await server.createDatabase("probe");
  await server.command(eventsTable("probe", { mergesOff: true }), { database });
  const settings = await server.queryJson<{ name: string; type: string; value: string }>(
    "SELECT name, type, value FROM system.merge_tree_settings WHERE NOT is_obsolete AND NOT readonly ORDER BY name",
  );
  const trials: Trial[] = [];
  for (const { name, type, value } of settings) {
    if (name in LEFT_OUT) continue;
    for (const adverse of valuesOf(type, value)) {
      const isTaken = await server
        .command(`ALTER TABLE probe MODIFY SETTING ${identifier(name)} = ${adverse}`, { database })
        .then(
          () => true,
          () => false,
        );
      if (!isTaken) continue;
      await server.command(`ALTER TABLE probe RESET SETTING ${identifier(name)}`, { database });
      trials.push({
        name: `table ${name}=${adverse}`,
        settings: {},
        tableSettings: { [name]: adverse },
        scene: "plain",
      });
    }
  }
  return trials;
}

function valuesOf(type: string, value: string): string[] {
  if (type === "Bool") return [value === "1" ? "0" : "1"];
  if (/^(Float|Double)/.test(type)) return FRACTIONS.filter((number) => number !== value);
  if (/^(U?Int\d+|NonZeroUInt\d+|MaxThreads|Seconds|Milliseconds)/.test(type)) {
    return NUMBERS.filter((number) => number !== value);
  }
  return [];
}
