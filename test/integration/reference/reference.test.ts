import { beforeAll, describe, expect, test } from "bun:test";
import { eventsTable, observationsTable, tracesTable } from "../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import { writeReference } from "../../support/reference.ts";
import { keptByVersion } from "../../support/reference-json.ts";

/** The reference decides all comparisons, so its hard cases are checked by hand here. */
let server: TestServer;
let database: string;

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("byhand");
  await server.command(tracesTable("traces", { mergesOff: true }), { database });
  await server.command(observationsTable("observations", { mergesOff: true }), { database });
  await server.command(eventsTable("events"), { database });
});

/** Event columns by span id, of one insert per statement. */
async function eventsOf(columns: string, ...inserts: readonly string[]): Promise<Record<string, unknown>> {
  for (const table of ["traces", "observations"])
    await server.command(`TRUNCATE TABLE ${table}`, { database });
  for (const insert of inserts) await server.command(`INSERT INTO ${insert}`, { database });
  await server.command("DROP TABLE IF EXISTS expected", { database });
  await writeReference(server, { database, partition: "202511", target: "events" }, "expected");
  const rows = await server.queryJson<{ span_id: string; value: unknown }>(
    `SELECT span_id, ${columns} AS value FROM expected ORDER BY span_id`,
    { database },
  );
  return Object.fromEntries(rows.map(({ span_id, value }) => [span_id, value]));
}

const NOON = "'2025-11-10 12:00:00'";

test("the newest version of an observation counts, on ties the one inserted last, and deletions stay", async () => {
  const columns = "observations (id, start_time, name, event_ts, is_deleted)";
  const names = await eventsOf(
    "name",
    `${columns} VALUES ('old', ${NOON}, 'newest', 20, 0), ('tie', ${NOON}, 'first', 5, 0), ('gone', ${NOON}, 'x', 5, 0)`,
    `${columns} VALUES ('old', ${NOON}, 'older', 10, 0), ('tie', ${NOON}, 'last', 5, 0), ('gone', ${NOON}, 'x', 5, 1)`,
    `${columns} VALUES ('next month', '2025-12-01 00:00:00.000', '', 1, 0), ('last', '2025-11-30 23:59:59.999', '', 1, 0)`,
  );
  expect(names).toEqual({ old: "newest", tie: "last", last: "" });
});

test("an event without a parent gets its trace's root as the parent", async () => {
  const parents = await eventsOf(
    "parent_span_id",
    `observations (id, trace_id, parent_observation_id, start_time) VALUES
      ('t-a', 'a', 'p', ${NOON}), ('child', 'a', 'p', ${NOON}), ('null', 'a', NULL, ${NOON}), ('empty', 'a', '', ${NOON})`,
  );
  expect(parents).toEqual({ "t-a": "", child: "p", null: "t-a", empty: "t-a" });
});

describe("the trace of an observation", () => {
  /** The user of the trace `t`, given its rows as (timestamp, user_id, event_ts, is_deleted). */
  const userOf = async (...inserts: readonly string[]): Promise<unknown> => {
    const { o } = await eventsOf(
      "user_id",
      `observations (id, trace_id, start_time) VALUES ('o', 't', ${NOON})`,
      ...inserts.map(
        (rows) => `traces (id, timestamp, user_id, event_ts, is_deleted)
        SELECT 't', CAST(c1 AS DateTime64(3)), c2, c3, c4
        FROM VALUES('c1 String, c2 Nullable(String), c3 UInt32, c4 UInt8', ${rows})`,
      ),
    );
    return o;
  };
  test.each([
    ["the newest version", ["('2025-11-01', 'new', 9, 0)", "('2025-11-01', 'old', 3, 0)"], "new"],
    ["of equals the one inserted last", ["('2025-11-01', 'a', 3, 0)", "('2025-11-01', 'b', 3, 0)"], "b"],
    ["the newest of several days", ["('2025-11-01', 'new', 9, 0), ('2025-11-02', 'old', 3, 0)"], "new"],
    ["of equals the later day", ["('2025-11-02', 'later', 3, 0), ('2025-11-01', 'earlier', 3, 0)"], "later"],
    ["none when deleted", ["('2025-11-01', 'a', 3, 0)", "('2025-11-01', 'a', 4, 1)"], ""],
    ["none when deleted under another day", ["('2025-11-01', 'a', 3, 0), ('2025-11-05', 'a', 4, 1)"], ""],
    ["not the deleted one of the same age", ["('2025-11-01', 'a', 3, 0), ('2025-11-05', 'a', 3, 1)"], "a"],
    ["again when it came back", ["('2025-11-01', 'a', 3, 1)", "('2025-11-01', 'back', 4, 0)"], "back"],
    ["empty where NULL", ["('2025-11-01', NULL, 3, 0)"], ""],
    ["two days before the month", ["('2025-10-30 00:00:00.000', 'in', 3, 0)"], "in"],
    ["not earlier", ["('2025-10-29 23:59:59.999', 'out', 3, 0)"], ""],
    ["two days after the month", ["('2025-12-02 23:59:59.999', 'in', 3, 0)"], "in"],
    ["not later", ["('2025-12-03 00:00:00.000', 'out', 3, 0)"], ""],
  ])("is %s", async (_name, inserts, user) => {
    expect(await userOf(...inserts)).toBe(user);
  });
});

