import type { CellKey, ComparedCell, Fingerprint, Side } from "./cell.ts";
import { type CellSpan, DAY_MICROS } from "./compared-rows.ts";

/** A cell whose sides differ, with the rows of the side that has more. */
export interface DifferingCell extends CellKey {
  readonly rows: number;
}

const NOTHING: Fingerprint = { rows: 0, sum: 0n };
const MODULUS = 2n ** 128n;

/** Fingerprints of both sides, cell by cell, added up from the ranges in which they are read. */
export class Cells {
  readonly #cells = new Map<string, Record<Side, Fingerprint>>();

  add(side: Side, cellKey: CellKey, { rows, sum }: Fingerprint): void {
    const key = textOf(cellKey);
    const cell = this.#cells.get(key) ?? { expected: NOTHING, actual: NOTHING };
    const before = cell[side];
    cell[side] = { rows: before.rows + rows, sum: (before.sum + sum) % MODULUS };
    this.#cells.set(key, cell);
  }

  /** All cells with what they hold so far. */
  all(): ComparedCell[] {
    return [...this.#cells].map(([key, cell]) => ({ ...cellOf(key), ...cell }));
  }

  /** Rows of a side. */
  rows(side: Side): number {
    return this.#cells.values().reduce((sum, cell) => sum + cell[side].rows, 0);
  }

  /** Those whose sides differ, in the order of projects and days. */
  differing(): DifferingCell[] {
    const differing: DifferingCell[] = [];
    for (const [key, { expected, actual }] of this.#cells) {
      if (expected.rows === actual.rows && expected.sum === actual.sum) continue;
      differing.push({ ...cellOf(key), rows: Math.max(expected.rows, actual.rows) });
    }
    return differing.sort(byProjectAndDay);
  }

  /** Rows of a project from the first to the last day, of the side that has more. */
  rowsBetween(projectHex: string, firstMicros: string, lastMicros: string): number {
    let rows = 0;
    for (let day = BigInt(firstMicros); day <= BigInt(lastMicros); day += BigInt(DAY_MICROS)) {
      const cell = this.#cells.get(textOf({ projectHex, dayMicros: String(day) }));
      if (cell !== undefined) rows += Math.max(cell.expected.rows, cell.actual.rows);
    }
    return rows;
  }
}

/** A cell as text. */
export function textOf({ projectHex, dayMicros }: CellKey): string {
  return `${projectHex} ${dayMicros}`;
}

/** The cell that `textOf` wrote. */
export function cellOf(text: string): CellKey {
  const [projectHex = "", dayMicros = ""] = text.split(" ");
  return { projectHex, dayMicros };
}

/** Cells that are looked at together. */
export interface CellGroup extends CellSpan {
  /** About. */
  readonly rows: number;
}

/** Joins cells that differ to groups of at most `maxRows` rows; a cell that is larger is a group of its own. */
export function groupCells(cells: Cells, differing: readonly DifferingCell[], maxRows: number): CellGroup[] {
  const groups: CellGroup[] = [];
  let open: CellGroup | null = null;
  for (const [projectHex, days] of Map.groupBy(differing, (cell) => cell.projectHex)) {
    const [first, last] = [days[0], days.at(-1)];
    if (first === undefined || last === undefined) continue;
    const rows = cells.rowsBetween(projectHex, first.dayMicros, last.dayMicros);
    if (rows > maxRows) {
      groups.push(...days.map((day) => groupOf(projectHex, day.dayMicros, day.dayMicros, day.rows)));
      continue;
    }
    const next = groupOf(projectHex, first.dayMicros, last.dayMicros, rows);
    if (open !== null && open.rows + rows <= maxRows) {
      open = joined(open, next);
    } else {
      if (open !== null) groups.push(open);
      open = next;
    }
  }
  if (open !== null) groups.push(open);
  return groups;
}

/** The cells as spans: days of a project that follow each other are one. */
export function spansOf(cells: readonly CellKey[]): CellSpan[] {
  const spans: CellSpan[] = [];
  for (const { projectHex, dayMicros } of [...cells].sort(byProjectAndDay)) {
    const last = spans.at(-1);
    const span = groupOf(projectHex, dayMicros, dayMicros, 0);
    if (last?.projectsHex[0] !== projectHex || BigInt(last.untilMicros) < BigInt(dayMicros)) spans.push(span);
    else spans[spans.length - 1] = { ...last, untilMicros: span.untilMicros };
  }
  return spans;
}

/** The smallest span that holds all of these cells, of which there must be one. */
export function spanOver(cells: readonly CellKey[]): CellSpan {
  const days = cells.map(({ dayMicros }) => dayMicros);
  if (days.length === 0) throw new TypeError("There is no cell");
  return {
    projectsHex: [...new Set(cells.map(({ projectHex }) => projectHex))],
    fromMicros: days.reduce(least),
    untilMicros: dayAfter(days.reduce(greatest)),
  };
}

function joined(a: CellGroup, b: CellGroup): CellGroup {
  return {
    projectsHex: [...a.projectsHex, ...b.projectsHex],
    fromMicros: least(a.fromMicros, b.fromMicros),
    untilMicros: greatest(a.untilMicros, b.untilMicros),
    rows: a.rows + b.rows,
  };
}

function byProjectAndDay(a: CellKey, b: CellKey): number {
  return (
    Number(a.projectHex > b.projectHex) - Number(a.projectHex < b.projectHex) ||
    Number(a.dayMicros) - Number(b.dayMicros)
  );
}

function groupOf(projectHex: string, firstMicros: string, lastMicros: string, rows: number): CellGroup {
  return { projectsHex: [projectHex], fromMicros: firstMicros, untilMicros: dayAfter(lastMicros), rows };
}

function dayAfter(dayMicros: string): string {
  return String(BigInt(dayMicros) + BigInt(DAY_MICROS));
}

function least(a: string, b: string): string {
  return BigInt(a) < BigInt(b) ? a : b;
}

function greatest(a: string, b: string): string {
  return BigInt(a) > BigInt(b) ? a : b;
}

/** A span as text for messages. */
export function describeSpan({ projectsHex, fromMicros, untilMicros }: CellSpan): string {
  const [first = ""] = projectsHex;
  const project = JSON.stringify(Buffer.from(first, "hex").toString());
  const projects =
    projectsHex.length === 1 ? `project ${project}` : `${projectsHex.length} projects from ${project} on`;
  const time = (micros: string): string => new Date(Number(micros) / 1000).toISOString().slice(0, 10);
  return `${projects}, from ${time(fromMicros)} to before ${time(untilMicros)} (UTC)`;
}
