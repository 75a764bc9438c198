import type { ConnectionSettings } from "../clickhouse/connection.ts";
import type { WaitNotice } from "../clickhouse/merge-wait.ts";
import type { QueryRecord, QuietServer } from "../clickhouse/query-observer.ts";
import type { RetryNotice } from "../clickhouse/retry.ts";
import type { StatementSettings } from "../clickhouse/settings/statement-settings.ts";
import type { SplitNotice } from "../copy/careful-insert.ts";
import type { CopiedPage, PageResult, TimeSpent } from "../copy/page-result.ts";
import type { PageRows, PageToCopy } from "../copy/read-page.ts";
import type { KeptJson } from "../json/kept-json.ts";
import type { ResolvedMapping, SelectItem } from "../mapping/resolve-mapping.ts";
import type { ExperimentTables } from "../plan/experiment-pages.ts";
import type { MonthlyPhase, PhaseName } from "../plan/phases.ts";
import type { TraceWindow } from "../plan/trace-window.ts";
import type { SharedRateLimit } from "../throttle/rate-limit.ts";
import type { TraceRange, TraceScope } from "../traces/queries.ts";
import type { SharedTraceStore, WrittenTraces } from "../traces/store.ts";
import type { SharedTraceSet } from "../traces/trace-set.ts";
import type { ThreadError } from "./thread-error.ts";

/** What copying the rows of a phase takes. */
export interface PhaseSetup extends PageRows {
  /** Rows are versions of traces, of which those under several dates must be told apart. */
  readonly areTraces: boolean;
}

/** What copying the traces of dataset runs takes. */
export interface ExperimentSetup {
  readonly tables: ExperimentTables;
  /** The experiment columns, as the items have them. */
  readonly itemColumns: readonly SelectItem[];
  readonly observations: ResolvedMapping;
  readonly roots: ResolvedMapping;
  /** The observations have a column of their parents. */
  readonly hasParents: boolean;
}

/** What loading traces takes. */
export interface TraceSetup {
  readonly scope: TraceScope;
  readonly columns: readonly SelectItem[];
  /** The target has a JSON column, and what it keeps. */
  readonly withJson: boolean;
  readonly keptJson: KeptJson;
  /** The quoted table of the items of dataset runs; null: there is none. */
  readonly datasetRunItems: string | null;
}

/** What every worker of a run is given at its start. */
export interface WorkerSetup {
  readonly connection: ConnectionSettings;
  readonly phases: Readonly<Partial<Record<MonthlyPhase, PhaseSetup>>>;
  /** Null: they are not copied. */
  readonly experiments: ExperimentSetup | null;
  readonly traces: TraceSetup;
  /** The server reads JSON columns that come as paths. */
  readonly takesJsonPaths: boolean;
  /** Views copy what is inserted into the target. */
  readonly targetHasViews: boolean;
  /** The quoted table. */
  readonly target: string;
  readonly partition: string;
  readonly batchRows: number;
  readonly insertRows: number;
  readonly dryRun: boolean;
  readonly maxRetries: number;
  /** How long an insert waits for merges; 0: it does not. */
  readonly maxWaitMs: number;
  /** Whether the run goes on when a row cannot be inserted. */
  readonly skipBadRows: boolean;
  /** The server's. */
  readonly timeZone: string;
  /** Sent by each kind of statement. */
  readonly settings: StatementSettings;
  /** Begins the ids of the run's queries. */
  readonly runId: string;
  /** Whether to report a record of each query. */
  readonly recordsQueries: boolean;
  /** The rate that all workers together keep to. */
  readonly rateLimit: SharedRateLimit;
}

/** The segments that one worker filled: where they are among the store's, and how many records each has. */
export interface SegmentPlace {
  readonly place: number;
  readonly records: number;
}

/** A page to copy. */
export interface PageOrder {
  readonly phase: PhaseName;
  readonly pipeline: number;
  readonly page: PageToCopy;
}

/** The commands of a worker, with what each takes and returns. Only pages may be given while others are copied. */
export interface WorkerCommands {
  setUp: { takes: WorkerSetup; returns: undefined };
  /** Loads the traces of a window and a range into segments of the worker. */
  loadTraces: { takes: { readonly window: TraceWindow; readonly range: TraceRange }; returns: undefined };
  /** Hands out what the worker has loaded since it was asked last. */
  takeTraces: { takes: undefined; returns: WrittenTraces };
  /** Loads which traces dataset runs name. */
  loadDatasetTraces: { takes: undefined; returns: SharedTraceSet };
  /** Attaches to the store and enters the records of the given segments into its index. */
  enterTraces: {
    takes: {
      store: SharedTraceStore;
      places: readonly SegmentPlace[];
      /** Null: all traces are copied, whatever names them. */
      datasetTraces: SharedTraceSet | null;
    };
    returns: undefined;
  };
  /** Hides deleted traces; after all records are entered. */
  applyDeletions: { takes: undefined; returns: undefined };
  /** Says that a pipeline gets no more pages of the phase. */
  drain: { takes: { phase: PhaseName; pipeline: number }; returns: undefined };
  /** Copies a page by one of the worker's pipelines, which are counted from 0. */
  copyPage: { takes: PageOrder; returns: CopiedPage };
}

export type CommandName = keyof WorkerCommands;

/**
 * A command on its way to a worker, with the number of the call. `stop` ends the current commands after the batches in
 * flight; `pause` holds further batches back and ends open INSERTs, until `resume`.
 */
export type WorkerRequest =
  | {
      [Name in CommandName]: {
        readonly call: number;
        readonly command: Name;
        readonly argument: WorkerCommands[Name]["takes"];
      };
    }[CommandName]
  | { readonly command: "stop" | "pause" | "resume" };

/** What a worker says of the call that copies a page. */
export type PageEvent =
  /** What of the page is done, and the time that went into it since the event before. */
  | { readonly kind: "page"; readonly call: number; readonly done: PageResult; readonly spent: TimeSpent }
  /** The worker is free to read another page. */
  | { readonly kind: "read"; readonly call: number };

/** What a worker says of its work as a whole. */
export type WorkerEvent =
  | { readonly kind: "traces"; readonly rows: number; readonly bytes: number }
  | { readonly kind: "retry"; readonly notice: RetryNotice }
  | { readonly kind: "wait"; readonly notice: WaitNotice }
  | { readonly kind: "split"; readonly notice: SplitNotice }
  | { readonly kind: "query"; readonly record: QueryRecord }
  | { readonly kind: "quiet"; readonly quiet: QuietServer };

/** What a worker says: how its commands go, and how they end. */
export type WorkerMessage =
  | WorkerEvent
  | PageEvent
  | { readonly kind: "result"; readonly call: number; readonly value: WorkerCommands[CommandName]["returns"] }
  /** `wasStopped`: by request, not by a fault. */
  | {
      readonly kind: "error";
      readonly call: number;
      readonly error: ThreadError;
      readonly wasStopped: boolean;
    };
