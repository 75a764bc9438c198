import type { VerificationResult } from "./count-verification.ts";
import type { RunOutcome } from "./events.ts";
import type { Month } from "./preflight/months.ts";
import type { RunContext } from "./run-context.ts";
import { insertedRows, type PhaseTotals } from "./run-progress.ts";

/** The figures of the final report. */
export interface BackfillReport {
  readonly outcome: RunOutcome;
  /** What each phase copied, in their order. */
  readonly phases: readonly PhaseTotals[];
  readonly observationsRead: number;
  readonly eventsInserted: number;
  readonly tracesLoaded: number;
  readonly observationsWithoutTrace: number;
  readonly retries: number;
  /** Rows that are not in the target, since the server rejects them. */
  readonly rowsSkipped: number;
  /** Batches, and parts of batches, that were sent in halves since they were too large. */
  readonly batchesHalved: number;
  /** Time in which at least one worker waited for merges. */
  readonly waitedMs: number;
  /** Rows that were not read, since they were written after their page was read. */
  readonly lateRows: number;
  /** Rows that were read, and may have been written again since. */
  readonly rewrittenRows: number;
  readonly durationMs: number;
  readonly bytesRead: number;
  /** What the user should know of what is, or is not, in the target. */
  readonly warnings: readonly string[];
  /** Where there was nothing to do: the months that the source has, the newest first. */
  readonly months: readonly Month[];
}

/** Rows that changed while they were copied. */
export type UnsettledRows = Pick<VerificationResult, "lateRows" | "rewrittenRows">;

/** What a report adds to the run's own totals. */
export interface ReportDetails {
  readonly warnings?: readonly string[];
  readonly months?: readonly Month[];
  readonly verification?: UnsettledRows;
}

const NOTHING_LATE = { lateRows: 0, rewrittenRows: 0 };

/** Returns the final report of a run that ends now. */
export function reportOf(
  { progress, startedMs }: RunContext,
  outcome: BackfillReport["outcome"],
  { warnings = [], months = [], verification = NOTHING_LATE }: ReportDetails = {},
): BackfillReport {
  const { phases, traces, retries, halved, waitedMs } = progress.totals();
  const sum = (count: (phase: PhaseTotals) => number): number =>
    phases.reduce((total, phase) => total + count(phase), 0);
  return {
    outcome,
    phases,
    observationsRead: phases.find(({ phase }) => phase === "observations")?.rows ?? 0,
    eventsInserted: outcome === "done" ? sum(insertedRows) : 0,
    tracesLoaded: traces,
    observationsWithoutTrace: sum(({ withoutTrace }) => withoutTrace),
    retries,
    rowsSkipped: sum(({ skipped }) => skipped),
    batchesHalved: halved,
    waitedMs,
    lateRows: verification.lateRows,
    rewrittenRows: verification.rewrittenRows,
    durationMs: performance.now() - startedMs,
    bytesRead: sum(({ bytes }) => bytes),
    warnings,
    months,
  };
}
