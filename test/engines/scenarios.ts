import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expectSameRows } from "../../scripts/testbed/compare.ts";
import { BufferPool } from "../../src/bytes/buffer-pool.ts";
import { selectBlocks } from "../../src/clickhouse/select-blocks.ts";
import { Server } from "../../src/clickhouse/server.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import { type CliOutcome, type RunningCli, startCommand } from "../support/cli.ts";
import { FaultProxy } from "../support/fault-proxy.ts";
import type { EngineFixture, TargetName } from "./fixture.ts";

/** What a scenario showed: how many rows were the same, or why there are none to compare. */
export type Result =
  | { readonly rows: number; readonly why?: string }
  | { readonly word: "refused" | "not applicable"; readonly why: string };

/** A story of runs on an engine. It throws when the engine's rows are wrong. */
export type Scenario = (fixture: EngineFixture) => Promise<Result>;

const MAIN = join(import.meta.dir, "../../src/main.ts");
const PAGES = ["--stream-block-size=120", "--batch-size=60", "--parallel-workers=2"];
const ONE_BY_ONE = ["--stream-block-size=120", "--batch-size=60", "--parallel-workers=1"];

/** One target, one state directory and a proxy for the runs of a story. */
class Story implements AsyncDisposable {
  readonly proxy: FaultProxy;
  readonly target: string;
  readonly #fixture: EngineFixture;
  readonly #kind: TargetName;
  readonly #directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-engine-run-"));
  readonly #running: RunningCli[] = [];

  private constructor(fixture: EngineFixture, kind: TargetName, target: string, proxy: FaultProxy) {
    this.#fixture = fixture;
    this.#kind = kind;
    this.target = target;
    this.proxy = proxy;
  }

  static async open(fixture: EngineFixture, kind: TargetName): Promise<Story> {
    const target = `target_${crypto.randomUUID().slice(0, 8)}`;
    await fixture.makeTarget(kind, target);
    return new Story(fixture, kind, target, await FaultProxy.start(fixture.server.url));
  }

