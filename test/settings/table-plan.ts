import type { TestServer } from "../../scripts/testbed/server.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import type { Trial } from "./trial.ts";

const NUMBERS = ["0", "1", "3", "9223372036854775807"];
const FRACTIONS = ["0", "0.001", "1"];

/** Settings of tables that are not tried, with the reason. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  sleep_before_commit_local_part_in_replicated_table_ms: "it sleeps",
  sleep_before_loading_outdated_parts_ms: "it sleeps",
};

/** A run for each adverse value of each setting of tables, whether or not a table can be given it. */
export async function planTableTrials(server: TestServer): Promise<Trial[]> {
  const settings = await server.queryJson<{ name: string; type: string; value: string }>(
    "SELECT name, type, value FROM system.merge_tree_settings WHERE NOT is_obsolete AND NOT readonly ORDER BY name",
  );
  return settings
    .filter(({ name }) => !(name in LEFT_OUT))
    .flatMap(({ name, type, value }) =>
      valuesOf(type, value).map((adverse): Trial => {
        const text = `${name}=${adverse}`;
        return { name: `table ${text}`, settings: {}, tableSettings: { [name]: adverse }, scene: "plain" };
      }),
    );
}

/** Those whose settings a table can be given after it was created. */
export async function possibleTableTrials(server: TestServer, trials: readonly Trial[]): Promise<Trial[]> {
  const database = await server.createDatabase("probe");
  await server.command("CREATE TABLE probe (a UInt8) ENGINE = MergeTree ORDER BY a", { database });
  const possible: Trial[] = [];
  for (const trial of trials) {
    const [[name = "", value = ""] = []] = Object.entries(trial.tableSettings ?? {});
    const alter = `ALTER TABLE probe MODIFY SETTING ${identifier(name)} = ${value}`;
    const isTaken = await server.command(alter, { database }).then(
      () => true,
      () => false,
    );
    if (!isTaken) continue;
    await server.command(`ALTER TABLE probe RESET SETTING ${identifier(name)}`, { database });
    possible.push(trial);
  }
  return possible;
}

function valuesOf(type: string, value: string): string[] {
  if (type === "Bool") return [value === "1" ? "0" : "1"];
  if (/^(Float|Double)/.test(type)) return FRACTIONS.filter((number) => number !== value);
  if (/^(U?Int\d+|NonZeroUInt\d+|MaxThreads|Seconds|Milliseconds)/.test(type)) {
    return NUMBERS.filter((number) => number !== value);
  }
  return [];
}
