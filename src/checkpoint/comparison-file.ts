import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { MONTHLY_PHASES } from "../plan/phases.ts";
import type { ComparisonLedger, ComparisonState } from "../verify/comparison-ledger.ts";
import { removeIfThere, replaceDurably } from "./durable-file.ts";

/** The version that this program writes; it must change with any change of the file's fields or their meaning. */
const FORMAT_VERSION = 1;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const sum = v.pipe(
  v.string(),
  v.regex(/^\d{1,39}$/),
  v.transform((text) => BigInt(text)),
);
const bound = v.nullable(v.array(v.string()));

const fileSchema = v.object({
  format_version: v.literal(FORMAT_VERSION),
  partition: v.string(),
  begun: v.string(),
  subject: v.string(),
  ranges: v.array(
    v.tuple([
      v.picklist(["expected", "actual"]),
      v.nullable(v.picklist(MONTHLY_PHASES)),
      bound,
      bound,
      count,
      v.boolean(),
    ]),
  ),
  cells: v.array(v.tuple([v.string(), v.string(), count, sum, count, sum])),
});

/** Who follows what becomes of the file. */
export interface ComparisonFileListener {
  /** Says something that the user should know. */
  onNotice(message: string): void;
  /** The file cannot be written; the comparison goes on without. Called once. */
  onFailure(message: string): void;
}

/** The state file of a comparison, and the lock beside it. */
export function comparisonPaths(directory: string, partition: string): { state: string; lock: string } {
  const base = join(directory, `verify_state_${partition}`);
  return { state: `${base}.json`, lock: `${base}.lock` };
}

/** The least time between two writes, and their share of the time: a file of many cells takes a while. */
const MIN_INTERVAL_MS = 2_000;
const MAX_SHARE = 0.02;

/** The ledger of a comparison over a file; the caller holds the lock. `restart`: what is there is left out of account. */
export function openComparisonFile(
  path: string,
  partition: string,
  restart: boolean,
  listener: ComparisonFileListener,
  nowMs: () => number = () => performance.now(),
): ComparisonLedger {
  let begun = new Date().toISOString();
  let dueMs = nowMs() + MIN_INTERVAL_MS;
  let isBroken = false;
  return {
    load: (subject) => {
      const file = restart ? null : readFile(path);
      if (file === null) return null;
      // What an interrupted comparison has left is worth its time, and no more.
      if (file === "unreadable") {
        listener.onNotice(`${path} holds no state of a comparison: this one starts over`);
        return null;
      }
      if (file.partition !== partition || file.subject !== subject) {
        listener.onNotice(
          `The comparison of ${file.begun} in ${path} was of something else: this one starts over`,
        );
        return null;
      }
      begun = file.begun;
      const { ranges, cells } = stateOf(file);
      const done = ranges.filter(({ isDone }) => isDone).length;
      listener.onNotice(
        `Going on with the comparison of ${begun}: ${done} of ${ranges.length} ranges are read`,
      );
      return { ranges, cells };
    },
    save: (subject, state) => {
      if (isBroken || nowMs() < dueMs) return;
      const startedMs = nowMs();
      try {
        replaceDurably(path, textOf({ partition, begun, subject }, state()));
      } catch (error) {
        isBroken = true;
        listener.onFailure(
          `${path} cannot be written, so that this comparison would start over: ${error instanceof Error ? error.message : error}`,
        );
      }
      dueMs = nowMs() + Math.max(MIN_INTERVAL_MS, (nowMs() - startedMs) / MAX_SHARE);
    },
    finish: () => removeIfThere(path),
  };
}

function readFile(path: string): v.InferOutput<typeof fileSchema> | "unreadable" | null {
  let json: string;
  try {
    json = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), fileSchema), json);
  return parsed.success ? parsed.output : "unreadable";
}

function stateOf({ ranges, cells }: v.InferOutput<typeof fileSchema>): ComparisonState {
  return {
    ranges: ranges.map(([side, phase, after, upTo, rows, isDone]) => ({
      side,
      phase,
      after,
      upTo,
      rows,
      isDone,
    })),
    cells: cells.map(([projectHex, dayMicros, expectedRows, expectedSum, actualRows, actualSum]) => ({
      projectHex,
      dayMicros,
      expected: { rows: expectedRows, sum: expectedSum },
      actual: { rows: actualRows, sum: actualSum },
    })),
  };
}

function textOf(
  head: { readonly partition: string; readonly begun: string; readonly subject: string },
  { ranges, cells }: ComparisonState,
): string {
  const file: v.InferInput<typeof fileSchema> = {
    format_version: FORMAT_VERSION,
    ...head,
    ranges: ranges.map(({ side, phase, after, upTo, rows, isDone }) => [
      side,
      phase,
      after === null ? null : [...after],
      upTo === null ? null : [...upTo],
      rows,
      isDone,
    ]),
    cells: cells.map(({ projectHex, dayMicros, expected, actual }) => [
      projectHex,
      dayMicros,
      expected.rows,
      String(expected.sum),
      actual.rows,
      String(actual.sum),
    ]),
  };
  return `${JSON.stringify(file)}\n`;
}
