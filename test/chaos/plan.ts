import { type Random, randomFrom } from "../support/data/random.ts";
import type { RequestKind } from "../support/fault-proxy-faults.ts";

/** What happens in a story, apart from faults and kills. */
export type Theme =
  | "plain"
  /** Rows are written to the source during the runs. */
  | "late rows"
  /** The target refuses some rows for good. */
  | "bad rows"
  /** Pages come back whole and empty, as from a replica that lags behind. */
  | "lagging replica";

export type KillSignal = "SIGKILL" | "SIGINT" | "SIGTERM";

/** When a run is killed. */
export type KillMoment =
  | { readonly by: "time"; readonly afterMs: number }
  /** Some time after the proxy has seen the nth request of a kind. */
  | { readonly by: "request"; readonly kind: RequestKind; readonly nth: number; readonly delayMs: number }
  /** When the temporary file of the nth checkpoint appears. */
  | { readonly by: "checkpoint"; readonly nth: number }
  /** Some time after a request got a response that never comes. */
  | { readonly by: "stall"; readonly kind: RequestKind; readonly nth: number; readonly delayMs: number };

export interface KillPlan {
  readonly moment: KillMoment;
  /** Sent one after another, with that time before each but the first. */
  readonly signals: readonly [KillSignal, ...(readonly { signal: KillSignal; afterMs: number }[])];
}

/** One start of the program. */
export interface StartPlan {
  readonly flags: readonly string[];
  /** Of a request to meet a fault. */
  readonly faultProbability: number;
  /** Of each kind of request. */
  readonly maxFaultsPerKind: number;
  /** Decides which requests meet which faults. */
  readonly faultSeed: number;
  /** Whether there may be more faults than the run survives. */
  readonly mayFail: boolean;
  readonly kill: KillPlan | null;
  /** Of a page to come back empty. */
  readonly emptyPageProbability: number;
  /** The nth pages at whose request rows come into the source. */
  readonly lateWritesAtPages: readonly number[];
}

/** The starts that make up one run of the chaos: all but the last one may be killed or fail. */
export interface StoryPlan {
  readonly seed: number;
  readonly theme: Theme;
  readonly late: "new rows" | "new versions" | "deletions";
  readonly starts: readonly StartPlan[];
}

/** Everything about a story that chance decides before it begins follows from its seed. */
export function planStory(seed: number): StoryPlan {
  const random = randomFrom(seed);
  const theme = random.pick<Theme>([
    ...new Array<Theme>(6).fill("plain"),
    ...new Array<Theme>(3).fill("late rows"),
    "bad rows",
    ...new Array<Theme>(2).fill("lagging replica"),
  ]);
  const late = random.pick(["new rows", "new rows", "new versions", "deletions"] as const);
  const interrupted = Array.from({ length: 1 + random.below(3) }, () => planStart(random, theme, false));
  return { seed, theme, late, starts: [...interrupted, planStart(random, theme, true)] };
}

function planStart(random: Random, theme: Theme, isLast: boolean): StartPlan {
  const pageRows = random.pick(PAGE_ROWS);
  // Late rows and empty pages are known of pages that the client reads.
  const mayBeServer = !isLast && (theme === "plain" || theme === "bad rows");
  const isServer = mayBeServer && random.chance(0.3);
  const sizes = otherSizes(random, isLast, isServer);
  return {
    flags: [`--stream-block-size=${pageRows}`, ...sizes, ...(isServer ? ["--engine=server"] : [])],
    faultProbability: random.pick([0, 0.1, 0.2, 0.4]),
    // The last start has more retries than faults, and so must succeed.
    maxFaultsPerKind: isLast ? LAST_FAULTS : Number.MAX_SAFE_INTEGER,
    faultSeed: random.below(2 ** 31),
    mayFail: !isLast,
    kill: isLast || random.chance(0.1) ? null : planKill(random, pageRows),
    emptyPageProbability: theme === "lagging replica" && !isLast ? 0.3 : 0,
    lateWritesAtPages:
      theme === "late rows" ? Array.from({ length: 1 + random.below(3) }, () => 1 + random.below(12)) : [],
  };
}

/** From many pages to one: the data has a few thousand rows. */
const PAGE_ROWS = [100, 250, 600, 1500, 5000] as const;
/** Of each kind of request. */
const LAST_FAULTS = 5;
/** A fault of one request may affect others, while no server listens. */
const LAST_RETRIES = 2 * LAST_FAULTS;

function otherSizes(random: Random, isLast: boolean, isServer: boolean): string[] {
  // For the server each range is a join: one of four rows at a time takes half an hour.
  const smallest = isServer ? 50 : 1;
  return [
    `--batch-size=${random.pick([40, 100, 300, 1000, 10_000])}`,
    `--insert-rows=${random.pick([smallest, 200, 1000, 250_000, 250_000])}`,
    `--parallel-workers=${1 + random.below(4)}`,
    `--max-retries=${isLast ? LAST_RETRIES : random.below(4)}`,
    `--compression=${random.pick(["none", "none", "zstd", "gzip"])}`,
    `--max-wait-minutes=${isLast ? 30 : random.pick([0, 30, 30])}`,
  ];
}

function planKill(random: Random, pageRows: number): KillPlan {
  const moment = planMoment(random, Math.max(1, Math.floor(1500 / pageRows)));
  const politely = random.pick(["SIGINT", "SIGTERM"] as const);
  const second = {
    signal: random.pick([politely, politely, "SIGKILL"] as const),
    afterMs: random.below(150),
  };
  // After one signal the run waits half a minute for a response that never arrives.
  if (moment.by === "stall")
    return { moment, signals: random.chance(0.5) ? ["SIGKILL"] : [politely, second] };
  // A checkpoint takes a millisecond: any kill but an immediate one comes after it.
  if (moment.by === "checkpoint") return { moment, signals: [random.chance(0.9) ? "SIGKILL" : politely] };
  if (random.chance(0.5)) return { moment, signals: ["SIGKILL"] };
  return { moment, signals: random.chance(0.35) ? [politely, second] : [politely] };
}

/** `pages`: about how many there are, at least. */
function planMoment(random: Random, pages: number): KillMoment {
  const kind = random.pick(["page", "insert", "insert", "traces", "other"] as const);
  const nth = 1 + random.below(kind === "other" ? 15 : kind === "traces" ? 2 : pages);
  const delayMs = random.pick([0, random.below(5), random.below(60)]);
  switch (random.below(10)) {
    case 0:
    case 1:
      return { by: "time", afterMs: random.below(random.pick([60, 400, 1500])) };
    case 2:
      return { by: "stall", kind, nth, delayMs: 20 + delayMs };
    case 3:
    case 4:
    case 5:
      return { by: "checkpoint", nth: 1 + random.below(pages) };
    default:
      return { by: "request", kind, nth, delayMs };
  }
}
