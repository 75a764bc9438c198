import { hostname } from "node:os";
import type { LiveRunJson } from "../control/status-json.ts";
import type { Mishap, PhaseProgress } from "../report/progress.ts";
import { progressJson } from "../report/progress-json.ts";
import type { Session, Surface } from "./session.ts";
import { version } from "./version.ts";

/** How a run ended. */
export type RunEnd = NonNullable<LiveRunJson["ended"]>;

/** What a run says of itself at the moment, without secrets. `ended` is null while it goes on. */
export function liveRunJson(
  { config, host }: Pick<Session, "config" | "host">,
  { snapshot, startedAt }: Pick<Surface, "snapshot" | "startedAt">,
  ended: RunEnd | null = null,
): LiveRunJson {
  const { connection, tables, engine, dryRun } = config.backfill;
  const now = snapshot();
  const json: LiveRunJson = {
    pid: process.pid,
    host: hostname(),
    since: startedAt.toISOString(),
    months: now.allMonths.map(({ partition }) => partition),
    server: connection.url,
    database: connection.database,
    target: tables.target,
    engine,
    version: version(),
    memory_bytes: process.memoryUsage.rss(),
    done_percent: Math.floor(now.done * 1000) / 10,
    progress: progressJson(now),
    phases: now.phases.map((phase) => phaseJson(phase, dryRun)),
    errors: now.mishaps.map(errorJson).reverse(),
    ended,
  };
  // Messages of servers and libraries may quote what they were sent.
  return host.secrets.redactTexts(json);
}

function phaseJson(phase: PhaseProgress, isDryRun: boolean): LiveRunJson["phases"][number] {
  return {
    month: phase.month,
    phase: phase.phase,
    read_rows: phase.readRows,
    read_bytes: phase.readBytes,
    inserted_rows: isDryRun ? 0 : phase.insertedRows,
    kept_rows: phase.position,
    total_rows: phase.total,
  };
}

function errorJson({ atMs, message }: Mishap): LiveRunJson["errors"][number] {
  return { at: wallTimeOf(atMs).toISOString(), message };
}

/** The time of day of a moment of `performance.now()`. */
export function wallTimeOf(atMs: number): Date {
  return new Date(performance.timeOrigin + atMs);
}
