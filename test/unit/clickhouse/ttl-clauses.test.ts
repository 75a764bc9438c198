import { describe, expect, test } from "bun:test";
import { ttlClauses } from "../../../src/clickhouse/ttl-clauses.ts";

const COLUMNS =
  "(`a` DateTime64(3), `b` String TTL toDateTime(a) + toIntervalDay(30) SETTINGS (x = 1), `c` String COMMENT 'y TTL (z', INDEX i a TYPE minmax GRANULARITY 1)";
const ENGINE = "ENGINE = ReplacingMergeTree(event_ts, is_deleted) PARTITION BY toYYYYMM(a) ORDER BY (a, b)";

describe("the TTLs of a table", () => {
  test("are empty where it has none, whatever its comments say", () => {
    expect(ttlClauses(`CREATE TABLE d.t (\`a\` String COMMENT 'TTL a') ${ENGINE} COMMENT 'TTL'`)).toEqual([]);
    expect(ttlClauses("")).toEqual([]);
    expect(ttlClauses("CREATE VIEW v AS SELECT 1")).toEqual([]);
  });

  test("are those of its columns and its own, without moves and recompressions", () => {
    const sql = `CREATE TABLE d.t ${COLUMNS} ${ENGINE} TTL toDateTime(a) + toIntervalDay(30), toDateTime(a) + toIntervalDay(10) WHERE c = 'k, TTL', toDateTime(a) RECOMPRESS CODEC(ZSTD(3)), a TO DISK 'cold' SETTINGS index_granularity = 8192`;
    expect(ttlClauses(sql)).toEqual([
      { column: "b", expression: "toDateTime(a) + toIntervalDay(30)", where: null },
      { column: null, expression: "toDateTime(a) + toIntervalDay(30)", where: null },
      { column: null, expression: "toDateTime(a) + toIntervalDay(10)", where: "c = 'k, TTL'" },
    ]);
  });

  test("that roll rows up count as deletions", () => {
    const sql = `CREATE TABLE d.t ${COLUMNS} ${ENGINE} TTL a + toIntervalDay(1) GROUP BY a, b SET c = max(c), b = any(b)`;
    expect(ttlClauses(sql).at(-1)).toEqual({ column: null, expression: "a + toIntervalDay(1)", where: null });
  });

  test("of columns with odd names are found under those", () => {
    const sql =
      "CREATE TABLE t (`TTL` Date, `a, ``b` String TTL `TTL` + toIntervalDay(1), `INDEX` String) ENGINE = Null";
    expect(ttlClauses(sql)).toEqual([
      { column: "a, `b", expression: "`TTL` + toIntervalDay(1)", where: null },
    ]);
  });
});
