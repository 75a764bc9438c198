import type { RetryNotice } from "../clickhouse/retry.ts";
import type { Page } from "../plan/pages.ts";
import type { BackfillEvent } from "./backfill.ts";
import type { PageResult } from "./page-copier.ts";
import type { WorkerNews } from "./worker-handle.ts";

/** The sums of a run. */
export interface RunTotals extends PageResult {
  readonly traces: number;
  readonly retries: number;
}

const NOTHING: PageResult = { rows: 0, withoutTrace: 0, bytes: 0 };

/** Adds up what the workers tell, and tells it on as the run's events. */
export class RunProgress {
  readonly #emit: (event: BackfillEvent) => void;
  /** What each worker has done of its page. */
  readonly #inFlight: PageResult[];
  readonly #plannedRows: number[];
  #finished: PageResult = NOTHING;
  /** Rows of all runs: those that pages turned out to have, and those planned for the pages to come. */
  #totalRows = 0;
  #traces = 0;
  #traceBytes = 0;
  #tracesTotal = 0;
  #retries = 0;

  constructor(workers: number, emit: (event: BackfillEvent) => void) {
    this.#emit = emit;
    this.#inFlight = new Array<PageResult>(workers).fill(NOTHING);
    this.#plannedRows = new Array<number>(workers).fill(0);
  }

  /** Begins the run: `rows` are left, `doneRows` were copied by earlier runs. */
  plan(rows: number, doneRows: number): void {
    this.#totalRows = rows + doneRows;
    this.#emit({ kind: "planned", totalRows: this.#totalRows, doneRows });
  }

  planTraces(total: number): void {
    this.#tracesTotal = total;
    this.#emitTraces();
  }

  /** Takes in what worker `number` tells. */
  hear(news: WorkerNews, number: number): void {
    switch (news.kind) {
      case "traces":
        this.#traces += news.rows;
        this.#traceBytes += news.bytes;
        this.#emitTraces();
        return;
      case "page":
        this.#inFlight[number] = news.done;
        this.#emitRows();
        return;
      case "retry":
        this.retry(news.notice);
        return;
    }
  }

  retry(notice: RetryNotice): void {
    this.#retries++;
    this.#emit({ kind: "retry", ...notice });
  }

  beginPage(worker: number, page: Page): void {
    this.#inFlight[worker] = NOTHING;
    this.#plannedRows[worker] = page.plannedRows;
  }

  finishPage(worker: number, done: PageResult): void {
    this.#inFlight[worker] = NOTHING;
    this.#finished = sum(this.#finished, done);
    // Planned rows include old versions, which no page has.
    this.#totalRows += done.rows - (this.#plannedRows[worker] as number);
    this.#emit({ kind: "replanned", totalRows: this.#totalRows });
    this.#emitRows();
  }

  totals(): RunTotals {
    return { ...this.#finished, traces: this.#traces, retries: this.#retries };
  }

  #emitTraces(): void {
    const total = Math.max(this.#tracesTotal, this.#traces);
    this.#emit({ kind: "traces", loaded: this.#traces, total, bytes: this.#traceBytes });
  }

  #emitRows(): void {
    const { rows, bytes } = this.#inFlight.reduce(sum, this.#finished);
    this.#emit({ kind: "rows", rows, bytes });
  }
}

function sum(a: PageResult, b: PageResult): PageResult {
  return {
    rows: a.rows + b.rows,
    withoutTrace: a.withoutTrace + b.withoutTrace,
    bytes: a.bytes + b.bytes,
  };
}
