import { beforeAll, describe, expect, test } from "bun:test";
import { testServer } from "../../../scripts/testbed/server.ts";
import { Server } from "../../../src/clickhouse/server.ts";
import { parsesJsonByDefault } from "../../../src/clickhouse/settings/json-parsing.ts";
import { readServerSettings } from "../../../src/clickhouse/settings/read-server-settings.ts";
import {
  FIRST_SETTINGS,
  LIFTED_LIMITS,
  REQUIRED_SETTINGS,
  STATEMENT_KINDS,
} from "../../../src/clickhouse/settings/required-settings.ts";
import type { ServerSetting, SettingsOfUser } from "../../../src/clickhouse/settings/server-settings.ts";
import {
  refusedSettings,
  statementSettings,
  withPreferred,
} from "../../../src/clickhouse/settings/statement-settings.ts";

const NEVER = new AbortController().signal;
const BLOCKS = { pageRead: 100, traceRead: 200, insert: 300, compression: "none" } as const;
let server: Server;
let found: SettingsOfUser;

beforeAll(async () => {
  const { url, user, password } = await testServer();
  server = new Server({ url, user, password, database: "default" });
  found = await readServerSettings(server, NEVER);
});

/** A user whose settings all differ from the required values. */
function contrary(overrides: Partial<ServerSetting> = {}): SettingsOfUser {
  const settings = new Map(
    [...found.settings].map(([name, setting]) => [name, { ...setting, value: "contrary", ...overrides }]),
  );
  return { ...found, settings, base: {} };
}

function userWith(name: string, setting: Partial<ServerSetting>): SettingsOfUser {
  const initial = found.settings.get(name);
  if (initial === undefined) throw new Error(`The engine has no setting ${name}`);
  return { ...found, settings: new Map([...found.settings, [name, { ...initial, ...setting }]]) };
}

describe("required settings", () => {
  test("are left out where the server does not know them", () => {
    const sent = statementSettings({ settings: new Map(), base: {}, refusal: null });
    expect(sent.query).toEqual({});
    // A parameter of the HTTP interface and no setting.
    expect(sent.insert).toEqual({ wait_end_of_query: 1 });
  });

  test("are left out where the user has them already, so that a read-only user is not rejected", () => {
    const sent = statementSettings({ ...found, base: {} });
    expect(sent.pageRead).not.toHaveProperty("final");
    expect(sent.pageRead).not.toHaveProperty("enable_parallel_replicas");
  });

  test("of the first query go with every statement", () => {
    for (const kind of STATEMENT_KINDS) expect(statementSettings(found)[kind]).toMatchObject(found.base);
    expect(found.base).toMatchObject({ final: "0", limit: "0", additional_table_filters: "{}" });
  });

  test("are accepted by the engine, all at once", async () => {
    for (const kind of STATEMENT_KINDS) {
      const settings = withPreferred(statementSettings(contrary()), contrary(), BLOCKS)[kind];
      const sql = "SELECT number FROM numbers(3)";
      expect(await server.allRows({ sql, settings, isBare: true }, NEVER), kind).toHaveLength(3);
    }
  });

  test("are all known to the engine, so that a misspelt name does not pass", () => {
    const names = [...found.settings.keys()];
    const isKnown = ({ name, isPrefix }: (typeof REQUIRED_SETTINGS)[number]): boolean =>
      isPrefix ? names.some((known) => known.startsWith(name)) : found.settings.has(name);
    expect(REQUIRED_SETTINGS.filter((setting) => !isKnown(setting))).toEqual([]);
    expect(LIFTED_LIMITS.filter((setting) => !isKnown(setting))).toEqual([]);
    expect(FIRST_SETTINGS.length).toBeGreaterThan(20);
  });

  test("let no limit of a profile cut a response without an error", () => {
    const modes = [...found.settings.keys()].filter((name) => /_overflow_mode(_leaf)?$/.test(name));
    expect(modes.length).toBeGreaterThan(5);
    for (const kind of STATEMENT_KINDS) {
      const sent = statementSettings(contrary())[kind];
      for (const mode of modes) expect(sent[mode], mode).toBe("throw");
    }
  });

  test("of a prefix leave a setting that is named to its own row", () => {
    const { insert } = statementSettings(contrary());
    expect(insert["type_json_skip_duplicated_paths"]).toBe("1");
    expect(insert["input_format_json_infer_incomplete_types_as_strings"]).toBe("1");
    expect(insert["input_format_json_read_bools_as_numbers"]).toBe("0");
  });
});

describe("a setting that the user may not change", () => {
  test("is refused where it is required at another value, with both values", () => {
    const user = userWith("materialized_views_ignore_errors", { value: "1", isFixed: true });
    expect(refusedSettings(user)).toMatchObject([
      { name: "materialized_views_ignore_errors", value: "1", needed: "0" },
    ]);
    expect(refusedSettings(contrary({ isFixed: true })).length).toBeGreaterThan(50);
  });

  test("is refused where a constraint excludes the value", () => {
    expect(refusedSettings(userWith("insert_deduplicate", { value: "1", min: "1" }))).toHaveLength(1);
    expect(refusedSettings(userWith("insert_deduplicate", { value: "1", max: "1" }))).toHaveLength(0);
  });

  test("is accepted where it has the required value, is only preferred, or is a limit", () => {
    expect(refusedSettings(userWith("final", { value: "0", isFixed: true }))).toEqual([]);
    expect(refusedSettings(userWith("max_columns_to_read", { value: "3", isFixed: true }))).toEqual([]);
    const user = userWith("max_block_size", { value: "5", isFixed: true });
    expect(refusedSettings(user)).toEqual([]);
    expect(withPreferred(statementSettings(user), user, BLOCKS).pageRead).not.toHaveProperty(
      "max_block_size",
    );
  });
});

describe("preferred settings", () => {
  test("go with reads, blocks of pages and of traces each in their size", () => {
    const sent = withPreferred(statementSettings(found), found, BLOCKS);
    expect(sent.pageRead).toMatchObject({ max_block_size: 100 });
    expect(sent.traceRead).toMatchObject({ max_block_size: 200 });
    expect(sent.query).not.toHaveProperty("max_block_size");
  });

  test("have responses compressed where that is wanted and the user may change it", () => {
    const compressing = { enable_http_compression: 1, http_zlib_compression_level: 1 };
    const zstd = { ...BLOCKS, compression: "zstd" } as const;
    expect(withPreferred(statementSettings(contrary()), contrary(), zstd).pageRead).toMatchObject(
      compressing,
    );
    const fixed = contrary({ isFixed: true });
    for (const sent of [
      withPreferred(statementSettings(contrary()), contrary(), BLOCKS),
      withPreferred(statementSettings(fixed), fixed, zstd),
    ]) {
      for (const name of Object.keys(compressing)) expect(sent.pageRead).not.toHaveProperty(name);
    }
  });
});

test("a parser setting that would alter values sent as paths is detected", () => {
  expect(parsesJsonByDefault(found)).toBe(true);
  expect(parsesJsonByDefault(userWith("json_type_escape_dots_in_keys", { default: "1" }))).toBe(false);
  // A server that lacks such settings behaves as later defaults do.
  expect(parsesJsonByDefault({ settings: new Map() })).toBe(true);
});
