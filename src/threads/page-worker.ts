import { randomUUID } from "node:crypto";
import { BufferPool } from "../bytes/buffer-pool.ts";
import { type RetryPolicy, withRetry } from "../clickhouse/retry.ts";
import { Server } from "../clickhouse/server.ts";
import { enricherFor } from "../copy/enrich/enricher.ts";
import { ExperimentEnricher } from "../copy/enrich/experiment-enricher.ts";
import { NO_ENRICHMENT, type RowEnricher } from "../copy/enrich/row-enricher.ts";
import { ExperimentCopier } from "../copy/experiments/experiment-copier.ts";
import type { ExperimentPage } from "../copy/experiments/experiment-page.ts";
import { experimentReader, type ItemsOfBlocks } from "../copy/experiments/experiment-reader.ts";
import { PageCopier, type PageCopying } from "../copy/page-copier.ts";
import { monthReader, type PageToCopy } from "../copy/read-page.ts";
import { RowFilter } from "../copy/row-filter.ts";
import type { ResolvedMapping } from "../mapping/resolve-mapping.ts";
import type { PhaseName } from "../plan/phases.ts";
import { Throttle } from "../throttle/throttle.ts";
import { applyDeletions, loadDatasetTraces, loadTraces, type TraceLoading } from "../traces/loader.ts";
import { describeTraceRange, type TraceRange } from "../traces/queries.ts";
import { SegmentWriter } from "../traces/segment-writer.ts";
import { TraceStore } from "../traces/store.ts";
import { createTraceSet, TraceSet } from "../traces/trace-set.ts";
import { toThreadError } from "./thread-error.ts";
import type {
  PageOrder,
  WorkerCommands,
  WorkerMessage,
  WorkerRequest,
  WorkerSetup,
} from "./worker-protocol.ts";

/** A batch that is done gives the buffers of its blocks back, for those that arrive next in any of the pipelines. */
const SPARE_BYTES = 12 * 2 ** 20;

/** Copies the pages of a phase. */
type Copier = Pick<PageCopier, "copy" | "drain" | "endInserts">;

/** A request that gets a response. */
type CallRequest = Extract<WorkerRequest, { readonly call: number }>;

/** The program of a worker thread: loads its share of the traces, then copies pages. Keeps the state between commands. */
export class PageWorker {
  readonly #post: (message: WorkerMessage) => void;
  readonly #stop = new AbortController();
  readonly #buffers = new BufferPool(SPARE_BYTES);
  #setup: WorkerSetup | null = null;
  #loading: TraceLoading | null = null;
  #segments: SegmentWriter | null = null;
  #store: TraceStore | null = null;
  /** Null: all traces are copied. */
  #datasetTraces: TraceSet | null = null;
  #throttle: Throttle | null = null;
  #isPaused = false;
  /** One for each pipeline of the thread, and the phase that it copies. */
  readonly #copiers = new Map<number, { readonly phase: PhaseName; readonly copier: Copier }>();

  constructor(post: (message: WorkerMessage) => void) {
    this.#post = post;
  }

  /** Runs a request and posts its result or its error. Never rejects. */
  async handle(request: WorkerRequest): Promise<void> {
    switch (request.command) {
      case "stop":
        this.#stop.abort(new Error("Stopped"));
        return;
      case "pause":
      case "resume":
        this.#setPaused(request.command === "pause");
        return;
      default:
        await this.#respond(request);
    }
  }

