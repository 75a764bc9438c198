import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fingerprintOf, type RunFingerprint } from "../../../src/checkpoint/fingerprint.ts";
import { type LedgerOptions, openLedger, openReadOnlyLedger } from "../../../src/checkpoint/ledger.ts";
import { ensureStateDirectory, statePath } from "../../../src/checkpoint/paths.ts";
import { CheckpointError, RunError } from "../../../src/errors.ts";
import { WHOLE_KEY_SPACE } from "../../../src/plan/key-range.ts";
import { withSeed } from "../../support/property.ts";
import { boundsWithin, pagesBetween, randomKeys, simpleKey } from "./keys.ts";

const A = simpleKey("a");
const B = simpleKey("b");
const C = simpleKey("c");

const FINGERPRINT: RunFingerprint = fingerprintOf({
  connection: { url: "http://localhost:8123/", user: "u", password: "topsecret", database: "default" },
  tables: { source: "observations", traces: "traces", target: "events" },
  traceWindowDays: 2,
});
const NOW = (): Date => new Date("2025-02-03T04:05:06.789Z");

let directory = "";
let options: LedgerOptions;
let path = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "checkpoint-"));
  options = { directory, partition: "202501", fingerprint: FINGERPRINT };
  path = statePath(directory, "202501");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const LEGACY = {
  partition: "202501",
  cursor: { project_id: "b", type: "SPAN", date: "2025-01-15", id: "x" },
  rows_processed: 1234,
  last_updated: "2025-01-20T10:11:12.123456789Z",
};

/** Writes the file, opens the ledger and expects a refusal that leaves the file as it is. */
function expectRefusal(content: string | Uint8Array, message: RegExp | string): void {
  writeFileSync(path, content);
  const before = readFileSync(path);
  for (const open of [openLedger, openReadOnlyLedger]) {
    expect(() => open(options)).toThrow(CheckpointError);
    expect(() => open(options)).toThrow(message);
    expect(() => open(options)).toThrow(
      "--restart sets it aside and copies the month from the start; another --cursor-state-dir leaves it alone.",
    );
  }
  expect(readFileSync(path)).toEqual(before);
}

function writtenFile(): string {
  const ledger = openLedger(options, NOW);
  ledger.finishPage({ after: null, upTo: A }, 10);
  ledger.finishPage({ after: B, upTo: null }, 5);
  return readFileSync(path, "utf8");
}

describe("the file", () => {
  test("has the fields of older deployments first, in their order", () => {
    expect(writtenFile()).toBe(`{
  "partition": "202501",
  "cursor": {
    "project_id": "a",
    "type": "SPAN",
    "date": "2025-01-15",
    "id": "x"
  },
  "rows_processed": 15,
  "last_updated": "2025-02-03T04:05:06.789Z",
  "format_version": 1,
  "finished": false,
  "pages_beyond_cursor": [
    {
      "after": {
        "project_id": "b",
        "type": "SPAN",
        "date": "2025-01-15",
        "id": "x"
      },
      "up_to": null,
      "rows": 5
    }
  ],
  "fingerprint": {
    "server": "http://localhost:8123",
    "database": "default",
    "source_table": "observations",
    "traces_table": "traces",
    "target_table": "events",
    "trace_window_days": 2,
    "layout": "events"
  }
}
`);
  });

  test("is for its owner only, and leaves no temporary file behind", () => {
    writtenFile();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(["cursor_state_202501.json"]);
  });

  test("does not exist before the first page", () => {
    const ledger = openLedger(options);
    expect(ledger).toMatchObject({ finished: false, rowsProcessed: 0, notice: null });
    expect(ledger.remaining()).toEqual([WHOLE_KEY_SPACE]);
    expect(existsSync(path)).toBe(false);
  });

  test("is cleared of the temporary files of runs that died", () => {
    writeFileSync(`${path}.4711.abc.1.tmp`, "half");
    writeFileSync(join(directory, "cursor_state_202502.json.1.a.1.tmp"), "another partition's");
    openLedger(options);
    expect(readdirSync(directory)).toEqual(["cursor_state_202502.json.1.a.1.tmp"]);
  });
});

