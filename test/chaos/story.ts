import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { identifier } from "../../src/clickhouse/sql.ts";
import { reportedCount } from "../support/cli.ts";
import { randomFrom } from "../support/data/random.ts";
import { FaultProxy } from "../support/fault-proxy.ts";
import type { Fault, ProxiedRequest } from "../support/fault-proxy-faults.ts";
import { writeReference } from "../support/reference.ts";
import { drawFault, EMPTY_PAGE, type NamedFault } from "./faults.ts";
import { BrokenPromise, judgeEnd, judgeProcesses, judgeState, type LeftFiles } from "./judge.ts";
import { Killer } from "./killer.ts";
import type { StartPlan, StoryPlan } from "./plan.ts";
import { type ProgramOutcome, startProgram } from "./program.ts";
import { expectRows, expectRowsDespiteLate, expectSkipped } from "./rows.ts";
import { Tally } from "./tally.ts";
import { copySource, type World, writeLate } from "./world.ts";

const SKIP_FILE = "skipped.jsonl";
/** A handful of rows of a few thousand, far fewer than twenty in succession. */
const REFUSED = "cityHash64(span_id, trace_id) % 400 = 7 AND isValidUTF8(span_id)";
const NOTHING_LEFT: LeftFiles = {
  hasLock: false,
  hasExperimentsLock: false,
  halfWritten: 0,
  rowsProcessed: 0,
  finished: false,
};

/** Plays a story. Counts what happens in it; throws a BrokenPromise, with the evidence in `directory`. */
export async function playStory(
  world: World,
  plan: StoryPlan,
  directory: string,
  tally: Tally,
): Promise<void> {
  mkdirSync(join(directory, "state"), { recursive: true });
  writeFileSync(join(directory, "plan.json"), JSON.stringify(plan, null, 2));
  const story = await Story.begin(world, plan, directory, tally);
  try {
    await story.play();
  } finally {
    await story.end();
  }
}

class Story {
  readonly #world: World;
  readonly #plan: StoryPlan;
  readonly #directory: string;
  readonly #tally: Tally;
  readonly #proxy: FaultProxy;
  readonly #target: string;
  readonly #source: string;
  readonly #journal: string[] = [];
  /** Rows on their way into the source. */
  readonly #lateWrites: Promise<void>[] = [];
  #starts = 0;
  #left: LeftFiles = NOTHING_LEFT;
  /** Pages that came back empty and that no run has reported yet. */
  #emptyPages = 0;
  #reportedLate: number | null = null;
  #skipped = 0;

  private constructor(world: World, plan: StoryPlan, directory: string, tally: Tally, proxy: FaultProxy) {
    this.#world = world;
    this.#plan = plan;
    this.#directory = directory;
    this.#tally = tally;
    this.#proxy = proxy;
    this.#target = `events_${plan.seed}`;
    this.#source = plan.theme === "late rows" ? `observations_${plan.seed}` : "observations";
  }

  static async begin(world: World, drawn: StoryPlan, directory: string, tally: Tally): Promise<Story> {
    // What late rows become is known of the events layout alone.
    const isLate = drawn.theme === "late rows" && world.layout === "v4";
    const plan = isLate
      ? { ...drawn, theme: "plain" as const, starts: drawn.starts.map(withoutLateWrites) }
      : drawn;
    return new Story(world, plan, directory, tally, await FaultProxy.start(world.server.url));
  }