  async #respond(request: CallRequest): Promise<void> {
    try {
      this.#post({ kind: "result", call: request.call, value: await this.#carryOut(request) });
    } catch (error) {
      const wasStopped = this.#stop.signal.aborted;
      this.#post({ kind: "error", call: request.call, error: toThreadError(error), wasStopped });
    }
  }

  #setPaused(isPaused: boolean): void {
    this.#isPaused = isPaused;
    if (!isPaused) {
      this.#throttle?.resume();
      return;
    }
    this.#throttle?.pause();
    for (const { copier } of this.#copiers.values()) copier.endInserts();
  }

  /** The commands in the order of a run; throws when one comes too early. */
  async #carryOut(request: CallRequest): Promise<WorkerCommands[keyof WorkerCommands]["returns"]> {
    switch (request.command) {
      case "setUp":
        this.#setUp(request.argument);
        return undefined;
      case "loadTraces": {
        const { window, range } = request.argument;
        const loading = { ...need(this.#loading) };
        loading.scope = { ...loading.scope, window };
        const writer = need(this.#segments);
        const operation = `Loading traces from ${loading.scope.table}, ${describeTraceRange(range)}`;
        await withRetry(operation, this.#retryPolicy(), () => this.#loadTraces(loading, range, writer));
        return undefined;
      }
      case "takeTraces": {
        const written = need(this.#segments).written();
        this.#segments = this.#newWriter();
        return written;
      }
      case "loadDatasetTraces": {
        const { datasetRunItems } = need(this.#setup).traces;
        if (datasetRunItems === null) return createTraceSet(Buffer.alloc(0), 0);
        const loading = need(this.#loading);
        return await withRetry(`Loading dataset runs from ${datasetRunItems}`, this.#retryPolicy(), () =>
          loadDatasetTraces(loading, datasetRunItems),
        );
      }
      case "enterTraces": {
        const { store, places, datasetTraces } = request.argument;
        this.#segments = null;
        this.#store = new TraceStore(store);
        this.#datasetTraces = datasetTraces === null ? null : new TraceSet(datasetTraces);
        for (const { place, records } of places) this.#store.addRecords(place, records);
        return undefined;
      }
      case "applyDeletions": {
        const loading = need(this.#loading);
        const store = need(this.#store);
        await withRetry(`Loading deletions from ${loading.scope.table}`, this.#retryPolicy(), () =>
          applyDeletions(loading, store),
        );
        return undefined;
      }
      case "drain":
        this.#copier(request.argument)?.drain();
        return undefined;
      case "copyPage": {
        const { phase, pipeline, page } = request.argument;
        const copier = this.#copier(request.argument) ?? this.#makeCopier(phase);
        this.#copiers.set(pipeline, { phase, copier });
        return await copier.copy(page, {
          onProgress: (done, spent) => this.#post({ kind: "page", call: request.call, done, spent }),
          onRead: () => this.#post({ kind: "read", call: request.call }),
        });
      }
    }
  }

  /** Loads a range and reports it; takes back what a failed attempt reported. */
  async #loadTraces(loading: TraceLoading, range: TraceRange, writer: SegmentWriter): Promise<void> {
    const reported = { rows: 0, bytes: 0 };
    const report = (rows: number, bytes: number): void => {
      reported.rows += rows;
      reported.bytes += bytes;
      this.#post({ kind: "traces", rows, bytes });
    };
    try {
      await loadTraces(loading, range, writer, report);
    } catch (error) {
      report(-reported.rows, -reported.bytes);
      throw error;
    }
  }

  #setUp(setup: WorkerSetup): void {
    const { connection, traces, settings, runId, recordsQueries, rateLimit } = setup;
    this.#setup = setup;
    this.#throttle = new Throttle(rateLimit);
    if (this.#isPaused) this.#throttle.pause();
    this.#segments = this.#newWriter();
    this.#loading = {
      server: new Server(connection, {
        settings,
        queryIdPrefix: `${runId}-${randomUUID().slice(0, 4)}`,
        observer: {
          onQuiet: (quiet) => this.#post({ kind: "quiet", quiet }),
          ...(recordsQueries ? { onQuery: (record) => this.#post({ kind: "query", record }) } : {}),
        },
      }),
      scope: traces.scope,
      columns: traces.columns,
      buffers: this.#buffers,
      signal: this.#stop.signal,
    };
  }

  #newWriter(): SegmentWriter {
    const { withJson, keptJson } = need(this.#setup).traces;
    return new SegmentWriter(withJson, keptJson);
  }

  /** The copier of a pipeline, if it copies this phase; that of the phase before has come to rest. */
  #copier({ phase, pipeline }: Pick<PageOrder, "phase" | "pipeline">): Copier | null {
    const current = this.#copiers.get(pipeline);
    return current?.phase === phase ? current.copier : null;
  }

  #makeCopier(phase: PhaseName): Copier {
    if (phase === "experiments") return this.#makeExperimentCopier();
    const setup = need(this.#setup);
    const rows = need(setup.phases[phase] ?? null);
    const { server } = need(this.#loading);
    const store = need(this.#store);
    const leavesOut = rows.areTraces || this.#datasetTraces !== null;
    return new PageCopier(this.#copying(rows.mapping, rows.table), {
      reader: monthReader(server, rows, setup.partition, this.#buffers),
      filter: leavesOut ? new RowFilter(store, this.#datasetTraces, rows.areTraces) : null,
      enricher: () => enricherFor(rows.mapping, store),
      buffers: this.#buffers,
    });
  }

  #makeExperimentCopier(): Copier {
    const { experiments } = need(this.#setup);
    const { tables, itemColumns, observations, roots, hasParents } = need(experiments);
    const { server, signal } = need(this.#loading);
    const store = need(this.#store);
    const known = new Map<PageToCopy, ExperimentPage>();
    const itemsOfBlocks: ItemsOfBlocks = new WeakMap();
    const buffers = this.#buffers;
    const newestTraces = (): RowFilter => new RowFilter(store, null, true);
    const copierOf = (from: "traces" | "observations"): PageCopier => {
      const mapping = from === "traces" ? roots : observations;
      const inner = (): RowEnricher => (from === "traces" ? NO_ENRICHMENT : enricherFor(mapping, store));
      return new PageCopier(this.#copying(mapping, from === "traces" ? tables.traces : tables.source), {
        reader: experimentReader({
          server,
          tables,
          from,
          mapping,
          buffers,
          pageOf: (page) => need(known.get(page) ?? null),
          itemsOfBlocks,
        }),
        filter: from === "traces" ? newestTraces() : null,
        enricher: () => new ExperimentEnricher(inner(), itemsOfBlocks),
        buffers,
      });
    };
    return new ExperimentCopier(
      { server, tables, itemColumns, hasParents, rootFilter: newestTraces(), buffers, signal },
      this.#retryPolicy(),
      [copierOf("traces"), copierOf("observations")],
      known,
    );
  }

  #copying(mapping: ResolvedMapping, table: string): PageCopying {
    return {
      ...need(this.#setup),
      mapping,
      source: table,
      server: need(this.#loading).server,
      retry: this.#retryPolicy(),
      throttle: need(this.#throttle),
      onWait: (notice) => this.#post({ kind: "wait", notice }),
      onSplit: (notice) => this.#post({ kind: "split", notice }),
    };
  }

  #retryPolicy(): RetryPolicy {
    return {
      maxRetries: need(this.#setup).maxRetries,
      onRetry: (notice) => this.#post({ kind: "retry", notice }),
      signal: this.#stop.signal,
    };
  }
}

function need<T>(value: T | null): T {
  if (value === null) throw new Error("A worker was given its commands in the wrong order");
  return value;
}
