import type { WaitNotice } from "../clickhouse/merge-wait.ts";
import type { RetryNotice } from "../clickhouse/retry.ts";
import type { SplitNotice } from "../copy/careful-insert.ts";
import {
  addTime,
  type CopiedPage,
  NO_TIME,
  NOTHING_COPIED,
  type PageResult,
  sumOf,
  type TimeSpent,
} from "../copy/page-result.ts";
import type { Page } from "../plan/pages.ts";
import type { PhaseName } from "../plan/phases.ts";
import type { WorkerEvent } from "../threads/worker-protocol.ts";
import type { BackfillEvent } from "./events.ts";

/** The sums of a phase. */
export interface PhaseTotals extends PageResult {
  readonly phase: PhaseName;
  /** Rows that are not in the target, since the server rejects them. */
  readonly skipped: number;
}

/** The rows of a phase that are in the target. */
export function insertedRows({ rows, leftOut, superseded, skipped }: PhaseTotals): number {
  return rows - leftOut - superseded - skipped;
}

/** The sums of a run. */
export interface RunTotals {
  /** In their order. */
  readonly phases: readonly PhaseTotals[];
  readonly traces: number;
  readonly retries: number;
  /** Batches, and parts of batches, that were sent in halves since they were too large. */
  readonly halved: number;
  /** Time in which at least one worker waited for merges. */
  readonly waitedMs: number;
}

/** Adds up what the workers report, and emits the run's events. */
export class RunProgress {
  readonly #emit: (event: BackfillEvent) => void;
  /** What is done of the pages that are being copied. */
  readonly #inFlight = new Map<Page, PageResult>();
  /** Of the phases before this one. */
  readonly #earlier: PhaseTotals[] = [];
  #phase: PhaseName | null = null;
  #finished: PageResult = NOTHING_COPIED;
  #skipped = 0;
  #spent: TimeSpent = NO_TIME;
  /** Rows of all runs: those that pages turned out to have, and those planned for the pages to come. */
  #totalRows = 0;
  #traces = 0;
  #reusedTraces = 0;
  #traceBytes = 0;
  #tracesTotal = 0;
  #retries = 0;
  #halved = 0;
  #waitedMs = 0;
  #waitingUntilMs = 0;

  constructor(emit: (event: BackfillEvent) => void) {
    this.#emit = emit;
  }

  /** Begins a phase: `rows` are left, `doneRows` were copied by earlier runs. */
  begin(phase: PhaseName, rows: number, doneRows: number): void {
    const ended = this.ofPhase();
    if (ended !== null) this.#earlier.push(ended);
    this.#phase = phase;
    this.#finished = NOTHING_COPIED;
    this.#skipped = 0;
    this.#totalRows = rows + doneRows;
    this.#emit({ kind: "planned", phase, totalRows: this.#totalRows, doneRows });
  }

  /** Adds traces that are to be loaded. */
  planTraces(rows: number): void {
    this.#tracesTotal += rows;
    this.#emitTraces();
  }

  /** Adds traces that the month before has loaded. */
  reuseTraces(rows: number): void {
    this.#traces += rows;
    this.#reusedTraces += rows;
    this.#tracesTotal += rows;
  }

  /** Ends the loading of traces: planned rows include old versions and deletions, which are no traces. */
  finishTraces(): void {
    this.#tracesTotal = this.#traces;
    this.#emitTraces();
  }

  /** Handles an event of a worker. */
  handle(event: WorkerEvent): void {
    switch (event.kind) {
      case "traces":
        this.#traces += event.rows;
        this.#traceBytes += event.bytes;
        this.#emitTraces();
        return;
      case "retry":
        this.retry(event.notice);
        return;
      case "wait":
        this.wait(event.notice);
        return;
      case "split":
        this.#split(event.notice);
        return;
      case "query":
        this.#emit({ kind: "query", record: event.record });
        return;
      case "quiet":
        this.#emit({ kind: "quiet", ...event.quiet });
        return;
    }
  }

  retry(notice: RetryNotice): void {
    this.#retries++;
    this.#emit({ kind: "retry", ...notice });
  }

  /** Records what is done of a page so far. */
  copyPage(page: Page, done: PageResult, spent: TimeSpent): void {
    this.#inFlight.set(page, done);
    this.#spent = addTime(this.#spent, spent);
    this.#emitRows();
  }

  finishPage(page: Page, done: CopiedPage): void {
    this.#inFlight.delete(page);
    this.#skipped += done.skipped.length;
    this.#finished = sumOf(this.#finished, done);
    // Planned rows include old versions, which no page has.
    this.#totalRows += done.rows - page.plannedRows;
    this.#emit({ kind: "replanned", totalRows: this.#totalRows });
    this.#emitRows();
  }

  /** The sums of the current phase so far; null before the first. */
  ofPhase(): PhaseTotals | null {
    return this.#phase === null ? null : { ...this.#finished, phase: this.#phase, skipped: this.#skipped };
  }

  totals(): RunTotals {
    const current = this.ofPhase();
    return {
      phases: current === null ? this.#earlier : [...this.#earlier, current],
      traces: this.#traces,
      retries: this.#retries,
      halved: this.#halved,
      waitedMs: this.#waitedMs,
    };
  }

  /** Records that the run waits for something. */
  wait(notice: WaitNotice): void {
    const nowMs = performance.now();
    const untilMs = nowMs + notice.delayMs;
    // Workers wait at the same time; what counts is how much later the run ends.
    this.#waitedMs += Math.max(0, untilMs - Math.max(nowMs, this.#waitingUntilMs));
    this.#waitingUntilMs = Math.max(this.#waitingUntilMs, untilMs);
    this.#emit({ kind: "wait", ...notice });
  }

  #split(notice: SplitNotice): void {
    if (notice.reason === "size") this.#halved++;
    this.#emit({ kind: "split", ...notice });
  }

  #emitTraces(): void {
    const total = Math.max(this.#tracesTotal, this.#traces);
    const reused = this.#reusedTraces;
    this.#emit({ kind: "traces", loaded: this.#traces, reused, total, bytes: this.#traceBytes });
  }

  #emitRows(): void {
    const { rows, bytes } = [...this.#inFlight.values()].reduce(sumOf, this.#finished);
    const kept = this.ofPhase();
    if (kept === null) return;
    this.#emit({
      kind: "rows",
      phase: kept.phase,
      rows,
      bytes,
      keptRows: kept.rows,
      insertedRows: insertedRows(kept),
      spent: this.#spent,
    });
  }
}