  async play(): Promise<void> {
    this.#tally.add(
      "themes",
      this.#plan.theme === "late rows" ? `late rows: ${this.#plan.late}` : this.#plan.theme,
    );
    this.#tally.add("themes", `layout ${this.#world.layout}`);
    await this.#makeTables();
    for (const start of this.#plan.starts) {
      const { code } = await this.#start(start);
      if (code === 0) break;
    }
    const last = this.#plan.starts.at(-1);
    if (last === undefined) throw new Error("A story without starts");
    // The start that finds out that pages came back empty is followed by the one that copies them.
    if (!this.#left.finished) await this.#start({ ...last, emptyPageProbability: 0 });
    if (!this.#left.finished) throw new BrokenPromise("The last start did not finish the partition");
    await this.#startFinished(last);
    await Promise.all(this.#lateWrites);
    await this.#compare();
  }

  async end(): Promise<void> {
    writeFileSync(join(this.#directory, "journal.txt"), this.#journal.join("\n"));
    await Promise.allSettled(this.#lateWrites);
    await this.#proxy.close();
    const { server, database } = this.#world;
    for (const table of [this.#target, `${this.#target}_timeless`, this.#before, this.#after]) {
      await server.command(`DROP TABLE IF EXISTS ${identifier(table)} SYNC`, { database });
    }
    if (this.#source !== "observations") {
      await server.command(`DROP TABLE IF EXISTS ${identifier(this.#source)} SYNC`, { database });
    }
  }

  /** Expected events, where they are not the world's. */
  get #before(): string {
    return `before_${this.#plan.seed}`;
  }

  get #after(): string {
    return `after_${this.#plan.seed}`;
  }

  async #makeTables(): Promise<void> {
    const { server, database, targetTable, expected } = this.#world;
    const target = targetTable(this.#target);
    if (this.#plan.theme === "bad rows") {
      const constrained = target.replace(
        /\n\)\nENGINE/,
        `,\n  CONSTRAINT refused CHECK NOT (${REFUSED})\n)\nENGINE`,
      );
      if (constrained === target) throw new Error("The table has no place for a constraint");
      await server.command(constrained, { database });
      await server.command(`CREATE TABLE ${identifier(this.#before)} AS ${identifier(expected)}`, {
        database,
      });
      await server.command(
        `INSERT INTO ${identifier(this.#before)} SELECT * FROM ${identifier(expected)} WHERE NOT (${REFUSED})`,
        { database },
      );
      return;
    }
    await server.command(target, { database });
    if (this.#plan.theme !== "late rows") return;
    await copySource(this.#world, this.#source);
    await this.#writeReference(this.#before);
  }

  async #writeReference(into: string): Promise<void> {
    const { server, database, partition } = this.#world;
    const scope = { database, partition, source: this.#source, target: this.#target };
    await writeReference(server, scope, into);
  }

  /** Starts the program as planned and judges its end. */
  async #start(plan: StartPlan): Promise<ProgramOutcome> {
    this.#proxy.reset();
    await this.#proxy.listening;
    this.#starts++;
    const killer = plan.kill === null ? null : new Killer(plan.kill);
    const faults = new Tally();
    this.#proxy.setChaos((request) => {
      if (request.kind === "page" && plan.lateWritesAtPages.includes(request.nth)) this.#writeLate();
      const stall = killer?.see(request) ?? null;
      if (stall !== null) return this.#strike(request, { name: "silence", fault: stall });
      if (faults.get("faults", request.kind) >= plan.maxFaultsPerKind) return null;
      const fault = chooseFault(plan, request);
      if (fault === null) return null;
      faults.add("faults", request.kind);
      if (fault === EMPTY_PAGE) this.#emptyPages++;
      return this.#strike(request, fault);
    });
    const program = await startProgram(
      [...this.#flags, ...plan.flags],
      this.#directory,
      join(this.#directory, `start-${this.#starts}`),
    );
    killer?.arm(program, join(this.#directory, "state"));
    const outcome = await program.outcome;
    killer?.disarm();
    const sent = killer?.sent ?? [];
    this.#note(
      `start ${this.#starts} ended: code ${outcome.code}, signal ${outcome.signal}; sent ${sent.join(", ")}`,
    );
    const mayFail = plan.mayFail && faults.sum("faults") > 0;
    const foundEmptyPages = this.#emptyPages > 0 && /rows? (is|are) missing/.test(outcome.stderr);
    judgeEnd(outcome, { sent, mayFail: mayFail || foundEmptyPages, foundLock: this.#left.hasLock });
    if (foundEmptyPages) this.#emptyPages = 0;
    this.#look(outcome, foundEmptyPages);
    this.#count(plan, outcome, killer);
    return outcome;
  }

  #look(outcome: ProgramOutcome, mayGoBack: boolean): void {
    const before = this.#left;
    this.#left = judgeState(join(this.#directory, "state"), this.#world, outcome.code === null, before);
    judgeProcesses(this.#directory);
    if (this.#left.rowsProcessed < before.rowsProcessed && !mayGoBack) {
      throw new BrokenPromise(
        `The checkpoint went back from ${before.rowsProcessed} rows to ${this.#left.rowsProcessed}`,
      );
    }
    if (outcome.code === 0 && !this.#left.finished)
      throw new BrokenPromise("It is done and not marked finished");
    if (outcome.code === 0 && outcome.stdout.includes(" is done: ")) {
      const reported = ["Rows written too late", "Rows written again"].filter((label) =>
        outcome.stdout.includes(label),
      );
      this.#reportedLate = reported.reduce((rows, label) => rows + reportedCount(outcome, label), 0);
    }
  }

  #count({ kill }: StartPlan, { code, signal }: ProgramOutcome, killer: Killer | null): void {
    this.#tally.add("starts", `exit code ${code ?? `of ${signal}`}`);
    for (const sent of killer?.sent ?? []) this.#tally.add("kills", sent);
    if (kill === null || killer === null || killer.sent.length === 0) return;
    this.#tally.add(
      "moments",
      kill.moment.by === "request" ? `at a request: ${kill.moment.kind}` : MOMENTS[kill.moment.by],
    );
    if (this.#left.halfWritten > 0) this.#tally.add("midst", "half-written checkpoint left");
  }

  /** A finished partition stays finished, and nothing is inserted. */
  async #startFinished(plan: StartPlan): Promise<void> {
    const outcome = await this.#start({ ...plan, kill: null, faultProbability: 0, emptyPageProbability: 0 });
    if (outcome.code !== 0 || !outcome.stdout.includes("was finished by an earlier run")) {
      throw new BrokenPromise("Started again, it does not say that the partition is finished");
    }
    // It counts the target, and copies nothing.
    for (const kind of ["page", "traces", "insert"] as const) {
      if (this.#proxy.requests.some((request) => request.kind === kind))
        throw new BrokenPromise(`Started again, it sends a request of kind ${kind}`);
    }
  }

  async #compare(): Promise<void> {
    const compared = await this.#comparedRows();
    this.#tally.add("rows", "compared", compared);
    if (this.#plan.theme !== "late rows") await this.#verify();
  }

  /** The program's own comparison must say the same: nothing differs, but for the rows that the server rejects. */
  async #verify(): Promise<void> {
    const { server } = this.#world;
    const flags = this.#flags.filter((flag) => !/^--(clickhouse-url|cursor-state|skip-bad|allow)/.test(flag));
    const program = await startProgram(
      ["verify", ...flags, `--clickhouse-url=${server.url}`, "--json"],
      this.#directory,
      join(this.#directory, "verify"),
    );
    const { code, stdout, stderr } = await program.outcome;
    const { missing, unexpected, stale, differing } = JSON.parse(stdout || "{}") as Record<string, number>;
    const isAsExpected =
      this.#plan.theme === "bad rows"
        ? missing === this.#skipped && code === (missing === 0 ? 0 : 4)
        : missing === 0 && code === 0;
    if (!isAsExpected || unexpected !== 0 || stale !== 0 || differing !== 0) {
      throw new BrokenPromise(`verify ends with code ${code} and says:\n${stdout}\n${stderr}`);
    }
    this.#tally.add("verified", `exit code ${code}`);
  }

  async #comparedRows(): Promise<number> {
    const { theme, late } = this.#plan;
    if (theme === "bad rows") {
      const skipped = await expectSkipped(this.#world, REFUSED, join(this.#directory, SKIP_FILE));
      this.#tally.add("skipped rows", "in the file", skipped);
      this.#skipped = skipped;
      return await expectRows(this.#world, this.#target, this.#before);
    }
    if (theme !== "late rows") return await expectRows(this.#world, this.#target, this.#world.expected);
    await this.#writeReference(this.#after);
    const tables = { target: this.#target, before: this.#before, after: this.#after };
    this.#tally.add("late rows", "moments of writing", this.#lateWrites.length);
    const reported = late === "deletions" ? null : this.#reportedLate;
    return await expectRowsDespiteLate(this.#world, tables, reported, late !== "deletions");
  }

  #strike(request: ProxiedRequest, { name, fault }: NamedFault): Fault {
    const struck = (): void => {
      this.#tally.add("faults", `${request.kind}: ${name}`);
      this.#note(`start ${this.#starts} ${request.kind} ${request.nth}: ${name}`);
    };
    if (fault.kind !== "response" || fault.isFor === undefined) {
      struck();
      return fault;
    }
    const { isFor } = fault;
    const isForAndStruck = (body: Buffer): boolean => {
      if (!isFor(body)) return false;
      struck();
      return true;
    };
    return { ...fault, isFor: isForAndStruck };
  }

  #writeLate(): void {
    const nth = this.#lateWrites.length + 1;
    const previous = this.#lateWrites.at(-1) ?? Promise.resolve();
    // A row that was changed twice could be in the target as it was in between.
    const write = previous.then(() => writeLate(this.#world, this.#source, this.#plan.late, nth));
    // Checked when the story ends.
    write.catch(() => {});
    this.#lateWrites.push(write);
    this.#note(`start ${this.#starts} late write ${nth}`);
  }

  #note(what: string): void {
    this.#journal.push(`${new Date().toISOString()} ${what}`);
  }

  get #flags(): string[] {
    const { server, database, partition } = this.#world;
    return [
      `--partition=${partition}`,
      `--clickhouse-url=${this.#proxy.url}`,
      `--clickhouse-user=${server.user}`,
      `--clickhouse-password=${server.password}`,
      `--clickhouse-db=${database}`,
      `--source-table=${this.#source}`,
      `--target-table=${this.#target}`,
      `--layout=${this.#world.layout}`,
      "--allow-missing-view",
      `--cursor-state-dir=${join(this.#directory, "state")}`,
      ...(this.#plan.theme === "bad rows" ? [`--skip-bad-rows=${SKIP_FILE}`] : []),
    ];
  }
}

function withoutLateWrites(start: StartPlan): StartPlan {
  return { ...start, lateWritesAtPages: [] };
}

const MOMENTS = {
  time: "some time after the start",
  checkpoint: "when a checkpoint was being written",
  stall: "when a response did not come",
} as const;

/** A request's fault depends on the plan's seed and the request's kind and number, not on how requests interleave. */
function chooseFault(plan: StartPlan, { kind, nth }: ProxiedRequest): NamedFault | null {
  const random = randomFrom(Number(Bun.hash.wyhash(`${kind} ${nth}`, BigInt(plan.faultSeed)) & 0x7fffffffn));
  if (kind === "page" && random.chance(plan.emptyPageProbability)) return EMPTY_PAGE;
  // The dozen small queries that a run begins with would end most runs before their first page.
  const probability = kind === "other" ? plan.faultProbability / 4 : plan.faultProbability;
  return random.chance(probability) ? drawFault(random, kind, plan.mayFail) : null;
}
