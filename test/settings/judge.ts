import { runOptions } from "../../scripts/testbed/run-options.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import type { BackfillOptions } from "../../src/run/backfill-options.ts";
import { backfill } from "../support/backfill.ts";
import { differingColumns } from "./digest.ts";
import type { Trial } from "./trial.ts";
import { compareMonth, describeFound, plantDifferences } from "./verifying.ts";
import {
  addFailingView,
  type Digests,
  digestsOf,
  EXPECTED,
  emptyTables,
  remakeTables,
  TARGET,
  VIEW_FAILURE,
  VIEWED,
  type World,
} from "./world.ts";

/**
 * How a trial ended: with the right rows and a comparison that is right about them, with a refusal, with other rows or a wrong comparison
 * and no word about it, or not at all.
 */
export type Outcome = "exact" | "refused" | "silent" | "hung";

export interface Verdict {
  readonly trial: Trial;
  readonly outcome: Outcome;
  /** The message of a refusal, or what differs. */
  readonly message: string;
  readonly durationMs: number;
}

/** Small pages: a run reads several. */
const PAGE_ROWS = 40;
const TIME_LIMIT_MS = 30_000;
/** A run that does not end when it is stopped is left alone. */
const PATIENCE_MS = 5_000;

/** Runs the tool as the trial's user, compares what it stored, and has it compared by that user as well. */
export async function judge(world: World, trial: Trial, user: string): Promise<Verdict> {
  const startedMs = performance.now();
  let verdict: Ending;
  try {
    await setUp(world, trial);
    verdict = await play(world, trial, user);
  } finally {
    await resetSources(world, trial);
  }
  const isClean = verdict.outcome === "exact" && trial.scene === "plain" && trial.tableSettings === undefined;
  const cleaned = isClean ? emptyTables(world) : remakeTables(world);
  const isCleaned = await Promise.race([
    cleaned.then(() => true),
    Bun.sleep(TIME_LIMIT_MS).then(() => false),
  ]);
  if (!isCleaned) throw new Error(`The server does not recover from ${trial.name}`);
  return { trial, ...verdict, durationMs: performance.now() - startedMs };
}

type Ending = Pick<Verdict, "outcome" | "message">;

const EXACT: Ending = { outcome: "exact", message: "" };

async function play(world: World, trial: Trial, user: string): Promise<Ending> {
  const { scene } = trial;
  const first = await run(world, user);
  if (scene === "failing view") {
    if (first.outcome === "refused" && first.message.includes(VIEW_FAILURE)) return EXACT;
    return first.outcome === "exact" ? { outcome: "silent", message: "the view's error is lost" } : first;
  }
  if (first.outcome !== "exact") return first;
  const compared = await compare(world);
  if (compared.outcome !== "exact") return compared;
  if (scene === "plain") return world.isVerified ? await verifyPlanted(world, trial, user) : EXACT;
  for (const table of [TARGET, VIEWED]) await world.server.command(`DELETE FROM ${table} WHERE true`, world);
  const second = await run(world, user);
  return second.outcome === "exact" ? await compare(world) : second;
}

/** Plants differences in the month and has them found: these, and nothing else. */
async function verifyPlanted(world: World, trial: Trial, user: string): Promise<Ending> {
  const planted = await plantDifferences(world, Bun.hash.crc32(trial.name));
  const ending = await inTime("verify", async (stop) => {
    const found = describeFound(await compareMonth(optionsOf(world, user), stop));
    if (found === planted) return EXACT;
    return { outcome: "silent", message: `verify finds ${found || "no difference"} and not ${planted}` };
  });
  return ending.outcome === "refused" ? { ...ending, message: `verify: ${ending.message}` } : ending;
}

async function run(world: World, user: string): Promise<Ending> {
  return await inTime("the run", async (stop) => {
    await backfill(optionsOf(world, user), undefined, stop);
    return EXACT;
  });
}

