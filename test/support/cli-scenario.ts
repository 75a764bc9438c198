import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type CompareMode, expectSameRows } from "../../scripts/testbed/compare.ts";
import { eventsFullTable } from "../../scripts/testbed/schema.ts";
import { type TestServer, testServer } from "../../scripts/testbed/server.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import { type CliOutcome, type RunningCli, startCli } from "./cli.ts";
import { temporaryDirectory } from "./cli-directory.ts";
import { FaultProxy } from "./fault-proxy.ts";
import type { Rule } from "./fault-proxy-rules.ts";
import { chooseSeed, generateDataset } from "./generate.ts";
import { writeReference } from "./reference.ts";

/** A month of observations and the events that copying them must yield, for any number of runs. */
export interface Fixture {
  readonly server: TestServer;
  readonly database: string;
  readonly partition: string;
  /** The table of the expected events. */
  readonly expected: string;
  readonly events: number;
  /** Holds the scenarios' working directories. */
  readonly directory: string;
}

const OBSERVATIONS = 220;
const TRACES = 50;
const EXPECTED = "expected";

let shared: Promise<Fixture> | undefined;
let scenarios = 0;

/** Scenarios open at a time; more only wait for the same few cores. */
const MAX_OPEN = 4;
let open = 0;
const waiting: (() => void)[] = [];

/** Waits until a story may begin; `leave` ends it. */
export async function enter(): Promise<void> {
  if (open < MAX_OPEN) open += 1;
  else await new Promise<void>((resolve) => waiting.push(resolve));
}

export function leave(): void {
  const next = waiting.shift();
  if (next === undefined) open -= 1;
  else next();
}

/** The fixture that all scenarios of this process share. */
export function sharedFixture(): Promise<Fixture> {
  shared ??= makeFixture();
  return shared;
}

async function makeFixture(): Promise<Fixture> {
  const server = await testServer();
  const database = await server.createDatabase("e2e");
  const { partition } = await generateDataset(server, {
    database,
    seed: chooseSeed(),
    observations: OBSERVATIONS,
    traces: TRACES,
    parts: 2,
    largeInputs: 0,
  });
  await server.command(eventsFullTable("events", { mergesOff: true }), { database });
  const events = await writeReference(server, { database, partition, target: "events" }, EXPECTED);
  const directory = temporaryDirectory("clickhouse-backfill-e2e-");
  return { server, database, partition, expected: EXPECTED, events, directory };
}

/** A target table, a state directory and a proxy of its own, in which one story of runs plays. */
export class Scenario implements AsyncDisposable {
  readonly fixture: Fixture;
  readonly proxy: FaultProxy;
  readonly target: string;
  /** The table that keeps every row that arrives at the target, so that doubled ones show. */
  readonly arrived: string;
  /** Working directory and state directory of the runs. */
  readonly directory: string;
  readonly #running: RunningCli[] = [];

  private constructor(fixture: Fixture, proxy: FaultProxy, target: string, directory: string) {
    this.fixture = fixture;
    this.proxy = proxy;
    this.target = target;
    this.arrived = arrivedAt(target);
    this.directory = directory;
  }

  static async open(): Promise<Scenario> {
    const fixture = await sharedFixture();
    const { server, database } = fixture;
    await enter();
    const target = `events_${++scenarios}`;
    // A ReplacingMergeTree drops rows that are doubled within an insert, and nothing else is taken that keeps rows.
    for (const sql of [
      eventsFullTable(target, { engine: "Null" }),
      eventsFullTable(arrivedAt(target), { engine: "Memory" }),
      `CREATE MATERIALIZED VIEW ${identifier(viewOf(target))} TO ${identifier(arrivedAt(target))} AS
        SELECT * FROM ${identifier(target)}`,
    ]) {
      await server.command(sql, { database });
    }
    const directory = join(fixture.directory, target);
    mkdirSync(directory);
    return new Scenario(fixture, await FaultProxy.start(server.url), target, directory);
  }