  start(flags: readonly string[]): RunningCli {
    const { server, database, partition } = this.#fixture;
    const usual = [
      `--partition=${partition}`,
      `--clickhouse-url=${this.proxy.url}`,
      `--clickhouse-user=${server.user}`,
      `--clickhouse-db=${database}`,
      `--target-table=${this.target}`,
      "--layout=events",
    ];
    const running = startCommand([process.execPath, MAIN, ...usual, ...flags], { cwd: this.#directory });
    this.#running.push(running);
    return running;
  }

  async run(flags: readonly string[] = PAGES): Promise<CliOutcome> {
    return await this.start(flags).outcome;
  }

  /** Runs to a good end. */
  async finish(flags: readonly string[] = PAGES): Promise<void> {
    const outcome = await this.run(flags);
    if (outcome.code !== 0) throw new Error(`Exit code ${outcome.code}: ${outcome.stderr.slice(-3000)}`);
  }

  /** Compares the target with what it must hold; `set`: rows may be there more than once. */
  async compare(mode: "multiset" | "set"): Promise<Result> {
    const { server, database } = this.#fixture;
    const expected = await this.#fixture.expected(this.#kind);
    await expectSameRows(server, { database, actual: this.target, expected }, mode);
    const rows = Number(await server.query(`SELECT count() FROM ${identifier(expected)}`, { database }));
    if (rows === 0) throw new Error("There are no rows to compare");
    return { rows };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of this.#running) running.kill("SIGKILL");
    await this.proxy.close();
    rmSync(this.#directory, { recursive: true });
  }
}

/** The main job, into a kind of target: old versions, ties, tombstones and every odd metadata are in its data. */
function copies(kind: TargetName): Scenario {
  return async (fixture) => {
    if (kind === "events, JSON" && fixture.jsonType === null) {
      return { word: "not applicable", why: "the engine has no JSON type" };
    }
    await using story = await Story.open(fixture, kind);
    if (kind === "events, JSON" && !(await takesText(fixture))) {
      const outcome = await story.run();
      const isRefused =
        outcome.code === 1 && /expected JSON or String|does not take JSON as text/.test(outcome.stderr);
      if (!isRefused) throw new Error(`Exit code ${outcome.code}, expected a refusal: ${outcome.stderr}`);
      if (story.proxy.requests.some((request) => request.kind === "insert"))
        throw new Error("Rows were inserted");
      return { word: "refused", why: `no JSON as text in Native (type ${fixture.jsonType})` };
    }
    await story.finish();
    const same = await story.compare("multiset");
    const lacksIndexes = kind === "events_full" && !fixture.hasTextIndexes;
    return lacksIndexes
      ? { ...same, why: "without its text indexes, which the engine does not make so" }
      : same;
  };
}

/** JSON columns as they are from 25.x on; the engines of 24.x refuse text in Native blocks. */
async function takesText(fixture: EngineFixture): Promise<boolean> {
  const version = await fixture.server.query("SELECT version()");
  return fixture.jsonType === "JSON" && Number(version.split(".")[0]) >= 25;
}

const resumesAfterKill: Scenario = async (fixture) => {
  await using story = await Story.open(fixture, "events, String");
  const rule = story.proxy.on({ on: "page", nth: 3 }, { kind: "hold", at: "request" });
  const running = story.start(ONE_BY_ONE);
  await Promise.race([rule.reached, running.outcome.then(fail)]);
  running.kill("SIGKILL");
  await running.outcome;
  rule.release("drop");
  await story.finish();
  return await story.compare("set");
};

const survivesCutResponse: Scenario = async (fixture) => {
  await using story = await Story.open(fixture, "events, String");
  const cut = { kind: "cutResponse", afterBytes: 9000, framing: "chunked" } as const;
  const rule = story.proxy.on({ on: "page", nth: 2, times: 2 }, cut);
  await story.finish();
  if (rule.applied !== 2) throw new Error("No response was cut");
  return await story.compare("multiset");
};

/** The engine itself refuses a row, and the acknowledgement of another insert is lost. */
const survivesFailedInsert: Scenario = async (fixture) => {
  await using story = await Story.open(fixture, "events_full");
  const { server, database } = fixture;
  const alter = (what: string): Promise<void> =>
    server.command(`ALTER TABLE ${identifier(story.target)} ${what}`, { database });
  await alter("ADD CONSTRAINT refused CHECK span_id != 'odd 0007'");
  const refused = await story.run();
  if (refused.code !== 1 || !/Code: 469\. .*odd 0007/s.test(refused.stderr + refused.stdout)) {
    if (!(refused.stderr.includes("Code: 469.") && refused.stderr.includes('"odd 0007"'))) {
      throw new Error(`Exit code ${refused.code}, expected a refused row: ${refused.stderr}`);
    }
  }
  await alter("DROP CONSTRAINT refused");
  story.proxy.on({ on: "insert" }, { kind: "reset", at: "response" });
  await story.finish();
  return await story.compare("set");
};

/** An exception in the middle of a response must arrive in the engine's own words. */
const keepsTheWords: Scenario = async (fixture) => {
  const { server, database } = fixture;
  const { url, user, password } = server;
  const client = new Server({ url, user, password, database });
  const rows = 400_000;
  const sql = `SELECT number, throwIf(number = ${rows}, 'thrown on purpose') FROM numbers(1000000)`;
  let received = 0;
  try {
    const settings = { max_block_size: 10_000, max_threads: 1 };
    const blocks = selectBlocks(
      client,
      { sql, settings },
      new BufferPool(1 << 20),
      new AbortController().signal,
    );
    for await (const block of blocks) received += block.rows;
  } catch (error) {
    const text = String(error);
    if (received === 0) throw new Error(`The exception did not come in the middle: ${text}`);
    if (!/Code: 395\. .*thrown on purpose/.test(text)) throw new Error(`The words are lost: ${text}`);
    return { rows: received };
  } finally {
    client.close();
  }
  throw new Error("No exception arrived");
};

function fail(outcome: CliOutcome): never {
  throw new Error(`The run ended before it could be killed: ${JSON.stringify(outcome)}`);
}

/** The columns of the matrix. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "`events`, JSON": copies("events, JSON"),
  "`events`, String": copies("events, String"),
  "`events_full`": copies("events_full"),
  "after `kill -9`": resumesAfterKill,
  "cut response": survivesCutResponse,
  "failed insert": survivesFailedInsert,
  "exception in a response": keepsTheWords,
};
