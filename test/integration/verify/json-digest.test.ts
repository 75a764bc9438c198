import { expect, test } from "bun:test";
import { testServer } from "../../../scripts/testbed/server.ts";
import { literal } from "../../../src/clickhouse/sql.ts";
import { digestSql } from "../../../src/verify/compared-rows.ts";

/** Values that are alike: in types, in their order, in paths, and in where one ends and the next begins. */
const VALUES = [
  "{}",
  ...["1", '"1"', "1.5", "true", "false", "-1", "0", '""', '"x"', '"xb"', '"\\u0000"', '"\\u0000\\u0000"'],
  ...["9223372036854775807", "9223372036854775806", "18446744073709551615", "1e300", "1e301"],
  ...["[]", "[1,2]", "[2,1]", '["1","2"]', '[1,"2"]', "[1.5,2]", "[true]", "[null]", "[null,null]"],
  ...[
    "[[1],[2]]",
    "[[1,2]]",
    "[{}]",
    '[{"b":1}]',
    '[{"b":2}]',
    '[{"c":1}]',
    '[{"b":1},{"b":1}]',
    '[[{"b":1}]]',
  ],
  ...['{"b":1}', '{"b":2}', '{"c":1}', '{"b":{"c":1}}'],
]
  .map((value) => (value === "{}" ? value : `{"a":${value}}`))
  .concat(
    '{"b":{"a":1}}',
    '{"ab":"x"}',
    '{"b":"x"}',
    '{"a":"x","b":"y"}',
    '{"a":"y","b":"x"}',
    '{"a":"xb","b":""}',
    '{"a":1,"c":1,"d":2,"e":3}',
    '{"a":1,"c":2,"d":1,"e":3}',
  );

test.each([
  "JSON",
  "JSON(max_dynamic_paths=0)",
  "JSON(max_dynamic_paths=2)",
  "JSON(max_dynamic_types=1)",
  "JSON(a String)",
])("values of the type %s that differ have different digests as they are stored", async (type) => {
  const server = await testServer();
  const digest = digestSql([{ name: "metadata", type }], "stored");
  const rows = await server.queryJson<{ digest: string; text: string }>(
    `SELECT toString(${digest}) AS digest, toJSONString(r.metadata) AS text
     FROM (SELECT CAST(arrayJoin([${VALUES.map(literal).join(", ")}]) AS ${type}) AS metadata) AS r`,
  );
  expect(rows).toHaveLength(VALUES.length);
  const textOf = new Map<string, string>();
  for (const { digest, text } of rows) {
    expect(textOf.get(digest) ?? text).toBe(text);
    textOf.set(digest, text);
  }
  expect(textOf.size).toBeGreaterThan(VALUES.length / 2);
});