test("an event prefers the observation's version to the trace's, and only roots are bookmarked", async () => {
  const traces = `traces (id, timestamp, version, bookmarked, event_ts) VALUES ('t', ${NOON}, 'of trace', 1, 1)`;
  const values = await eventsOf(
    "concat(version, ' ', toString(bookmarked))",
    traces,
    `observations (id, trace_id, start_time, version, parent_observation_id) VALUES
      ('own', 't', ${NOON}, 'own', NULL), ('null', 't', ${NOON}, NULL, 'p'), ('empty', 't', ${NOON}, '', ''),
      ('alone', '-', ${NOON}, NULL, NULL)`,
  );
  expect(values).toEqual({
    own: "own true",
    null: "of trace false",
    empty: "of trace true",
    alone: " false",
  });
});

describe("merged metadata", () => {
  const merged = async (own: string, ofTrace = "map()"): Promise<unknown> => {
    const { o } = await eventsOf(
      "(metadata_names, metadata_raw_values, toString(metadata), source)",
      `traces (id, timestamp, metadata, event_ts) VALUES ('t', ${NOON}, ${ofTrace}, 1)`,
      `observations (id, trace_id, start_time, metadata) VALUES ('o', 't', ${NOON}, ${own})`,
    );
    return o;
  };

  test("is the observation's, then what only the trace has", async () => {
    expect(await merged("map('b', '1', 'a', 'x')", "map('a', 'y', 'attributes', 'z', 'c', '[1]')")).toEqual([
      ["b", "a", "c"],
      ["1", "x", "[1]"],
      '{"a":"x","b":1,"c":[1]}',
      "ingestion-api",
    ]);
  });

  test("keeps the observation's own attributes and repeated keys", async () => {
    expect(
      await merged("map('attributes', '1', 'k', '2', 'k', '3')", "map('resourceAttributes', '')"),
    ).toEqual([
      ["attributes", "k", "k", "resourceAttributes"],
      ["1", "2", "3", ""],
      '{"attributes":1,"k":2,"resourceAttributes":""}',
      "otel",
    ]);
  });

  /** JSON values: as the column shows them. Strings: the same text as a JSON string. */
  const asJson: readonly (readonly [value: string, stored: string])[] = [
    ["18446744073709551615", "18446744073709551615"],
    [' {"b": [1, true]} ', '{"b":[1,true]}'],
    ['"2024-1-1"', '"2024-1-1"'],
    ["[[[[[[[[1]]]]]]]]", "[[[[[[[[1]]]]]]]]"],
    ['[null,{"a":[[1]]}]', '[null,{"a":[[1]]}]'],
    ['["null",[1]]', '["null",[1]]'],
  ];
  const asString = [
    "",
    "01",
    "1e400",
    "18446744073709551616",
    '"\\ud800"',
    "{a:1}",
    "\ufeff1",
    "[[[[[[[[[1]]]]]]]]]",
    "[null,[1]]",
    `${"[".repeat(3000)}${"]".repeat(3000)}`,
    `${'{"a":'.repeat(513)}1${"}".repeat(513)}`,
  ];
  const inSql = (text: string): string => `unhex('${Buffer.from(text).toString("hex")}')`;

  test("embeds what is JSON as JSON", async () => {
    const kept = keptByVersion((await server.query("SELECT version()")).trim(), "JSON");
    for (const [value, whereKept] of asJson) {
      const isLarge = /^\d{17,}$/.test(value);
      const stored = isLarge && !kept.largeIntegers ? JSON.stringify(value) : whereKept;
      const [, , json] = (await merged(`map('m', ${inSql(value)})`)) as string[];
      expect(json).toBe(`{"m":${stored}}`);
    }
  });

  test("embeds what the column does not take as a string", async () => {
    for (const value of asString) {
      const [, , json] = (await merged(`map('m', ${inSql(value)})`)) as string[];
      expect(JSON.parse(json ?? "")).toEqual({ m: value });
    }
  });

  test("repairs what is not UTF-8", async () => {
    const [, , json] = (await merged(`map('m\\xff', '\\xff\\xfe "text"')`)) as string[];
    expect(json).toBe('{"m\ufffd":"\ufffd \\"text\\""}');
  });

  test("keeps both of two entries with one path", async () => {
    const json = async (own: string) => ((await merged(own)) as string[])[2];
    expect(await json(`map('a.b', '1', 'a', '{"b":2}')`)).toBe('{"a":"{\\"b\\":2}","a":{"b":1}}');
    expect(await json(`map('a', '{"b":{"c":2}}', 'a.b', 'x')`)).toBe(
      '{"a":"{\\"b\\":{\\"c\\":2}}","a":{"b":"x"}}',
    );
    expect(await json(`map('a', '{"c":2,"b":null}', 'a.b', '1')`)).toBe('{"a":{"b":1,"c":2}}');
  });
});
