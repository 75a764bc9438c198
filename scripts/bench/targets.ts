import type { Summary } from "./rounds.ts";
import type { PeakQuery } from "./server-memory.ts";
import { renderColumns } from "./statistics.ts";

/** A figure that has a limit. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly limit: number;
}

/** What the figures are made of. */
export interface Measurements {
  readonly observations: number;
  readonly summaries: readonly Summary[];
  readonly toolPeak: PeakQuery | null;
  readonly joinPeak: PeakQuery | null;
  readonly helpMs: number | null;
  /** What the trace store may take. */
  readonly allowedStoreBytes: number;
}

/** What the tool's process may take besides the trace store. */
export function allowedRssBytes(workers: number): number {
  return 150e6 + workers * 64e6;
}

/** The figures that the measurements allow for; those of contenders that did not run are left out. */
export function figuresOf(measurements: Measurements): Figure[] {
  const { observations, summaries, toolPeak, joinPeak, helpMs, allowedStoreBytes } = measurements;
  const wall = (name: string): number | undefined => find(summaries, name)?.wallMs.median;
  const cpu = (name: string): number | undefined => find(summaries, name)?.cpuMs.median;
  const figures: Figure[] = [];
  const add = (name: string, value: number | undefined, limit: number, unit = ""): void => {
    if (value !== undefined && !Number.isNaN(value)) figures.push({ name, value, unit, limit });
  };
  for (const into of ["Null", "Null without computed columns"]) {
    for (const workers of ["1 worker", "2 workers"]) {
      const name = `tool, ${workers}, into ${into}`;
      add(`wall: ${name} ÷ floor`, over(wall(name), wall(`floor, ${workers}`)), 1.15);
      add(`client CPU: ${name} ÷ floor`, over(cpu(name), cpu(`floor, ${workers}`)), 1.6);
    }
  }
  const one = "tool, 1 worker, into Null";
  const two = "tool, 2 workers, into Null";
  add("wall: tool, 1 worker ÷ naive, into Null", over(wall(one), wall("naive")), 0.2);
  add("wall: tool, 2 workers ÷ naive, into Null", over(wall(two), wall("naive")), 0.2);
  add("wall: tool, 2 workers ÷ server join, into Null", over(wall(two), wall("server join, into Null")), 2);
  for (const name of ["tool, 2 workers, into events", "tool, 2 workers, into events, large batches"]) {
    add(`wall: ${name} ÷ server join`, over(wall(name), wall("server join, into events")), 1.1);
  }
  add("server's peak memory: tool's queries ÷ join", over(toolPeak?.bytes, joinPeak?.bytes), 0.2);
  for (const name of [one, two]) {
    const ms = cpu(name);
    add(
      `client CPU: ${name}`,
      ms === undefined ? undefined : ms / 1000 / (observations / 1e6),
      2.5,
      "s per million rows",
    );
  }
  [one, two].forEach((name, i) => {
    const bytes = find(summaries, name)?.peakRssBytes.median;
    const limit = (allowedRssBytes(i + 1) + allowedStoreBytes) / 1e6;
    add(`peak RSS: ${name}`, over(bytes, 1e6), limit, "MB");
  });
  add("start: --help", helpMs ?? undefined, 25, "ms");
  return figures;
}

export function renderFigures(figures: readonly Figure[]): string {
  const lines = figures.map((figure) => [
    figure.name,
    `${figure.value.toFixed(2)}${figure.unit === "" ? "" : ` ${figure.unit}`}`,
    `≤ ${Number(figure.limit.toFixed(2))}`,
    isMet(figure) ? "met" : "NOT MET",
  ]);
  return renderColumns([["", "measured", "target", ""], ...lines]);
}

export function isMet({ value, limit }: Figure): boolean {
  return value <= limit;
}

function find(summaries: readonly Summary[], name: string): Summary | undefined {
  return summaries.find(({ contender }) => contender === name);
}

function over(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b;
}
