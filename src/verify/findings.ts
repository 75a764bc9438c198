import { cellOf } from "./cells.ts";
import type { DifferenceKind } from "./classify.ts";
import type { Example, GroupDifferences } from "./differences.ts";

/** A part of the month that differs. */
export interface DifferingRange {
  /** The project's id; bytes that are not UTF-8 are replaced. */
  readonly project: string;
  /** The same bytes in hexadecimal. */
  readonly projectHex: string;
  /** Day by UTC, as YYYY-MM-DD. */
  readonly day: string;
  readonly counts: Readonly<Partial<Record<DifferenceKind, number>>>;
}

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
    for (const example of examples) {
      const known = this.#examples.filter(({ kind }) => kind === example.kind).length;
      if (known < this.#maxExamples) this.#examples.push(example);
    }
    for (const [cell, ofCell] of counts) {
      for (const [kind, rows] of ofCell) this.#counts[kind] += rows;
      const { projectHex, dayMicros } = cellOf(cell);
      this.#ranges.push({
        project: Buffer.from(projectHex, "hex").toString(),
        projectHex,
        day: new Date(Number(dayMicros) / 1000).toISOString().slice(0, 10),
        counts: Object.fromEntries(ofCell),
      });
    }
  }

  result(): FoundDifferences {
    return {
      counts: this.#counts,
      examples: this.#examples,
      differingRanges: this.#ranges,
      comparedHere: this.#comparedHere,
    };
  }
}