describe("resuming", () => {
  test("continues after the finished pages", () => {
    writtenFile();
    const ledger = openLedger(options);
    expect(ledger).toMatchObject({ finished: false, rowsProcessed: 15 });
    expect(ledger.remaining()).toEqual([{ after: A, upTo: B }]);
  });

  test("reloaded after any page, with pages cut differently each time, every key is finished exactly once", () => {
    withSeed(15, (random) => {
      rmSync(path, { force: true });
      const keys = randomKeys(random, 12);
      let rows = 0;
      for (;;) {
        const ledger = openLedger(options);
        expect(ledger.rowsProcessed).toBe(rows);
        const remaining = ledger.remaining();
        if (remaining.length === 0) return;
        const bounds = keys.filter(() => random.below(2) === 0);
        const pages = random.shuffle(
          remaining.flatMap((range) => pagesBetween(range, boundsWithin(range, bounds))),
        );
        for (const page of pages.slice(0, 1 + random.below(3))) {
          const pageRows = random.below(100);
          ledger.finishPage(page, pageRows);
          rows += pageRows;
        }
        expect(openLedger(options).remaining()).toEqual(ledger.remaining());
      }
    });
  });

  test("accepts a file with the four old fields: everything up to its cursor is done", () => {
    writeFileSync(path, JSON.stringify(LEGACY));
    const ledger = openLedger(options, NOW);
    expect(ledger).toMatchObject({ finished: false, rowsProcessed: 1234 });
    expect(ledger.notice).toContain("older version");
    expect(ledger.remaining()).toEqual([{ after: B, upTo: null }]);
    ledger.finishPage({ after: B, upTo: C }, 1);
    const reopened = openLedger(options);
    expect(reopened).toMatchObject({ notice: null, rowsProcessed: 1235 });
    expect(reopened.remaining()).toEqual([{ after: C, upTo: null }]);
  });

  test("a read-only ledger starts where a run would, and writes nothing", () => {
    const before = writtenFile();
    writeFileSync(`${path}.1.a.1.tmp`, "");
    const ledger = openReadOnlyLedger(options);
    ledger.finishPage({ after: A, upTo: B }, 1);
    expect(ledger.remaining()).toEqual([]);
    ledger.finishPartition(B, 7, null);
    expect(readFileSync(path, "utf8")).toBe(before);
    expect(readdirSync(directory)).toHaveLength(2);
  });
});

describe("what is known of earlier runs", () => {
  const STARTED_MS = Date.UTC(2025, 1, 1, 2, 3, 4, 567);

  test("is each range with its rows, and when the first of them began", () => {
    const ledger = openLedger(options, NOW);
    expect(ledger.done).toEqual([]);
    expect(ledger.begin(STARTED_MS)).toBe(STARTED_MS);
    ledger.finishPage({ after: null, upTo: A }, 10);
    ledger.finishPage({ after: B, upTo: C }, 5);
    const reopened = openLedger(options, NOW);
    expect(reopened.begin(STARTED_MS + 1000)).toBe(STARTED_MS);
    expect(reopened.done).toEqual([
      { range: { after: null, upTo: A }, rows: 10 },
      { range: { after: B, upTo: C }, rows: 5 },
    ]);
    reopened.finishPage({ after: A, upTo: B }, 1);
    const again = openLedger(options, NOW);
    expect(again.begin(STARTED_MS + 2000)).toBe(STARTED_MS);
    expect(again.done).toEqual([{ range: { after: null, upTo: C }, rows: 16 }]);
  });

  test.each([
    ["2025-01-20T10:11:12.123456789Z", Date.UTC(2025, 0, 20, 10, 11, 12, 123)],
    ["2025-01-20 10:11:12-03:30", Date.UTC(2025, 0, 20, 13, 41, 12)],
  ])("of a file that does not say it, is that they ended %s", (last_updated, expected) => {
    writeFileSync(path, JSON.stringify({ ...LEGACY, last_updated }));
    const ledger = openLedger(options, NOW);
    expect(ledger.begin(STARTED_MS)).toBe(expected);
    expect(ledger.done).toEqual([{ range: { after: null, upTo: B }, rows: 1234 }]);
    ledger.finishPage({ after: B, upTo: C }, 1);
    expect(openLedger(options).begin(STARTED_MS)).toBe(expected);
  });
});

