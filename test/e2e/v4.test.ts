import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventsFullTable } from "../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../scripts/testbed/server.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import type { PhaseName } from "../../src/plan/phases.ts";
import {
  type CliOutcome,
  type RunningCli,
  readStderr,
  reportedCount,
  runCli,
  startCli,
} from "../support/cli.ts";
import { temporaryDirectory } from "../support/cli-directory.ts";
import { enter, leave, reached } from "../support/cli-scenario.ts";
import { BY_HAND, makeDatasetRuns } from "../support/data/dataset-runs.ts";
import { FaultProxy } from "../support/fault-proxy.ts";
import { type Fault, NO_ROWS, serverError } from "../support/fault-proxy-faults.ts";
import type { Match } from "../support/fault-proxy-rules.ts";
import { chooseSeed, generateDataset } from "../support/generate.ts";
import { writeV4Reference } from "../support/reference-v4.ts";
import { sampled } from "../support/sampled.ts";
import { expectV4Rows } from "../support/v4-comparison.ts";

const PARTITION = "202511";
const EXPECTED = "expected";
const seed = chooseSeed();

let server: TestServer;
let database: string;
let stories = 0;

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("e2e_v4");
  await generateDataset(server, { database, seed, observations: 300, traces: 90, largeInputs: 0 });
  await makeDatasetRuns(server, { database, seed, chainSpans: 60 });
  await server.command(eventsFullTable("events_full", { mergesOff: true }), { database });
  await writeV4Reference(server, { database, partition: PARTITION, target: "events_full" }, EXPECTED);
});

/** A target, a state directory and a proxy of its own, in which one story of runs plays. */
class Story implements AsyncDisposable {
  readonly proxy: FaultProxy;
  readonly target: string;
  readonly directory = temporaryDirectory("clickhouse-backfill-v4-");
  readonly sinceMs = Date.now();

  private constructor(proxy: FaultProxy, target: string) {
    this.proxy = proxy;
    this.target = target;
  }

  static async open(): Promise<Story> {
    await enter();
    const target = `events_full_${++stories}`;
    await server.command(eventsFullTable(target, { mergesOff: true }), { database });
    return new Story(await FaultProxy.start(server.url), target);
  }

  #flags(more: readonly string[]): string[] {
    return [
      `--partition=${PARTITION}`,
      `--clickhouse-url=${this.proxy.url}`,
      `--clickhouse-user=${server.user}`,
      `--clickhouse-password=${server.password}`,
      `--clickhouse-db=${database}`,
      `--target-table=${this.target}`,
      "--allow-missing-view",
      "--stream-block-size=120",
      "--batch-size=60",
      "--insert-rows=1",
      ...more,
    ];
  }

  start(...more: string[]): Promise<RunningCli> {
    return startCli(this.#flags(more), { cwd: this.directory });
  }

  run(...more: string[]): Promise<CliOutcome> {
    return runCli(this.#flags(more), { cwd: this.directory });
  }

  /** The INSERTs that the proxy has seen. */
  get inserts(): number {
    return this.proxy.requests.filter(({ kind }) => kind === "insert").length;
  }

  rows(): Promise<string> {
    return server.query(`SELECT count() FROM ${identifier(this.target)}`, { database });
  }

  async expectReference(): Promise<void> {
    await expectV4Rows(server, { database, target: this.target, expected: EXPECTED }, this.sinceMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.close();
    leave();
  }
}

/** What an INSERT of each phase names, and no other does. */
const INSERT_OF: Readonly<Record<PhaseName, RegExp>> = {
  roots: /^INSERT INTO(?!.*`(prompt_id|experiment_id)`)/s,
  observations: /^INSERT INTO(?=.*`prompt_id`)(?!.*`experiment_id`)/s,
  experiments: /^INSERT INTO(?=.*`experiment_id`)/s,
};

describe(`a run of all phases, seed ${seed}`, () => {
  for (const phase of ["roots", "observations", "experiments"] as const) {
    const signals = [
      ["SIGKILL", { signal: "SIGKILL" }],
      ["SIGTERM", { code: 143 }],
    ] as const;
    for (const [signal, ended] of sampled(signals, 1)) {
      test.concurrent(`ends by ${signal} among the ${phase}, and the next one completes the copy`, async () => {
        await using story = await Story.open();
        const hold = story.proxy.on({ on: INSERT_OF[phase], nth: 2 }, { kind: "hold", at: "response" });
        const running = await story.start("--parallel-workers=1");
        await reached(hold, running);
        running.kill(signal);
        if (signal === "SIGTERM") hold.release();
        expect(await running.outcome).toMatchObject(ended);
        story.proxy.reset();
        const next = await story.run("--parallel-workers=3");
        expect(next).toMatchObject({ code: 0 });
        await story.expectReference();
      });
    }
  }

  test.concurrent("that finished is followed by one that inserts nothing", async () => {
    await using story = await Story.open();
    expect(await story.run()).toMatchObject({ code: 0 });
    const inserts = story.inserts;
    const again = await story.run();
    expect(again).toMatchObject({ code: 0 });
    expect(again.stdout).toContain(
      `Partition ${PARTITION} was finished by an earlier run; nothing was inserted.`,
    );
    expect(story.inserts).toBe(inserts);
    expect(readdirSync(story.directory).sort()).toEqual([
      `cursor_state_${PARTITION}.json`,
      `cursor_state_${PARTITION}_roots.json`,
      "cursor_state_experiments.json",
    ]);
    await story.expectReference();
  });

  test.concurrent("does not copy again what runs of single phases have copied", async () => {
    await using story = await Story.open();
    expect(await story.run("--only=roots")).toMatchObject({ code: 0 });
    expect(await story.run("--only=experiments")).toMatchObject({ code: 0 });
    const all = await story.run();
    expect(all).toMatchObject({ code: 0 });
    expect(all.stdout).not.toContain("Traces read");
    expect(all.stdout).not.toContain("Rows of dataset runs read");
    expect(reportedCount(all, "Observations read")).toBeGreaterThan(0);
    await story.expectReference();
  });
});

const SPANS = /AS `?__parent_key/;

describe("a fault of the server among the experiments is survived:", () => {
  const ITEMS = /AS `?__root_key/;
  const faults: readonly (readonly [string, Match, Fault])[] = [
    [
      "the plan fails",
      { on: /AS row_count/ },
      serverError(500, 241, "Memory limit exceeded", "MEMORY_LIMIT_EXCEEDED"),
    ],
    ["the items are cut", { on: ITEMS }, { kind: "cutResponse", afterBytes: 50, framing: "chunked" }],
    ["the spans are cut", { on: SPANS }, { kind: "cutResponse", afterBytes: 100, framing: "chunked" }],
    [
      "the rows are cut",
      { on: /`prompt_id`[\s\S]*PREWHERE/ },
      { kind: "cutResponse", afterBytes: 500, framing: "chunked" },
    ],
    ["an INSERT is not acknowledged", { on: INSERT_OF.experiments }, { kind: "reset", at: "response" }],
    [
      "there are too many parts",
      { on: INSERT_OF.experiments },
      serverError(500, 252, "Too many parts", "TOO_MANY_PARTS"),
    ],
  ];
  for (const [what, match, fault] of sampled(faults, 2)) {
    test.concurrent(what, async () => {
      await using story = await Story.open();
      const rule = story.proxy.on(match, fault);
      expect(await story.run()).toMatchObject({ code: 0 });
      expect(rule.applied).toBe(1);
      await story.expectReference();
    });
  }
});