function optionsOf({ server, database, partition, layout, engine }: World, user: string): BackfillOptions {
  return runOptions({ ...server, user, password: "" }, database, partition, {
    layout,
    engine,
    maxRetries: 0,
    maxWaitMs: 0,
    streamBlockSizeRows: PAGE_ROWS,
    // One thread for both pipelines: each compiles the program for itself.
    cores: 1,
  });
}

/** How some work ended, which is stopped where it takes too long. */
async function inTime(name: string, work: (stop: AbortSignal) => Promise<Ending>): Promise<Ending> {
  const stop = new AbortController();
  const ended = work(stop.signal).catch(
    (error: unknown): Ending => ({
      outcome: "refused",
      message: error instanceof Error ? error.message : String(error),
    }),
  );
  const timer = Promise.withResolvers<"late">();
  const timeout = setTimeout(() => timer.resolve("late"), TIME_LIMIT_MS);
  const first = await Promise.race([ended, timer.promise]);
  clearTimeout(timeout);
  if (first !== "late") return first;
  stop.abort(new Error("The time limit of a trial is over"));
  await Promise.race([ended, Bun.sleep(PATIENCE_MS)]);
  return { outcome: "hung", message: `${name}: no end after ${TIME_LIMIT_MS / 1000} s` };
}

async function compare(world: World): Promise<Ending> {
  const found = await digestsOf(world);
  const parts: string[] = [];
  for (const [role, table] of [
    ["target", TARGET],
    ["viewed", VIEWED],
  ] as const) {
    const [is, must] = [found[role], world.digests[role]];
    if (is.rows !== must.rows) parts.push(`${table} has ${is.rows} rows and not ${must.rows}`);
    else if (is.values !== must.values) {
      const { server, database } = world;
      const columns = await differingColumns(server, database, table, EXPECTED[table] ?? "");
      parts.push(`${table} differs in ${columns.join(", ")}`);
    } else if (is.types !== must.types) parts.push(`${table} differs in the types of JSON paths`);
  }
  return parts.length === 0 ? EXACT : { outcome: "silent", message: parts.join("; ") };
}

/**
 * Takes the types of JSON paths from a run without a profile, whose values must be those of the reference, and the compared columns from
 * a comparison, which must find nothing.
 */
export async function withFirstRun(world: World): Promise<World> {
  const { outcome, message } = await run(world, world.server.user);
  if (outcome !== "exact") throw new Error(`A run without a profile fails: ${message}`);
  const found: Digests = await digestsOf(world);
  const digests = {
    target: { ...world.digests.target, types: found.target.types },
    viewed: { ...world.digests.viewed, types: found.viewed.types },
  };
  const result = await compareMonth(optionsOf(world, world.server.user), new AbortController().signal);
  if (describeFound(result) !== "") throw new Error(`A run without a profile: ${describeFound(result)}`);
  const settled = { ...world, digests, compared: result.columns };
  const compared = await compare(settled);
  if (compared.outcome !== "exact") throw new Error(`A run without a profile: ${compared.message}`);
  await emptyTables(world);
  return settled;
}

async function setUp(world: World, { scene, tableSettings }: Trial): Promise<void> {
  if (scene === "failing view") await addFailingView(world);
  if (scene === "deduplicating target")
    await modify(world, [TARGET, VIEWED], { non_replicated_deduplication_window: "100" });
  if (tableSettings !== undefined)
    await modify(world, ["observations", "traces", TARGET, VIEWED], tableSettings);
}

async function modify(
  world: World,
  tables: readonly string[],
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  const assignments = Object.entries(settings).map(([name, value]) => `${identifier(name)} = ${value}`);
  for (const table of tables) {
    await world.server.command(`ALTER TABLE ${table} MODIFY SETTING ${assignments.join(", ")}`, world);
  }
}

/** Tables of the run are made from the start; the sources stay. */
async function resetSources(world: World, { tableSettings }: Trial): Promise<void> {
  if (tableSettings === undefined) return;
  const names = Object.keys(tableSettings).map(identifier).join(", ");
  for (const table of ["observations", "traces"]) {
    await world.server.command(`ALTER TABLE ${table} RESET SETTING ${names}`, world);
  }
}
