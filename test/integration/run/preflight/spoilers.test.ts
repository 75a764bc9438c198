import { beforeAll, describe, expect, test } from "bun:test";
import { expectSameRows } from "../../../../scripts/testbed/compare.ts";
import { runOptions } from "../../../../scripts/testbed/run-options.ts";
import {
  eventsFullTable,
  eventsTable,
  observationsTable,
  tracesTable,
} from "../../../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../../../scripts/testbed/server.ts";
import { identifier } from "../../../../src/clickhouse/sql.ts";
import type { BackfillOptions } from "../../../../src/run/backfill-options.ts";
import type { BackfillEvent } from "../../../../src/run/events.ts";
import { consistentReads, replicaLag, replicaState } from "../../../../src/run/preflight/replicas.ts";
import { verify } from "../../../../src/verify/verify.ts";
import { backfill, type RunOutcome } from "../../../support/backfill.ts";
import { FaultProxy } from "../../../support/fault-proxy.ts";
import { serverError } from "../../../support/fault-proxy-faults.ts";
import { chooseSeed, generateDataset } from "../../../support/generate.ts";
import { writeReference } from "../../../support/reference.ts";
import { sampled } from "../../../support/sampled.ts";

const PARTITION = "202511";
const seed = chooseSeed();
let server: TestServer;
let database: string;
let targets = 0;

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("preflight");
  await generateDataset(server, { database, seed, observations: 60, traces: 10, largeInputs: 0 });
});

const command = (sql: string): Promise<void> => server.command(sql, { database });

/** A target of its own, altered by statements in which `t` stands for its name. */
async function targetWith(...alterations: readonly string[]): Promise<string> {
  const target = `events_${++targets}`;
  await command(eventsTable(target));
  for (const sql of alterations) await command(`ALTER TABLE ${target} ${sql}`);
  return target;
}

function options(target: string, overrides: Partial<BackfillOptions> = {}): BackfillOptions {
  return runOptions(server, database, PARTITION, {
    tables: { source: "observations", traces: "traces", target },
    maxRetries: 0,
    maxWaitMs: 0,
    ...overrides,
  });
}

/** The message of a run that is refused, with nothing in the target. */
async function refusal(target: string, overrides: Partial<BackfillOptions> = {}): Promise<string> {
  const message = await backfill(options(target, overrides)).then(
    () => "nothing was refused",
    (error: Error) => error.message,
  );
  expect(await server.query(`SELECT count() FROM ${identifier(target)}`, { database })).toBe("0\n");
  return message;
}

function warningsOf(events: readonly BackfillEvent[]): string[] {
  return events.flatMap((event) => (event.kind === "warning" ? [event.message] : []));
}