describe("taking ranges back", () => {
  test("leaves those that are kept, of earlier runs and of this one", () => {
    openLedger(options).finishPage({ after: null, upTo: A }, 10);
    const ledger = openLedger(options);
    ledger.finishPage({ after: A, upTo: B }, 3);
    ledger.finishPage({ after: B, upTo: C }, 4);
    ledger.finishPage({ after: C, upTo: null }, 5);
    expect(ledger.remaining()).toEqual([]);
    ledger.keepOnly([
      { range: { after: null, upTo: A }, rows: 10 },
      { range: { after: B, upTo: C }, rows: 4 },
      { range: { after: C, upTo: null }, rows: 5 },
    ]);
    for (const left of [ledger, openLedger(options)])
      expect(left.remaining()).toEqual([{ after: A, upTo: B }]);
    expect(openLedger(options)).toMatchObject({ finished: false, rowsProcessed: 19 });
    expect(() => ledger.finishPartition(C, 7, null)).toThrow("key ranges of it remain");
    ledger.finishPage({ after: A, upTo: B }, 6);
    ledger.finishPartition(C, 7, null);
    expect(openLedger(options)).toMatchObject({ finished: true, rowsProcessed: 25 });
    expect(() => ledger.keepOnly([])).toThrow("finished");
  });

  test("may leave nothing", () => {
    const ledger = openLedger(options);
    ledger.finishPage(WHOLE_KEY_SPACE, 3);
    ledger.keepOnly([]);
    expect(openLedger(options).remaining()).toEqual([WHOLE_KEY_SPACE]);
    expect(openLedger(options)).toMatchObject({ rowsProcessed: 0, done: [] });
  });
});

describe("finishing", () => {
  test("stays finished, with the last key as the cursor", () => {
    const ledger = openLedger(options);
    ledger.finishPage(WHOLE_KEY_SPACE, 3);
    expect(ledger.remaining()).toEqual([]);
    ledger.finishPartition(C, 7, null);
    const reopened = openLedger(options);
    expect(reopened).toMatchObject({ finished: true, rowsProcessed: 3 });
    expect(reopened.remaining()).toEqual([]);
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({
      cursor: { project_id: "c" },
      pages_beyond_cursor: [],
    });
  });

  test("never moves the cursor back", () => {
    const ledger = openLedger(options);
    ledger.finishPage({ after: null, upTo: B }, 1);
    ledger.finishPage({ after: B, upTo: null }, 1);
    ledger.finishPartition(A, 7, null);
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ cursor: { project_id: "b" } });
  });

  test("is refused while key ranges remain", () => {
    const ledger = openLedger(options);
    ledger.finishPage({ after: null, upTo: B }, 1);
    expect(() => ledger.finishPartition(C, 7, null)).toThrow("remain");
    expect(openLedger(options).finished).toBe(false);
  });
});

describe("refuses and keeps", () => {
  test("a file cut short at any byte", () => {
    const whole = writtenFile();
    for (let length = 0; length < whole.length - 1; length += 1) {
      writeFileSync(path, whole.slice(0, length));
      expect(() => openLedger(options)).toThrow(CheckpointError);
    }
    // Without the newline at the end nothing is missing.
    writeFileSync(path, whole.slice(0, -1));
    expect(openLedger(options).remaining()).toEqual([{ after: A, upTo: B }]);
  });

  const current = (): Record<string, unknown> => JSON.parse(writtenFile());

  test.each([
    ["no object", "[]", "is corrupt"],
    ["JSON null", "null", "is corrupt"],
    ["another program's file", '{"hello":1}', "is corrupt"],
    ["old fields and an unknown one", JSON.stringify({ ...LEGACY, shards: 4 }), "shards"],
    ["an old field missing", JSON.stringify({ ...LEGACY, rows_processed: undefined }), "rows_processed"],
    ["negative rows", JSON.stringify({ ...LEGACY, rows_processed: -1 }), "rows_processed"],
    ["half a row", JSON.stringify({ ...LEGACY, rows_processed: 0.5 }), "rows_processed"],
    [
      "no real day",
      JSON.stringify({ ...LEGACY, cursor: { ...LEGACY.cursor, date: "2025-02-30" } }),
      "No such day",
    ],
    ["no time", JSON.stringify({ ...LEGACY, last_updated: "yesterday" }), "last_updated"],
    [
      "a time that cannot be read",
      JSON.stringify({ ...LEGACY, last_updated: "2025-01-15T10:00:00+01" }),
      "No such time",
    ],
    [
      "a lone surrogate",
      JSON.stringify({ ...LEGACY, cursor: { ...LEGACY.cursor, id: "\ud800" } }),
      "Unicode",
    ],
    ["invalid UTF-8", new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]), "not valid UTF-8"],
    ["another partition", JSON.stringify({ ...LEGACY, partition: "202502" }), 'is of partition "202502"'],
  ])("%s", (_, content, message) => expectRefusal(content, message));

  test("an unknown format version", () =>
    expectRefusal(
      JSON.stringify({ ...current(), format_version: 2 }),
      "has format version 2; this program knows",
    ));

  test("a field that this version does not know", () =>
    expectRefusal(JSON.stringify({ ...current(), shard: 1 }), "shard"));

  test("listed pages that overlap the cursor or each other", () => {
    const file = current();
    const page = { after: null, up_to: null, rows: 1 };
    expectRefusal(JSON.stringify({ ...file, pages_beyond_cursor: [page] }), "overlap");
    expectRefusal(JSON.stringify({ ...file, cursor: null, pages_beyond_cursor: [page, page] }), "overlap");
  });

  test("another fingerprint, naming each item that differs", () => {
    writtenFile();
    options = {
      ...options,
      fingerprint: { ...FINGERPRINT, server: "https://ch:8443", trace_window_days: 3 },
    };
    expectRefusal(
      readFileSync(path, "utf8"),
      'server: the checkpoint has "http://localhost:8123", this run has "https://ch:8443"; ' +
        "trace_window_days: the checkpoint has 2, this run has 3",
    );
  });
});

