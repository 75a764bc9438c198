import type { KeyRange } from "../plan/key-range.ts";
import { cellOf } from "./cells.ts";
import type { DifferenceKind } from "./classify.ts";
import type { Example, GroupDifferences } from "./differences.ts";
import type { DifferingRange, KindCounts } from "./differing-range.ts";

/** What was found in all cells. */
export interface FoundDifferences {
  readonly counts: Readonly<Record<DifferenceKind, number>>;
  readonly examples: readonly Example[];
  readonly differingRanges: readonly DifferingRange[];
  /** Rows that this program compared, since the server's SQL is not certain of their JSON. */
  readonly comparedHere: number;
}

/** Adds up what was found, cell by cell. */
export class Findings {
  readonly #maxExamples: number;
  readonly #counts: Record<DifferenceKind, number> = {
    missing: 0,
    unexpected: 0,
    stale: 0,
    differing: 0,
    newer: 0,
  };
  readonly #examples: Example[] = [];
  readonly #ranges: DifferingRange[] = [];
  #comparedHere = 0;

  constructor(maxExamples: number) {
    this.#maxExamples = maxExamples;
  }

  add({ counts, examples, comparedHere }: GroupDifferences): void {
    this.#comparedHere += comparedHere;
    this.#addExamples(examples);
    for (const [cell, ofCell] of counts) {
      const { projectHex, dayMicros } = cellOf(cell);
      const day = new Date(Number(dayMicros) / 1000).toISOString().slice(0, 10);
      this.#ranges.push({ phase: "month", projectHex, day, counts: this.#sum(ofCell) });
    }
  }

  /** The same of a page of the traces that dataset runs name. */
  addExperiments(
    range: KeyRange,
    counts: ReadonlyMap<DifferenceKind, number>,
    examples: readonly Example[],
  ): void {
    this.#addExamples(examples);
    if (counts.size > 0) this.#ranges.push({ phase: "experiments", range, counts: this.#sum(counts) });
  }

  #addExamples(examples: readonly Example[]): void {
    for (const example of examples) {
      const known = this.#examples.filter(({ kind }) => kind === example.kind).length;
      if (known < this.#maxExamples) this.#examples.push(example);
    }
  }

  #sum(counts: ReadonlyMap<DifferenceKind, number>): KindCounts {
    for (const [kind, rows] of counts) this.#counts[kind] += rows;
    return Object.fromEntries(counts);
  }

  result(): FoundDifferences {
    return {
      counts: this.#counts,
      examples: this.#examples,
      differingRanges: this.#ranges.toSorted(byPlace),
      comparedHere: this.#comparedHere,
    };
  }
}

/** Cells are looked at side by side: their order is that of projects and days, and then comes what dataset runs name. */
function byPlace(a: DifferingRange, b: DifferingRange): number {
  const text = (range: DifferingRange): string =>
    range.phase === "month" ? `0 ${range.projectHex} ${range.day}` : `1 ${JSON.stringify(range.range)}`;
  return Number(text(a) > text(b)) - Number(text(a) < text(b));
}