test.concurrent(`no row is written plain where a replica lags while the spans are read, seed ${seed}`, async () => {
  await using story = await Story.open();
  const lag = story.proxy.on({ on: SPANS }, NO_ROWS);
  expect(await story.run("--parallel-workers=1")).toMatchObject({ code: 0 });
  expect(lag.applied).toBe(1);
  await story.expectReference();
  const plain = (from: string): string =>
    `SELECT countDistinct(project_id, trace_id, span_id) FROM ${from}
      WHERE experiment_id = '' AND (project_id, trace_id) IN (SELECT project_id, trace_id FROM dataset_run_items_rmt FINAL)`;
  const target = identifier(story.target);
  // Merges are off, so that every row that was ever written is there.
  expect(await server.query(plain(target), { database })).toBe(
    await server.query(plain(`${target} FINAL`), { database }),
  );
});

describe("a run is refused", () => {
  test.concurrent("that continues a checkpoint of another layout", async () => {
    await using story = await Story.open();
    expect(await story.run("--layout=events")).toMatchObject({ code: 0 });
    const rows = await story.rows();
    const refused = await story.run("--layout=v4");
    expect(refused).toMatchObject({ code: 3, stdout: "" });
    const { failure } = readStderr(refused);
    expect(failure.join("\n")).toContain("its layout is events, this run's is v4");
    expect(failure.join("\n")).toContain("--restart sets it aside");
    expect(await story.rows()).toBe(rows);
  });

  test.concurrent("that asks for a phase that its layout lacks", async () => {
    await using story = await Story.open();
    const refused = await story.run("--layout=events", "--only=roots,experiments");
    expect(refused).toMatchObject({ code: 1 });
    expect(readStderr(refused).failure.join("\n")).toContain(
      "the layout events has no rows of --only roots,experiments",
    );
  });

  test.concurrent("that names a layout or a phase that there is not", async () => {
    await using story = await Story.open();
    for (const [flag, accepted] of [
      ["--layout=5", "auto, events or v4"],
      ["--only=rots", "roots, observations, experiments"],
    ] as const) {
      const refused = await story.run(flag);
      expect(refused).toMatchObject({ code: 2 });
      expect(refused.stderr).toContain(accepted);
    }
  });
});

test(`a row of an experiment that the server rejects is skipped, and all others are copied, seed ${seed}`, async () => {
  await using story = await Story.open();
  const isBad = `project_id = '${BY_HAND}' AND span_id = 'grandchild'`;
  await server.command(
    `ALTER TABLE ${identifier(story.target)} ADD CONSTRAINT no_grandchild CHECK NOT (${isBad})`,
    { database },
  );
  const failed = await story.run();
  expect(failed).toMatchObject({ code: 1 });
  expect(readStderr(failed).failure.join("\n")).toMatch(
    /the server rejects the row .*grandchild.* of trace "no row"/,
  );
  const skipping = await story.run("--skip-bad-rows=bad.jsonl");
  expect(skipping).toMatchObject({ code: 0 });
  expect(reportedCount(skipping, "Rows skipped")).toBe(1);
  const path = join(story.directory, "bad.jsonl");
  expect(existsSync(path) && readFileSync(path, "utf8")).toContain("grandchild");
  await server.command(`ALTER TABLE ${identifier(story.target)} DROP CONSTRAINT no_grandchild`, { database });
  await server.command(`CREATE TABLE but_one AS ${identifier(EXPECTED)}`, { database });
  await server.command(`INSERT INTO but_one SELECT * FROM ${identifier(EXPECTED)} WHERE NOT (${isBad})`, {
    database,
  });
  await expectV4Rows(server, { database, target: story.target, expected: "but_one" }, story.sinceMs);
});