describe("a filesystem that fails", () => {
  test("fails the run when the directory vanishes, naming path and errno", () => {
    const ledger = openLedger(options);
    rmSync(directory, { recursive: true });
    const finish = (): void => ledger.finishPage({ after: null, upTo: A }, 1);
    expect(finish).toThrow(RunError);
    expect(finish).toThrow(path);
    expect(finish).toThrow("ENOENT");
    mkdirSync(directory);
    finish();
    expect(openLedger(options).remaining()).toEqual([{ after: A, upTo: null }]);
  });

  test("names a directory in place of the file", () => {
    mkdirSync(path);
    expect(() => openLedger(options)).toThrow(CheckpointError);
    expect(() => openLedger(options)).toThrow("EISDIR");
  });

  test("refuses to start when leftovers can't be removed, naming path, errno and what to do", () => {
    const leftover = `${path}.4711.abc.1.tmp`;
    mkdirSync(leftover);
    const open = (): unknown => openLedger(options);
    expect(open).toThrow(CheckpointError);
    expect(open).toThrow(leftover);
    expect(open).toThrow(/: E(ISDIR|PERM)\b.*\n.+, then run the same command again/);
  });

  test("refuses to start without the directory, naming path, errno and what to do", () => {
    rmSync(directory, { recursive: true });
    const open = (): unknown => openLedger(options);
    expect(open).toThrow(CheckpointError);
    expect(open).toThrow(directory);
    expect(open).toThrow(/: ENOENT\b.*\nThe directory is gone: check --cursor-state-dir/);
  });

  test.skipIf(!existsSync("/proc/self"))("names a filesystem that takes no files", () => {
    const ledger = openLedger({ ...options, directory: "/proc" });
    expect(() => ledger.finishPage({ after: null, upTo: A }, 1)).toThrow(RunError);
    expect(() => ledger.finishPage({ after: null, upTo: A }, 1)).toThrow("could not be written: E");
  });

  test("makes the state directory, and says when it can't", () => {
    const nested = join(directory, "a", "b");
    ensureStateDirectory(nested);
    ensureStateDirectory(nested);
    expect(statSync(nested).isDirectory()).toBe(true);
    const file = join(directory, "file");
    writeFileSync(file, "");
    expect(() => ensureStateDirectory(file)).toThrow(CheckpointError);
    expect(() => ensureStateDirectory(join(file, "below"))).toThrow("ENOTDIR");
  });
});

describe("fingerprintOf", () => {
  const connection = { user: "u", password: "topsecret", database: "d" };
  const tables = { source: "o", traces: "t", target: "e" };
  const server = (url: string): string =>
    fingerprintOf({ connection: { ...connection, url }, tables, traceWindowDays: 2 }).server;

  test("is the same for all spellings of one server", () => {
    expect(server("http://Host/")).toBe(server("http://host:80"));
    expect(server("https://host:443/")).toBe("https://host");
    expect(server("http://host:8123")).not.toBe(server("https://host:8123"));
  });

  test("holds no credentials", () => {
    expect(writtenFile()).not.toContain("topsecret");
  });
});
