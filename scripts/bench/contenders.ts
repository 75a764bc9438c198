import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PARTITION, TABLES } from "./data.ts";
import { DATABASE } from "./dataset.ts";
import type { JoinVariant } from "./join-variant.ts";

/** One way to get the work done, as a process of its own. */
export interface Contender {
  readonly name: string;
  readonly target: string;
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

export function contendersOf(arena: Arena): Contender[] {
  const { eventsNull, eventsPlain, events, observationsNull } = TABLES;
  return [
    ...[1, 2].map((workers) => ({
      name: `floor, ${workersText(workers)}`,
      target: observationsNull,
      command: () => script("floor.ts", arena.url, String(workers)),
    })),
    ...[1, 2].map((workers) => ({
      name: `requests alone, ${workersText(workers)}, into Null`,
      target: eventsNull,
      command: () => script("requests.ts", arena.url, String(workers), eventsNull),
    })),
    ...[1, 2].map((workers) => tool(arena, eventsNull, workers, "Null")),
    ...[1, 2].map((workers) => tool(arena, eventsPlain, workers, "Null without computed columns")),
    ...[1, 2].map((workers) => tool(arena, events, workers, "events")),
    tool(arena, events, 2, "events, large batches", [
      "--batch-size",
      "100000",
      "--stream-block-size",
      "100000",
    ]),
    serverJoin(arena, eventsNull, "Null"),
    serverJoin(arena, events, "events"),
    { name: "naive", target: eventsNull, command: () => script("naive.ts", arena.url, eventsNull) },
  ];
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
export function toolCommand(arena: Pick<Arena, "url" | "binary">, target: string, workers: number): string[] {
  const source = ["--partition", PARTITION, "--clickhouse-url", arena.url, "--clickhouse-db", DATABASE];
  return [arena.binary, ...source, "--target-table", target, "--parallel-workers", String(workers)];
}

/** The command of a join, for which `variant` need not be the best. */
export function joinCommand(url: string, target: string, variant: JoinVariant): string[] {
  return script("join.ts", url, target, JSON.stringify(variant));
}

/** The command of a script beside this one. */
export function script(name: string, ...args: string[]): string[] {
  return [process.execPath, join(import.meta.dir, name), ...args];
}

function tool(
  arena: Arena,
  target: string,
  workers: number,
  into: string,
  flags: readonly string[] = [],
): Contender {
  return {
    name: `tool, ${workersText(workers)}, into ${into}`,
    target,
    command: (directory) => [
      ...toolCommand(arena, target, workers),
      "--cursor-state-dir",
      directory,
      ...flags,
    ],
  };
}

function serverJoin(arena: Arena, target: string, into: string): Contender {
  return {
    name: `server join, into ${into}`,
    target,
    command: () => joinCommand(arena.url, target, arena.join),
  };
}

function workersText(workers: number): string {
  return `${workers} worker${workers === 1 ? "" : "s"}`;
}
