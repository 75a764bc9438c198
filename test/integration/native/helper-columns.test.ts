import { beforeAll, describe, expect, test } from "bun:test";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import { qualifiedTable } from "../../../src/clickhouse/sql.ts";
import { resolveMapping } from "../../../src/mapping/resolve-mapping.ts";
import { type Columns, EVENTS, OBSERVATIONS, shape, TRACES } from "../../unit/mapping/shapes.ts";

let server: TestServer;
let database: string;

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("helpers");
});

/** The same columns with dictionaries wherever the mapping takes them. */
function withDictionaries(columns: Columns): Columns {
  const types: Columns = {
    String: "LowCardinality(String)",
    "Nullable(String)": "LowCardinality(Nullable(String))",
    "Array(String)": "Array(LowCardinality(String))",
    "Map(LowCardinality(String), String)": "Map(LowCardinality(String), LowCardinality(String))",
  };
  return Object.fromEntries(Object.entries(columns).map(([name, type]) => [name, types[type] ?? type]));
}

/** Types that workers read values of, so that no other will do. */
const EXPECTED: Columns = {
  __trace_key: "FixedString(16)",
  __metadata: "Map(LowCardinality(String), String)",
  __own_version: "String",
  __has_own_version: "UInt8",
  __parent_is_empty: "UInt8",
  user_id: "String",
  session_id: "String",
  release: "String",
  version: "String",
  name: "String",
  tags: "Array(String)",
  metadata: "Map(LowCardinality(String), String)",
  public: "UInt8",
  bookmarked: "UInt8",
};

describe("what workers read arrives as they expect it", () => {
  for (const [what, observations, traces] of [
    ["Langfuse's types", OBSERVATIONS, TRACES],
    ["dictionaries everywhere", withDictionaries(OBSERVATIONS), withDictionaries(TRACES)],
    ["no columns but the necessary ones", undefined, undefined],
  ] as const) {
    test(`from tables with ${what}`, async () => {
      const necessary = (columns: Columns, names: readonly string[]): Columns =>
        Object.fromEntries(names.map((name) => [name, columns[name] ?? "String"]));
      const common = ["id", "project_id", "event_ts", "is_deleted"];
      const own = ["trace_id", "type", "start_time", "created_at", "updated_at"];
      const source = observations ?? necessary(OBSERVATIONS, [...common, ...own]);
      const other = traces ?? necessary(TRACES, [...common, "timestamp"]);
      const mapping = resolveMapping({
        source: shape("o", source),
        traces: shape("t", other),
        target: shape("events", EVENTS),
      });
      for (const [alias, columns, items] of [
        ["o", source, [...mapping.copied, ...mapping.helpers]],
        ["t", other, mapping.traceColumns],
      ] as const) {
        const table = `${alias}_${what.split(" ")[0]?.replace(/\W/g, "")}`;
        const definition = Object.entries(columns).map(([name, type]) => `${name} ${type}`);
        await server.command(`CREATE TABLE ${table} (${definition.join(", ")}) ENGINE = Memory`, {
          database,
        });
        const select = items.map(({ name, sql }) => `${sql} AS ${name}`).join(", ");
        const described = await server.queryJson<{ name: string; type: string }>(
          `DESCRIBE (SELECT ${select} FROM ${qualifiedTable(database, table)} AS ${alias})`,
        );
        const read = described.filter(({ name }) => name.startsWith("__") || alias === "t");
        expect(read.length).toBeGreaterThan(3);
        for (const { name, type } of read) expect(type, name).toBe(EXPECTED[name] ?? "unexpected");
      }
    });
  }
});