test("a JSON column that cannot be filled is listed with the other problems", async () => {
  const target = await targetWith("MODIFY TTL toDateTime(start_time) + INTERVAL 1 DAY");
  const proxy = await FaultProxy.start(server.url);
  const refusing = serverError(400, 117, "Invalid version for Object structure", "INCORRECT_DATA");
  proxy.on({ on: /format\(Native/, nth: "every" }, refusing);
  try {
    const { connection } = options(target);
    const message = await refusal(target, { connection: { ...connection, url: proxy.url } });
    expect(message).toContain("its TTL toDateTime(start_time)");
    expect(message).toContain("column of type JSON cannot be filled: Code: 117");
  } finally {
    await proxy.close();
  }
});

describe("a TTL of the target", () => {
  test("that deletes rows of the month is refused, with how many", async () => {
    const target = await targetWith("MODIFY TTL toDateTime(start_time) + INTERVAL 1 DAY");
    expect(await refusal(target)).toMatch(
      new RegExp(
        `^${target}: its TTL toDateTime\\(start_time\\) \\+ toIntervalDay\\(1\\) deletes [1-9]\\d* rows of the month now or within a day, soon after they were inserted\\. Change the TTL .*, or give --ignore-ttl$`,
        "m",
      ),
    );
  });

  test("of a column, of rows under a condition, and over a derived column is refused as well", async () => {
    const target = await targetWith(
      "MODIFY COLUMN input String TTL toDateTime(start_time) + INTERVAL 1 DAY",
      "MODIFY TTL toDateTime(start_time) DELETE WHERE environment != 'none', toDateTime(start_time) DELETE WHERE user_id = 'u'",
    );
    const message = await refusal(target);
    expect(message).toContain("of column input empties it in ");
    expect(message).toMatch(/its TTL toDateTime\(start_time\) deletes [1-9]\d* rows of the month now/);
    expect(message).toContain("deletes rows of the month, as far as is known, now or within a day");
  });

  test("lets the run go on with --ignore-ttl, and says what it does", async () => {
    const target = await targetWith("MODIFY TTL toDateTime(start_time) + INTERVAL 1 DAY");
    const { report, events } = await backfill(options(target, { ignoreTtl: true }));
    expect(report.outcome).toBe("done");
    expect(warningsOf(events)).toEqual([expect.stringContaining(`${target}: its TTL `)]);
  });

  test("is no matter where it expires later, or only moves or recompresses rows", async () => {
    const target = await targetWith(
      "MODIFY TTL toDateTime(start_time) + INTERVAL 80 YEAR, toDateTime(start_time) RECOMPRESS CODEC(ZSTD(3))",
    );
    const { report, events } = await backfill(options(target));
    expect(report.outcome).toBe("done");
    expect(warningsOf(events)).toEqual([]);
  });
});

test("a TTL of a source that has expired is a warning", async () => {
  const own = await server.createDatabase("source_ttl");
  await generateDataset(server, { database: own, seed, observations: 60, traces: 10, largeInputs: 0 });
  await server.command(eventsTable("events"), { database: own });
  await server.command("SYSTEM STOP TTL MERGES observations", { database: own });
  await server.command("ALTER TABLE observations MODIFY TTL toDateTime(start_time) + INTERVAL 1 DAY", {
    database: own,
    settings: { materialize_ttl_after_modify: 0 },
  });
  const { events } = await backfill(runOptions(server, own, PARTITION));
  expect(warningsOf(events)).toEqual([
    expect.stringMatching(
      /^observations: the TTL toDateTime\(start_time\) \+ toIntervalDay\(1\) has expired for \d+ rows/,
    ),
  ]);
});

describe("a sorting key of the target", () => {
  const withKey = async (key: string): Promise<string> => {
    const target = `events_${++targets}`;
    const table = eventsTable(target).replace(/PRIMARY KEY[\s\S]*?ORDER BY \([^\n]*\)/, `ORDER BY (${key})`);
    await command(table.replace(/SAMPLE BY \S+/, ""));
    return target;
  };

  test("that cannot distinguish events is refused", async () => {
    const target = await withKey("project_id, start_time");
    expect(await refusal(target)).toContain(
      `${target}: sorting key (project_id, start_time) lacks span_id: different events would collapse to one`,
    );
  });

  test("that uses a column which a run leaves to its default is refused", async () => {
    const target = await withKey("project_id, span_id, service_name");
    expect(await refusal(target)).toContain(
      `${target}: sorting key (project_id, span_id, service_name) uses service_name, which a run leaves to its default`,
    );
  });

  test("is fine where it holds both, in whatever expression", async () => {
    const target = await withKey("project_id, toStartOfMinute(start_time), xxHash32(span_id)");
    expect((await backfill(options(target))).report.outcome).toBe("done");
  });
});

describe("an unfinished mutation of a source", () => {
  let own: string;
  beforeAll(async () => {
    own = await server.createDatabase("mutations");
    await generateDataset(server, { database: own, seed, observations: 60, traces: 10, largeInputs: 0 });
    await server.command(eventsTable("events"), { database: own });
    await server.command("SYSTEM STOP MERGES observations", { database: own });
    await server.command("ALTER TABLE observations DELETE WHERE cityHash64(id) % 3 = 0", {
      database: own,
      settings: { mutations_sync: 0 },
    });
  });

  test("ends the run when it does not end in time, with its command", async () => {
    const run = backfill(runOptions(server, own, PARTITION, { maxWaitMs: 0 }));
    const message = await run.then(
      () => "done",
      (error: Error) => error.message,
    );
    expect(message).toStartWith(
      "Waiting for unfinished mutations: after 0 minutes there still are some\nobservations: mutation ",
    );
    expect(message).toContain("parts to do: (DELETE WHERE (cityHash64(id) % 3) = 0)");
    expect(message).toContain("KILL MUTATION");
  });

  test("is waited for, and the run then copies what it has left", async () => {
    const waits: BackfillEvent[] = [];
    const running: Promise<RunOutcome> = backfill(
      runOptions(server, own, PARTITION, { maxWaitMs: 60_000 }),
      (event) => {
        if (event.kind !== "wait" || waits.push(event) > 1) return;
        void server.command("SYSTEM START MERGES observations", { database: own });
      },
    );
    const { report } = await running;
    expect(waits[0]).toMatchObject({ kind: "wait", reason: "mutations" });
    const left = await server.query(
      `SELECT count() FROM observations FINAL WHERE _partition_id = '${PARTITION}'`,
      {
        database: own,
      },
    );
    expect(report.observationsRead).toBe(Number(left));
  });
});

describe("a replica", () => {
  const lag = (...row: unknown[]): string | null => replicaLag(replicaState(["observations", ...row]));

  test("that has caught up, or is a few seconds behind, is not waited for", () => {
    expect(lag(0, 0, 0)).toBeNull();
    expect(lag("10", "3", 0)).toBeNull();
  });

  test("that lags or is read-only is waited for, with how far it is", () => {
    expect(lag("45", "1", 0)).toBe("observations: this replica is 45 s behind, with 1 insert in its queue");
    expect(lag(0, 0, 1)).toBe("observations: this replica is read-only and learns of no inserts");
  });

  test("is read as of all acknowledged inserts, where a source has replicas at all", () => {
    const consistent = { select_sequential_consistency: 1 };
    expect(consistentReads(["ReplicatedReplacingMergeTree", "ReplacingMergeTree"])).toEqual(consistent);
    expect(consistentReads(["ReplacingMergeTree", "SharedReplacingMergeTree"])).toEqual(consistent);
    expect(consistentReads(["ReplacingMergeTree", "ReplacingMergeTree"])).toEqual({});
    expect(consistentReads(["", ""])).toEqual({});
  });

  test.each([
    ["is read so by the server's engine and by verify", true],
    ["that is none is read as ever by both", false],
  ] as const)("%s", async (_, isReplicated) => {
    const target = await targetWith();
    const proxy = await FaultProxy.start(server.url);
    const renamed = (body: Buffer): Buffer =>
      Buffer.from(body.toString().replaceAll('"ReplacingMergeTree', '"ReplicatedReplacingMergeTree'));
    if (isReplicated) proxy.on({ on: /FROM system\.tables/, nth: "every" }, { kind: "edit", body: renamed });
    const joining = (): string[] =>
      proxy.requests
        .filter(({ sql }) => sql.includes("LEFT ANTI JOIN"))
        .map(({ params }) => params.get("select_sequential_consistency") ?? "none");
    try {
      const { connection } = options(target);
      const own = options(target, { connection: { ...connection, url: proxy.url }, engine: "server" });
      await backfill(own);
      const ofRun = joining();
      const compare = { backfill: own, quick: false, ignoreNewer: false, examples: 1, only: null };
      const { counts } = await verify(compare, () => {}, new AbortController().signal);
      expect(counts).toMatchObject({ missing: 0, unexpected: 0, differing: 0 });
      const ofVerify = joining().slice(ofRun.length);
      for (const values of [ofRun, ofVerify]) {
        expect(values.length).toBeGreaterThan(0);
        expect(new Set(values)).toEqual(new Set([isReplicated ? "1" : "none"]));
      }
    } finally {
      await proxy.close();
    }
  });
});

describe("a month that clients with odd clocks have made", () => {
  const DAYS: Readonly<Record<string, readonly string[]>> = {
    "197001": ["1970-01-01 00:00:00.001", "1970-01-02 12:00:00", "1970-01-31 23:59:59.999"],
    "196912": ["1969-12-01 00:00:00", "1969-12-31 23:59:59"],
    "214906": ["2149-06-05 10:00:00", "2149-06-06 10:00:00", "2149-06-07 10:00:00", "2149-06-30 10:00:00"],
    "229912": ["2299-12-01 00:00:00", "2299-12-02 00:00:00", "2299-12-31 23:59:59"],
  };

  test.each(sampled(Object.keys(DAYS), 1))("is copied like any other: %s", async (partition) => {
    const own = await server.createDatabase("odd_month");
    for (const sql of [observationsTable("observations"), tracesTable("traces"), eventsFullTable("events")]) {
      await server.command(sql, { database: own });
    }
    const days = DAYS[partition] ?? [];
    for (const [i, day] of days.entries()) {
      for (const project of ["p", "q"]) {
        await server.command(
          `INSERT INTO observations (id, trace_id, project_id, type, start_time, event_ts) SELECT concat('o', toString(number)), concat('t', toString(number % 5)), '${project}', 'SPAN', toDateTime64('${day}', 3), toDateTime64('2025-01-01 00:00:00', 3) + ${i} FROM numbers(40)`,
          { database: own },
        );
      }
      await server.command(
        `INSERT INTO traces (id, project_id, timestamp, name, event_ts) SELECT concat('t', toString(number)), 'p', toDateTime64('${day}', 3), concat('trace of ', '${day}'), toDateTime64('2025-01-01 00:00:00', 3) + number FROM numbers(4)`,
        { database: own },
      );
    }
    // A trace outside the window, which must not be taken for one of these.
    await server.command(
      "INSERT INTO traces (id, project_id, timestamp, name, event_ts) VALUES ('t1', 'q', '2024-03-01 00:00:00', 'far away', '2025-01-01 00:00:00')",
      { database: own },
    );
    const { report } = await backfill(runOptions(server, own, partition, { streamBlockSizeRows: 30 }));
    await writeReference(server, { database: own, partition, target: "events" }, "expected");
    await expectSameRows(server, { database: own, actual: "events", expected: "expected" }, "final");
    expect(report).toMatchObject({ outcome: "done", observationsRead: days.length * 80 });
  });
});

test("a month without observations names those that there are, the newest first", async () => {
  await command(
    "INSERT INTO observations (id, project_id, start_time, event_ts) VALUES ('a', 'p', '2024-02-01 00:00:00', now64(3)), ('b', 'p', '2299-12-01 00:00:00', now64(3))",
  );
  const { report } = await backfill(
    runOptions(server, database, "202001", {
      tables: { source: "observations", traces: "traces", target: await targetWith() },
    }),
  );
  expect(report.outcome).toBe("nothing-to-do");
  const rows = await server.queryJson<{ partition: string; rows: number }>(
    "SELECT _partition_id AS partition, count() AS rows FROM observations GROUP BY partition ORDER BY partition DESC",
    { database },
  );
  expect(rows.length).toBeGreaterThan(1);
  expect(report.months).toEqual(rows);
});
