import * as v from "valibot";
import type { KeyRange } from "../plan/key-range.ts";
import { DIFFERENCE_KINDS, type DifferenceKind } from "./classify.ts";

/** How many rows differ, by kind; kinds without any are left out. */
export type KindCounts = Readonly<Partial<Record<DifferenceKind, number>>>;

/** The rows of one project and day. */
export interface DifferingDay {
  readonly phase: "month";
  /** The bytes of the project's id, in hexadecimal. */
  readonly projectHex: string;
  /** By UTC, as YYYY-MM-DD. */
  readonly day: string;
  readonly counts: KindCounts;
}

/** The rows of some of the traces that dataset runs name. */
export interface DifferingTraces {
  readonly phase: "experiments";
  readonly range: KeyRange;
  readonly counts: KindCounts;
}

/** A part of the month that differs. */
export type DifferingRange = DifferingDay | DifferingTraces;

/** The beginning of a day by UTC, in microseconds since 1970, as text. */
export function dayMicrosOf(day: string): string {
  return `${Date.parse(day)}000`;
}

/** A range as the fields of a JSON object; `docs/verify.md` describes them. */
export function rangeToJson(range: DifferingRange): Record<string, unknown> {
  const { phase, counts } = range;
  if (phase === "experiments") {
    return { phase, after: range.range.after, up_to: range.range.upTo, ...counts };
  }
  const { projectHex, day } = range;
  // Bytes that are not UTF-8 are replaced in this one.
  const project = Buffer.from(projectHex, "hex").toString();
  return { phase, project, project_hex: projectHex, day, ...counts };
}

const KEY = v.nullable(
  v.object({ projectId: v.string(), type: v.string(), date: v.string(), id: v.string() }),
);
const COUNTS = Object.fromEntries(DIFFERENCE_KINDS.map((kind) => [kind, v.optional(v.number())]));
const LINE = v.variant("phase", [
  v.object({
    partition: v.string(),
    phase: v.literal("month"),
    project_hex: v.pipe(v.string(), v.regex(/^([0-9A-F]{2})*$/i)),
    day: v.pipe(v.string(), v.isoDate()),
    ...COUNTS,
  }),
  v.object({ partition: v.string(), phase: v.literal("experiments"), after: KEY, up_to: KEY, ...COUNTS }),
]);

/** The ranges of a report's lines. Throws an Error that names the line and what is wrong with it. */
export function parseRanges(text: string, partition: string): DifferingRange[] {
  return text
    .split("\n")
    .map((line, i) => [line, i + 1] as const)
    .filter(([line]) => line !== "")
    .map(([line, number]): DifferingRange => {
      const parsed = v.safeParse(LINE, parseJson(line));
      if (!parsed.success) throw new Error(`line ${number}: ${parsed.issues[0].message}`);
      const { output } = parsed;
      if (output.partition !== partition) {
        throw new Error(`line ${number} is of partition ${output.partition}, not of ${partition}`);
      }
      const counts = countsOf(output);
      return output.phase === "month"
        ? { phase: "month", projectHex: output.project_hex.toUpperCase(), day: output.day, counts }
        : { phase: "experiments", range: { after: output.after, upTo: output.up_to }, counts };
    });
}

function countsOf(line: Readonly<Record<string, unknown>>): KindCounts {
  const counts: Partial<Record<DifferenceKind, number>> = {};
  for (const kind of DIFFERENCE_KINDS) {
    const rows = line[kind];
    if (typeof rows === "number") counts[kind] = rows;
  }
  return counts;
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
