import { beforeAll, describe, expect, test } from "bun:test";
import {
  type KnownSettings,
  knownSettings,
  parsesJsonByDefault,
  querySettings,
  readSettings,
  writeSettings,
} from "../../../src/clickhouse/query-settings.ts";
import { Server } from "../../../src/clickhouse/server.ts";
import { testServer } from "../../support/server.ts";

const NEVER = new AbortController().signal;
let server: Server;
let known: KnownSettings;

beforeAll(async () => {
  const { url, user, password } = await testServer();
  server = new Server({ url, user, password, database: "default" });
  known = await knownSettings(server, NEVER);
});

/** A server that has every setting otherwise than is wanted. */
function contrary(isChangeable = true): KnownSettings {
  return new Map([...known.keys()].map((name) => [name, { value: "otherwise", isChangeable }]));
}

describe("the settings of requests", () => {
  test("are left out where the server does not know them", () => {
    const few: KnownSettings = new Map([["limit", { value: "5", isChangeable: true }]]);
    expect(readSettings(few, 100)).toEqual({ limit: 0 });
    // A parameter of the HTTP interface and no setting.
    expect(writeSettings(new Map())).toEqual({ wait_end_of_query: 1 });
  });

  test("are left out where the server has them so", () => {
    const same: KnownSettings = new Map([["limit", { value: "0", isChangeable: false }]]);
    expect(querySettings(same)).toEqual({});
  });

  test("that are only wishes are left out where the user may not change them", () => {
    const wanted = readSettings(contrary(), 100);
    expect(wanted).toMatchObject({ max_block_size: 100, do_not_merge_across_partitions_select_final: 1 });
    const fixed = readSettings(contrary(false), 100);
    expect(fixed).not.toHaveProperty("max_block_size");
    expect(fixed).toMatchObject(querySettings(contrary(false)));
  });

  test("have answers compressed where that is wanted and the user may change them", () => {
    const compressing = { enable_http_compression: 1, http_zlib_compression_level: 1 };
    expect(readSettings(contrary(), 100, "zstd")).toMatchObject(compressing);
    for (const settings of [
      readSettings(contrary(), 100, "none"),
      readSettings(contrary(false), 100, "zstd"),
    ]) {
      for (const name of Object.keys(compressing)) expect(settings).not.toHaveProperty(name);
    }
  });

  test("are all known to the engine, and accepted by it", async () => {
    const sql = "SELECT number FROM numbers(3)";
    for (const settings of [readSettings(contrary(), 100), writeSettings(contrary())]) {
      expect(await server.allRows({ sql, settings }, NEVER)).toHaveLength(3);
    }
    // What a server does not know is left out, so that a name that no server knows would never be missed.
    const all = { get: () => ({ value: "otherwise", isChangeable: true }) } as unknown as KnownSettings;
    const names = Object.keys({ ...readSettings(all, 1, "zstd"), ...writeSettings(all) });
    const unknown = names.filter((name) => name !== "wait_end_of_query" && !known.has(name));
    expect(unknown).toEqual([]);
    expect(names.length).toBeGreaterThan(20);
  });

  test("let no limit of a profile cut an answer without an error", async () => {
    // A limit whose mode is `break` ends the query early and calls it a success.
    const modes = await server.allRows(
      { sql: "SELECT name FROM system.settings WHERE type LIKE 'OverflowMode%' ORDER BY name" },
      NEVER,
    );
    expect(modes.length).toBeGreaterThan(5);
    for (const settings of [
      querySettings(contrary()),
      readSettings(contrary(), 100),
      writeSettings(contrary()),
    ]) {
      for (const [name] of modes) expect(settings[String(name)], String(name)).toBe("throw");
    }
  });

  test("of every query go with small ones too", async () => {
    const guarded = new Server({ ...(await testServer()), database: "default" });
    guarded.querySettings = { limit: 2 };
    expect(await guarded.allRows({ sql: "SELECT number FROM numbers(3)" }, NEVER)).toHaveLength(2);
  });
});

test("tell whether JSON is parsed as by default", async () => {
  expect(parsesJsonByDefault(known)).toBe(true);
  expect(parsesJsonByDefault(contrary())).toBe(false);
  // A server that lacks such settings does what later defaults say.
  expect(parsesJsonByDefault(new Map())).toBe(true);
  const dots = new Map([...known, ["json_type_escape_dots_in_keys", { value: "1", isChangeable: true }]]);
  expect(parsesJsonByDefault(dots)).toBe(false);
});
