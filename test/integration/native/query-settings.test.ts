import { beforeAll, describe, expect, test } from "bun:test";
import {
  knownSettings,
  QUERY_SETTINGS,
  readSettings,
  writeSettings,
} from "../../../src/clickhouse/query-settings.ts";
import { Server } from "../../../src/clickhouse/server.ts";
import { testServer } from "../../support/server.ts";

const NEVER = new AbortController().signal;
let server: Server;
let known: ReadonlySet<string>;

beforeAll(async () => {
  const { url, user, password } = await testServer();
  server = new Server({ url, user, password, database: "default" });
  known = await knownSettings(server, NEVER);
});

describe("the settings of requests", () => {
  test("are all known to the engine, and left out where they are not", () => {
    const everything = { has: () => true } as unknown as ReadonlySet<string>;
    expect(readSettings(known, 100)).toEqual(readSettings(everything, 100));
    expect(writeSettings(known)).toEqual(writeSettings(everything));
    expect(readSettings(new Set(["max_block_size", "limit"]), 100)).toEqual({
      max_block_size: 100,
      limit: 0,
    });
    // A parameter of the HTTP interface and no setting.
    expect(writeSettings(new Set())).toEqual({ wait_end_of_query: 1 });
  });

  test("are accepted by the engine", async () => {
    const sql = "SELECT number FROM numbers(3)";
    expect(await server.allRows({ sql, settings: readSettings(known, 100) }, NEVER)).toHaveLength(3);
    expect(await server.allRows({ sql, settings: writeSettings(known) }, NEVER)).toHaveLength(3);
  });

  test("of every query are among those of pages and inserts", () => {
    for (const settings of [readSettings(known, 100), writeSettings(known)]) {
      expect(settings).toMatchObject(QUERY_SETTINGS);
    }
  });

  test("of every query hold for small ones too", async () => {
    const all = await server.allRows({ sql: "SELECT name, toString(value) FROM system.settings" }, NEVER);
    const rows = all.filter(([name]) => String(name) in QUERY_SETTINGS);
    const values = Object.fromEntries(rows.map(([name, value]) => [name, value]));
    expect(values).toEqual(
      Object.fromEntries(Object.entries(QUERY_SETTINGS).map(([name, value]) => [name, String(value)])),
    );
  });

  test("let no limit of a profile cut an answer without an error", async () => {
    // A limit whose mode is `break` ends the query early and calls it a success.
    const modes = await server.allRows(
      { sql: "SELECT name FROM system.settings WHERE type LIKE 'OverflowMode%' ORDER BY name" },
      NEVER,
    );
    expect(modes.length).toBeGreaterThan(5);
    for (const settings of [readSettings(known, 100), writeSettings(known)]) {
      for (const [name] of modes) expect(settings[String(name)], String(name)).toBe("throw");
    }
  });
});
