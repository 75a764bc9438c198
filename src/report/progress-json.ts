import { formatRate } from "../throttle/rate.ts";
import type { MonthProgress, RunSnapshot } from "./progress.ts";
import { runStateOf } from "./run-state.ts";

const MAX_STATE_LENGTH = 500;

/** The figures of a moment as the JSON outputs have them: the log, and `status`. Names are documented and stay as they are. */
export interface ProgressJson {
  readonly month: string | null;
  readonly phase: string | null;
  readonly kept_rows: number | null;
  readonly read_rows: number | null;
  readonly total_rows: number | null;
  /** 0 to 100. */
  readonly percent: number | null;
  readonly rows_per_second: number | null;
  readonly bytes_per_second: number | null;
  readonly eta_seconds: number | null;
  readonly state: string;
  readonly reason: string;
  readonly max_rate: string | null;
  readonly workers: number | null;
  readonly retries: number;
  readonly last_error: string | null;
  /** Of a command for several months. */
  readonly months: MonthsJson | null;
}

/** All months of a command. */
export interface MonthsJson {
  readonly ended: number;
  readonly total: number;
  readonly percent: number;
  readonly eta_seconds: number | null;
  readonly list: readonly {
    readonly month: string;
    readonly outcome: MonthProgress["outcome"];
    readonly source_rows: number;
    readonly copied_rows: number;
    readonly seconds: number;
  }[];
}

/** The figures as JSON. */
export function progressJson(snapshot: RunSnapshot): ProgressJson {
  const { figures, month, months, throttle, retries, lastError } = snapshot;
  const { name, text } = runStateOf(snapshot, MAX_STATE_LENGTH);
  return {
    month,
    phase: figures?.phase ?? null,
    kept_rows: figures?.position ?? null,
    read_rows: figures === null ? null : (figures.read ?? figures.position),
    total_rows: figures?.total ?? null,
    percent: figures === null ? null : percent(figures.total === 0 ? 1 : figures.position / figures.total),
    rows_per_second: figures === null ? null : Math.round(figures.rowsPerSecond),
    bytes_per_second: figures === null ? null : Math.round(figures.bytesPerSecond),
    eta_seconds: seconds(figures?.remainingMs ?? null),
    state: name,
    reason: text,
    max_rate: throttle.rate === null ? null : formatRate(throttle.rate),
    workers: throttle.workers,
    retries,
    last_error: lastError,
    months:
      months === null
        ? null
        : {
            ended: months.ended,
            total: months.months.length,
            percent: percent(months.fraction),
            eta_seconds: seconds(months.remainingMs),
            list: months.months.map(({ partition, outcome, rows, copiedRows, durationMs }) => ({
              month: partition,
              outcome,
              source_rows: rows,
              copied_rows: copiedRows,
              seconds: Math.round(durationMs / 100) / 10,
            })),
          },
  };
}

function percent(fraction: number): number {
  return Math.floor(fraction * 1000) / 10;
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : Math.ceil(ms / 1000);
}
