import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseUsers } from "../../../scripts/dev-clickhouse/users.ts";
import {
  connectTo,
  type DevServerProcess,
  type QueryOptions,
  startDevServer,
} from "../../../scripts/testbed/server.ts";

const USERS = {
  analyst: { password: "p&ss", settings: { final: "1", max_block_size: 77 } },
  upgraded: { settings: { compatibility: "24.3" } },
  reader: { settings: { readonly: "1", final: "1" } },
  tuner: { settings: { readonly: "2" } },
  "bound <&> 'user'": {
    settings: { max_threads: 2 },
    constraints: { limit: "const", max_threads: { min: 1, max: 3 } },
  },
} as const;
const BOUND = "bound <&> 'user'";

let server: DevServerProcess;
let directory: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-users-"));
  writeFileSync(join(directory, "users.json"), JSON.stringify(USERS));
  server = await startDevServer("--temporary", "--users", join(directory, "users.json"));
});
afterAll(async () => {
  server.process.kill("SIGTERM");
  await server.process.exited;
  rmSync(directory, { recursive: true });
});

function query(user: string, sql: string, settings: QueryOptions["settings"] = {}): Promise<string> {
  return connectTo(server.url, user, user === "analyst" ? USERS.analyst.password : "").query(sql, {
    settings,
  });
}

function shown(user: string, name: string, settings: QueryOptions["settings"] = {}): Promise<string> {
  const sql = `SELECT value, changed, readonly, min, max FROM system.settings WHERE name = '${name}'`;
  return query(user, sql, settings);
}

describe("a user's profile", () => {
  test("holds for each query, and other users do not see it", async () => {
    expect(await shown("analyst", "final")).toBe("1\t1\t0\t\\N\t\\N\n");
    expect(await shown("analyst", "max_block_size")).toBe("77\t1\t0\t\\N\t\\N\n");
    expect(await shown("default", "final")).toBe("0\t0\t0\t\\N\t\\N\n");
  });

  test("yields to the query's own settings", async () => {
    expect(await query("analyst", "SELECT getSetting('final')", { final: 0 })).toBe("false\n");
  });

  test("with another compatibility gives settings the defaults of that version", async () => {
    const name = "input_format_json_infer_array_of_dynamic_from_array_of_different_types";
    expect(await shown("upgraded", name)).toStartWith("0\t1\t");
    expect(await shown("upgraded", name, { compatibility: "" })).toStartWith("1\t0\t");
  });

  test("needs the password of its user", async () => {
    await expect(connectTo(server.url, "analyst", "wrong").query("SELECT 1")).rejects.toThrow("Code: 516.");
  });
});

describe("a read-only user", () => {
  test("may change no setting where readonly is 1, but may send the value that it has", async () => {
    expect(await shown("reader", "limit")).toStartWith("0\t0\t1\t");
    await expect(query("reader", "SELECT 1", { final: 0 })).rejects.toThrow("Code: 164.");
    expect(await query("reader", "SELECT 1", { final: 1 })).toBe("1\n");
  });

  test("may send parameters", async () => {
    const reader = connectTo(server.url, "reader");
    expect(await reader.query("SELECT {x:UInt8}", { params: { x: 3 } })).toBe("3\n");
  });

  test("may write nothing, whichever value readonly has", async () => {
    for (const user of ["reader", "tuner"]) {
      await expect(query(user, "CREATE TABLE t (a Int8) ENGINE = Memory")).rejects.toThrow("Code: 164.");
    }
  });

  test("may change all settings but readonly where that is 2", async () => {
    expect(await query("tuner", "SELECT getSetting('final')", { final: 1 })).toBe("true\n");
    await expect(query("tuner", "SELECT 1", { readonly: 0 })).rejects.toThrow("Code: 164.");
  });
});

describe("a constraint", () => {
  test("is shown by system.settings", async () => {
    expect(await shown(BOUND, "limit")).toBe("0\t0\t1\t\\N\t\\N\n");
    expect(await shown(BOUND, "max_threads")).toBe("2\t1\t0\t1\t3\n");
  });

  test("refuses changes and values beyond its bounds, in the URL and in the statement", async () => {
    await expect(query(BOUND, "SELECT 1", { limit: 7 })).rejects.toThrow("Code: 452.");
    await expect(query(BOUND, "SELECT 1", { max_threads: 4 })).rejects.toThrow("Code: 452.");
    await expect(query(BOUND, "SELECT 1 SETTINGS limit = 7")).rejects.toThrow("Code: 452.");
  });

  test("accepts the value that holds already, and values within its bounds", async () => {
    expect(await query(BOUND, "SELECT 1", { limit: 0, max_threads: 3 })).toBe("1\n");
  });
});

test("a file of users that cannot be read says where it is wrong", () => {
  expect(() => parseUsers('{"u": {"setting": {}}}')).toThrow("u: setting: no such part");
  expect(() => parseUsers('{"u": {"settings": {"final; DROP": "1"}}}')).toThrow('"final; DROP"');
  expect(() => parseUsers("[]")).toThrow("expected an object");
});