  /** The flags that every run of the scenario has; about four pages of two batches each. */
  get flags(): string[] {
    const { server, database, partition } = this.fixture;
    return [
      `--partition=${partition}`,
      `--clickhouse-url=${this.proxy.url}`,
      `--clickhouse-user=${server.user}`,
      `--clickhouse-password=${server.password}`,
      `--clickhouse-db=${database}`,
      `--target-table=${this.target}`,
      "--layout=events",
    ];
  }

  async start(
    flags: readonly string[] = SMALL,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<RunningCli> {
    const running = await startCli([...this.flags, ...flags], { cwd: this.directory, environment });
    this.#running.push(running);
    return running;
  }

  async run(
    flags: readonly string[] = SMALL,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<CliOutcome> {
    return await (await this.start(flags, environment)).outcome;
  }

  /** Starts a run and waits until it meets the rule's fault. Throws when it ends without meeting it. */
  async startUntil(rule: Rule, flags: readonly string[] = SMALL): Promise<RunningCli> {
    const running = await this.start(flags);
    await reached(rule, running);
    return running;
  }

  get checkpointPath(): string {
    return join(this.directory, `cursor_state_${this.fixture.partition}.json`);
  }

  get lockPath(): string {
    return join(this.directory, `cursor_state_${this.fixture.partition}.lock`);
  }

  /** The checkpoint's content, or null when there is none. */
  checkpoint(): Checkpoint | null {
    if (!existsSync(this.checkpointPath)) return null;
    return JSON.parse(readFileSync(this.checkpointPath, "utf8")) as Checkpoint;
  }

  /** Rows that arrived at the target, repeated ones included. */
  async targetRows(): Promise<number> {
    const { server, database } = this.fixture;
    return Number(await server.query(`SELECT count() FROM ${identifier(this.arrived)}`, { database }));
  }

  /** Throws unless the expected events arrived at the target; `set`: each at least once. */
  async expectEvents(mode: CompareMode): Promise<void> {
    const { server, database, expected } = this.fixture;
    await expectSameRows(server, { database, actual: this.arrived, expected }, mode);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      for (const running of this.#running) running.kill("SIGKILL");
      await this.proxy.close();
      const { server, database } = this.fixture;
      for (const table of [viewOf(this.target), this.target, this.arrived]) {
        await server.command(`DROP TABLE ${identifier(table)}`, { database });
      }
    } finally {
      leave();
    }
  }
}

function arrivedAt(target: string): string {
  return `${target}_arrived`;
}

function viewOf(target: string): string {
  return `${target}_view`;
}

/** Waits until the run meets the rule's fault. Throws when it ends without meeting it. */
export async function reached(rule: Rule, running: RunningCli): Promise<void> {
  const ended = running.outcome.then((outcome) => {
    throw new Error(`The run ended before it met the fault: ${JSON.stringify(outcome)}`);
  });
  // Later it may end as it likes.
  ended.catch(() => {});
  await Promise.race([rule.reached, ended]);
}

/** What tests look at in a checkpoint. */
export interface Checkpoint {
  readonly partition: string;
  readonly rows_processed: number;
  readonly finished: boolean;
  readonly cursor: unknown;
  readonly pages_beyond_cursor: readonly { readonly rows: number }[];
}

/** Page and batch sizes that give a few pages of a few batches, each an INSERT of its own. */
export const SMALL: readonly string[] = [
  "--stream-block-size=60",
  "--batch-size=40",
  "--insert-rows=1",
  "--parallel-workers=2",
];
/** The same with one request at a time, for stories in which the order matters. */
export const ONE_BY_ONE: readonly string[] = [
  "--stream-block-size=60",
  "--batch-size=40",
  "--insert-rows=1",
  "--parallel-workers=1",
];
/** Other sizes, for the runs that continue. */
export const OTHER_SIZES: readonly string[] = [
  "--stream-block-size=45",
  "--batch-size=100",
  "--insert-rows=1",
  "--parallel-workers=3",
];
