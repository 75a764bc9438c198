import { formatByteRate, formatCount, formatMoment, formatRowRate, formatSeconds } from "./format.ts";
import { isCheck } from "./progress.ts";

/** What a live run says, as far as people look at it. */
export interface LiveRunFigures {
  readonly pid: number;
  readonly host: string;
  readonly since: string;
  readonly server: string;
  readonly database: string;
  readonly target: string;
  readonly engine: string;
  readonly progress: {
    readonly month: string | null;
    readonly phase: string | null;
    readonly kept_rows: number | null;
    readonly total_rows: number | null;
    readonly percent: number | null;
    readonly rows_per_second: number | null;
    readonly bytes_per_second: number | null;
    readonly eta_seconds: number | null;
    readonly reason: string;
    readonly retries: number;
    readonly last_error: string | null;
    readonly months: {
      readonly ended: number;
      readonly total: number;
      readonly percent: number;
      readonly eta_seconds: number | null;
    } | null;
  };
}

/** A live run as lines of text, which fit 80 columns where the names do. */
export function renderLiveRun(run: LiveRunFigures): string[] {
  const { progress } = run;
  const { months } = progress;
  return [
    `Process ${run.pid} on ${run.host}, since ${formatMoment(run.since)} UTC`,
    `  into       ${run.database}.${run.target} at ${run.server}`,
    `  engine     ${run.engine}`,
    ...(months === null
      ? []
      : [
          `  months     ${months.ended} of ${months.total} ended, ${months.percent.toFixed(1)}% of all rows${leftIn(months.eta_seconds)}`,
        ]),
    ...phaseLines(progress),
    `  state      ${progress.reason}`,
    ...(progress.last_error === null
      ? []
      : [`  last error ${progress.last_error} (retries so far: ${formatCount(progress.retries)})`]),
  ];
}

function phaseLines(progress: LiveRunFigures["progress"]): string[] {
  const { phase, kept_rows, total_rows, percent } = progress;
  const month = (progress.month ?? "").padEnd(9);
  if (phase === null || kept_rows === null || total_rows === null || percent === null) {
    return [`  ${month}  begins`];
  }
  const rates = [
    formatRowRate(progress.rows_per_second ?? 0),
    ...(isCheck(phase) ? [] : [formatByteRate(progress.bytes_per_second ?? 0)]),
  ];
  return [
    `  ${month}  ${phase}: ${formatCount(kept_rows)} of ${formatCount(total_rows)}, ${percent.toFixed(1)}%`,
    `  speed      ${rates.join(", ")}${leftIn(progress.eta_seconds)}`,
  ];
}

function leftIn(seconds: number | null): string {
  return seconds === null ? "" : `, ${formatSeconds(seconds * 1000)} left`;
}
