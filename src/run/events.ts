import type { WaitNotice } from "../clickhouse/merge-wait.ts";
import type { QueryRecord, QuietServer } from "../clickhouse/query-observer.ts";
import type { TimeSpent } from "../copy/page-result.ts";
import type { PhaseName } from "../plan/phases.ts";
import type { ThrottleState } from "../throttle/throttler.ts";
import type { Month } from "./preflight/months.ts";

/** How a run of a month ended that did not fail. */
export type RunOutcome = "done" | "nothing-to-do" | "already-finished" | "dry-run";

/** How a month ended, as one of several. */
export type MonthOutcome = RunOutcome | "failed" | "stopped";

/** What a run reports while it works. Counts are cumulative within this run. */
export type BackfillEvent =
  | { readonly kind: "connected"; readonly serverVersion: string; readonly url: string }
  /** A phase begins. */
  | {
      readonly kind: "planned";
      readonly phase: PhaseName;
      readonly totalRows: number;
      readonly doneRows: number;
    }
  /** Traces that are loaded; `reused` of them are those of the month before, which were not read again. */
  | {
      readonly kind: "traces";
      readonly loaded: number;
      readonly reused: number;
      readonly total: number;
      readonly bytes: number;
    }
  /** Pages turned out to have fewer rows than planned (old versions were counted), or more. */
  | { readonly kind: "replanned"; readonly totalRows: number }
  /** Rows that were read, with their size, and those of them that are kept: acknowledged and in the checkpoint. */
  | {
      readonly kind: "rows";
      readonly phase: PhaseName;
      readonly rows: number;
      readonly bytes: number;
      readonly keptRows: number;
      /** Of those that are kept: rows that the target got, or would have got in a dry run. */
      readonly insertedRows: number;
      /** Of all pipelines, since the run began. */
      readonly spent: TimeSpent;
    }
  /** Rows of the source that were counted to verify that they were read. */
  | { readonly kind: "verified"; readonly rows: number; readonly totalRows: number }
  /** Rows of the sources and of the target that were compared. */
  | { readonly kind: "compared"; readonly rows: number; readonly totalRows: number }
  | {
      readonly kind: "retry";
      readonly operation: string;
      readonly attempt: number;
      readonly maxRetries: number;
      readonly delayMs: number;
      readonly message: string;
    }
  /** The run pauses until the server has finished something. */
  | ({ readonly kind: "wait" } & WaitNotice)
  /** An insert is sent in halves: it is too large, or to find the row that the server rejects. */
  | {
      readonly kind: "split";
      readonly reason: "size" | "data";
      readonly operation: string;
      readonly message: string;
    }
  /** The run is held back in another way than before. */
  | ({ readonly kind: "throttle" } & ThrottleState)
  /** The months of the command, in the order in which they are copied, with the rows of their observations, old versions included. */
  | { readonly kind: "months"; readonly months: readonly Month[] }
  /** One of them begins. */
  | { readonly kind: "month"; readonly partition: string; readonly isOneOfSeveral: boolean }
  /** One of them has ended. */
  | {
      readonly kind: "month-ended";
      readonly isOneOfSeveral: boolean;
      readonly partition: string;
      readonly outcome: MonthOutcome;
      readonly rows: number;
      readonly durationMs: number;
    }
  | { readonly kind: "notice"; readonly message: string }
  /** A query has ended; only with the option `recordsQueries`. */
  | { readonly kind: "query"; readonly record: QueryRecord }
  /** The server is waited for and sends nothing; said after 20 s, and each time that has doubled. */
  | ({ readonly kind: "quiet" } & QuietServer)
  /** Something that the user should look at; the run goes on. */
  | { readonly kind: "warning"; readonly message: string };
