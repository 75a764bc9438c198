import { expect, test } from "bun:test";
import { testServer } from "../../../scripts/testbed/server.ts";
import { nativeTarget } from "../../fuzz/native.ts";
import { responseOf } from "../../fuzz/native-blocks.ts";
import { runCases } from "../../fuzz/run-cases.ts";
import { chooseSeed } from "../../support/data/random.ts";

const CASES = 4_000;

/** Columns as Langfuse's tables have them, and their likes, of a few rows each. */
const QUERIES: readonly string[] = [
  "SELECT toString(number) AS s, toLowCardinality(toString(number % 3)) AS lc FROM numbers(9)",
  "SELECT if(number % 2 = 0, NULL, toString(number)) AS ns, toNullable(number) AS n FROM numbers(7)",
  "SELECT toLowCardinality(if(number % 3 = 0, NULL, toString(number % 4))) AS nlc, number % 2 = 0 AS b FROM numbers(8)",
  "SELECT mapFromArrays(arrayMap(x -> toLowCardinality(toString(x)), range(number % 4)), arrayMap(x -> toString(x * 7), range(number % 4))) AS m FROM numbers(6)",
  "SELECT arrayMap(x -> toLowCardinality(toString(x)), range(number % 3)) AS a, [range(number % 3), []] AS aa FROM numbers(6)",
  "SELECT toDateTime64(number, 3) AS d, toDecimal64(number, 12) AS dec, sipHash128(number) AS h FROM numbers(5)",
  "SELECT CAST(map('k', toDecimal64(number, 12)), 'Map(LowCardinality(String), Decimal(18, 12))') AS c FROM numbers(5)",
];

test("blocks of a real server, changed and cut, are read correctly or refused", async () => {
  const server = await testServer();
  const responses = await Promise.all(
    QUERIES.map(async (sql) =>
      responseOf(
        Buffer.from(await server.fetchBytes(`${sql} FORMAT Native`, { settings: { max_block_size: 4 } })),
      ),
    ),
  );
  expect(responses.some(({ blocks }) => blocks.length > 1)).toBe(true);
  const target = nativeTarget(
    (number) => responses[number % responses.length] ?? responseOf(Buffer.alloc(0)),
  );
  const failure = runCases(target, chooseSeed(), CASES);
  expect(failure === null ? "" : `SEED=${failure.seed} repeats it: ${String(failure.error)}`).toBe("");
});
