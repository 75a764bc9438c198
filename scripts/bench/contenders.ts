import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PARTITION, TABLES } from "./data.ts";
import { DATABASE } from "./dataset.ts";
import type { JoinVariant } from "./join-variant.ts";

/** The kinds of contenders, as `--only` names them. */
export const KINDS = ["floor", "requests", "tool", "server", "join", "naive"] as const;

export type Kind = (typeof KINDS)[number];

/** One way to get the work done, as a process of its own. */
export interface Contender {
  readonly kind: Kind;
  readonly name: string;
  readonly target: string;
  /** The rows that it writes; all observations unless given. */
  readonly rows?: number;
  /** The command of one run; `directory` is an empty one of the run's own. */
  command(directory: string): string[];
}

/** Where the contenders find what they need. */
export interface Arena {
  readonly url: string;
  /** Path of the compiled tool. */
  readonly binary: string;
  readonly join: JoinVariant;
}

/** Those of a month of usual rows. "At its defaults" is a tool that gets no flag but where to read and to write. */
export function contendersOf(arena: Arena): Contender[] {
  const { eventsNull, eventsPlain, events, eventsFull } = TABLES;
  return [
    floor(arena, 1),
    floor(arena, 2),
    ...[1, 2].map((workers) => ({
      kind: "requests" as const,
      name: `requests alone, ${workersText(workers)}, into Null`,
      target: eventsNull,
      command: () => script("requests.ts", arena.url, String(workers), eventsNull),
    })),
    ...[1, 2].map((workers) => tool(arena, eventsNull, "Null", workers)),
    ...[1, 2].map((workers) => tool(arena, eventsPlain, "Null without computed columns", workers)),
    tool(arena, events, "events", 1),
    tool(arena, events, "events"),
    tool(arena, eventsFull, "events_full"),
    serverEngine(arena, events),
    serverEngine(arena, eventsFull),
    serverJoin(arena, eventsNull, "Null"),
    serverJoin(arena, events, "events"),
    serverJoin(arena, eventsFull, "events_full"),
    {
      kind: "naive",
      name: "naive, into events",
      target: events,
      command: () => script("naive.ts", arena.url, events),
    },
  ];
}

/** Those of rows of 50 kB. */
export function wideContendersOf(arena: Arena): Contender[] {
  return [floor(arena, 2), tool(arena, TABLES.eventsPlain, "Null without computed columns", 2)];
}

/** Does `work` with a directory that is removed afterwards. */
export async function withDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-bench-"));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The flags by which the tool copies the month into `target`. */
export function toolCommand(arena: Pick<Arena, "url" | "binary">, target: string): string[] {
  const source = ["--partition", PARTITION, "--clickhouse-url", arena.url, "--clickhouse-db", DATABASE];
  return [arena.binary, ...source, "--target-table", target, "--layout", "events"];
}

/** The command of a join, for which `variant` need not be the best. */
export function joinCommand(url: string, target: string, variant: JoinVariant): string[] {
  return script("join.ts", url, target, JSON.stringify(variant));
}

/** The command of a script in this folder. */
export function script(name: string, ...args: string[]): string[] {
  return [process.execPath, join(import.meta.dir, name), ...args];
}

function floor(arena: Arena, workers: number): Contender {
  return {
    kind: "floor",
    name: `floor, ${workersText(workers)}`,
    target: TABLES.observationsNull,
    command: () => script("floor.ts", arena.url, String(workers)),
  };
}

function tool(arena: Arena, target: string, into: string, workers?: number): Contender {
  const flags = workers === undefined ? [] : ["--parallel-workers", String(workers)];
  const how = workers === undefined ? "at its defaults" : workersText(workers);
  return {
    kind: "tool",
    name: `tool, ${how}, into ${into}`,
    target,
    command: (directory) => [...toolCommand(arena, target), "--cursor-state-dir", directory, ...flags],
  };
}

function serverEngine(arena: Arena, target: string): Contender {
  return {
    kind: "server",
    name: `tool, --engine server, into ${target}`,
    target,
    command: (directory) => [
      ...toolCommand(arena, target),
      "--cursor-state-dir",
      directory,
      "--engine",
      "server",
    ],
  };
}

function serverJoin(arena: Arena, target: string, into: string): Contender {
  return {
    kind: "join",
    name: `server join, into ${into}`,
    target,
    command: () => joinCommand(arena.url, target, arena.join),
  };
}

function workersText(workers: number): string {
  return `${workers} worker${workers === 1 ? "" : "s"}`;
}
