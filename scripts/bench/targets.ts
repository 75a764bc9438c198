import type { Summary } from "./rounds.ts";
import type { PeakQuery } from "./server-memory.ts";
import { renderColumns, type Spread } from "./statistics.ts";

/** A figure that has a limit. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly limit: number;
}

/** What the figures are derived from. */
export interface Measurements {
  readonly observations: number;
  readonly summaries: readonly Summary[];
  /** Of rows of 50 kB. */
  readonly wide: readonly Summary[];
  readonly toolPeak: PeakQuery | null;
  readonly enginePeak: PeakQuery | null;
  readonly joinPeak: PeakQuery | null;
  readonly helpMs: number | null;
}

const MAX_OF_THE_JOIN = 1.15;
const MAX_OF_THE_FLOOR = 1.15;
const MAX_OF_ENGINE = { events: 1, events_full: 0.9 } as const;

/** The figures that the measurements allow for; those of contenders that did not run are left out. */
export function figuresOf(measurements: Measurements): Figure[] {
  const { observations, summaries, wide, toolPeak, enginePeak, joinPeak, helpMs } = measurements;
  const find = (name: string): Summary | undefined => summaries.find(({ contender }) => contender === name);
  const figures: Figure[] = [];
  const add = (name: string, value: number | undefined, limit: number, unit = ""): void => {
    if (value !== undefined && !Number.isNaN(value)) figures.push({ name, value, unit, limit });
  };
  for (const table of ["events", "events_full"] as const) {
    const tool = find(`tool, at its defaults, into ${table}`);
    const join = find(`server join, into ${table}`);
    const ratio = (of: (summary: Summary) => Spread): number | undefined =>
      over(tool && of(tool).median, join && of(join).median);
    add(
      `${table}, at the defaults: wall ÷ join`,
      ratio(({ wallMs }) => wallMs),
      MAX_OF_THE_JOIN,
    );
    add(
      `${table}, at the defaults: server CPU ÷ join`,
      ratio(({ serverCpuMs }) => serverCpuMs),
      MAX_OF_THE_JOIN,
    );
    add(
      `${table}, at the defaults: server CPU, merges included ÷ join`,
      ratio(({ mergedCpuMs }) => mergedCpuMs),
      MAX_OF_THE_JOIN,
    );
    const engine = find(`tool, --engine server, into ${table}`);
    add(
      `${table}, --engine server: wall ÷ join`,
      over(engine?.wallMs.median, join?.wallMs.median),
      MAX_OF_ENGINE[table],
    );
    add(`${table}, --engine server: peak RSS`, over(engine?.peakRssBytes.median, 1e6), 100, "MB");
    add(`${table}, at the defaults: parts per million rows`, over(tool?.parts.median, observations / 1e6), 8);
  }
  const one = find("tool, 1 worker, into Null without computed columns");
  const two = find("tool, 2 workers, into Null without computed columns");
  const [floorOne, floorTwo] = [find("floor, 1 worker"), find("floor, 2 workers")];
  add(
    "Null, 1 worker: wall ÷ byte pipe",
    over(one?.wallMs.median, floorOne?.wallMs.median),
    MAX_OF_THE_FLOOR,
  );
  add(
    "Null, 2 workers: wall ÷ byte pipe",
    over(two?.wallMs.median, floorTwo?.wallMs.median),
    MAX_OF_THE_FLOOR,
  );
  add("Null, 2 workers: client CPU", over(two?.cpuMs.median, observations / 1000), 3.5, "s per million rows");
  add(
    "events, at the defaults: peak RSS",
    over(find("tool, at its defaults, into events")?.peakRssBytes.median, 1e6),
    280,
    "MB",
  );
  add(
    "events_full, at the defaults: peak RSS",
    over(find("tool, at its defaults, into events_full")?.peakRssBytes.median, 1e6),
    280,
    "MB",
  );
  add(
    "events, 1 worker: peak RSS",
    over(find("tool, 1 worker, into events")?.peakRssBytes.median, 1e6),
    200,
    "MB",
  );
  const [widePipe, wideTool] = ["floor", "tool"].map((kind) =>
    wide.find(({ contender }) => contender.startsWith(kind)),
  );
  add("rows of 50 kB: wall ÷ byte pipe", over(wideTool?.wallMs.median, widePipe?.wallMs.median), 1 / 0.8);
  add("server's peak memory: tool's queries ÷ join", over(toolPeak?.bytes, joinPeak?.bytes), 0.2);
  add(
    "server's peak memory: queries of --engine server ÷ join",
    over(enginePeak?.bytes, joinPeak?.bytes),
    0.35,
  );
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

function over(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b;
}
