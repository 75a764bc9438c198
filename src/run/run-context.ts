import type { RetryPolicy } from "../clickhouse/retry.ts";
import type { RejectedRowLog } from "../copy/rejected-row.ts";
import type { Throttler } from "../throttle/throttler.ts";
import type { BackfillOptions } from "./backfill-options.ts";
import type { BackfillEvent } from "./events.ts";
import type { RunProgress } from "./run-progress.ts";
import type { TraceBorders } from "./trace-borders.ts";

/** What the phases of a run share. */
export interface RunContext {
  /** Distinguishes the run's queries from those of other runs. */
  readonly id: string;
  readonly options: BackfillOptions;
  readonly emit: (event: BackfillEvent) => void;
  /** Ends the run gracefully. */
  readonly stop: AbortSignal;
  readonly retry: RetryPolicy;
  readonly progress: RunProgress;
  /** Holds the run back, as the operator and the server's load want it. */
  readonly throttler: Throttler;
  /** Takes the rows that the server rejects; null: the first one ends the run. */
  readonly rejectedRows: RejectedRowLog | null;
  /** The traces that months share with their neighbours; null: the run is of one month. */
  readonly borders: TraceBorders | null;
  /** By `performance.now()`. */
  readonly startedMs: number;
}
