import { type Block, type BlockSchema, streamOf } from "../clickhouse/native/block.ts";
import { HELPER } from "../mapping/mapped-column.ts";
import { KEY_BYTES } from "../traces/record.ts";
import type { TraceStore } from "../traces/store.ts";
import type { TraceSet } from "../traces/trace-set.ts";

/** Why a row is not copied. */
export const REASON = { kept: 0, datasetRun: 1, superseded: 2 } as const;

/** Where the columns that decide are among the streams of a block; -1: not selected. */
interface DecidingStreams {
  readonly traceKey: number;
  readonly eventTs: number;
  readonly date: number;
}

/**
 * Decides which rows of a block are copied: none of a trace that a dataset run names, and of the versions of a trace under several
 * dates only the newest.
 */
export class RowFilter {
  readonly #store: TraceStore;
  readonly #datasetTraces: TraceSet | null;
  /** Rows are versions of traces. */
  readonly #areTraces: boolean;
  #schema: BlockSchema | null = null;
  #streams: DecidingStreams = { traceKey: -1, eventTs: -1, date: -1 };
  /** The kept rows of the block at hand: the first of each run of them, and the row after its last. */
  #bounds = new Int32Array(64);
  #runs = 0;
  #datasetRunRows = 0;
  #supersededRows = 0;

  /** `datasetTraces` null: what they name is copied as well. `areTraces`: rows are versions of traces. */
  constructor(store: TraceStore, datasetTraces: TraceSet | null, areTraces: boolean) {
    this.#store = store;
    this.#datasetTraces = datasetTraces;
    this.#areTraces = areTraces;
  }

  /** Decides for each row of a block; the getters then describe the block. */
  select(block: Block): void {
    if (block.schema !== this.#schema) {
      this.#streams = decidingStreams(block.schema, this.#areTraces);
      this.#schema = block.schema;
    }
    if (this.#bounds.length < block.rows + 1) this.#bounds = new Int32Array(block.rows * 2);
    this.#runs = 0;
    this.#datasetRunRows = 0;
    this.#supersededRows = 0;
    const bounds = this.#bounds;
    let wasKept = false;
    for (let row = 0; row < block.rows; row++) {
      const reason = this.#reasonFor(block, row);
      if (reason === REASON.datasetRun) this.#datasetRunRows++;
      else if (reason === REASON.superseded) this.#supersededRows++;
      const isKept = reason === REASON.kept;
      if (isKept && !wasKept) bounds[this.#runs * 2] = row;
      if (!isKept && wasKept) bounds[this.#runs++ * 2 + 1] = row;
      wasKept = isKept;
    }
    if (wasKept) bounds[this.#runs++ * 2 + 1] = block.rows;
  }

  /** How many runs of kept rows the block has. */
  get runs(): number {
    return this.#runs;
  }

  /** The first row of a run. */
  from(run: number): number {
    return this.#bounds[run * 2] as number;
  }

  /** The row after the last one of a run. */
  to(run: number): number {
    return this.#bounds[run * 2 + 1] as number;
  }

  /** Rows of the block whose trace a dataset run names. */
  get datasetRunRows(): number {
    return this.#datasetRunRows;
  }

  /** Traces of the block of which there is a newer version elsewhere. */
  get supersededRows(): number {
    return this.#supersededRows;
  }

  #reasonFor({ bytes, at }: Block, row: number): (typeof REASON)[keyof typeof REASON] {
    const { traceKey, eventTs, date } = this.#streams;
    const key = (at.start[traceKey] as number) + row * KEY_BYTES;
    if (this.#datasetTraces?.has(bytes, key) === true) return REASON.datasetRun;
    if (!this.#areTraces) return REASON.kept;
    const isSuperseded = this.#store.isSuperseded(
      bytes,
      key,
      (at.start[eventTs] as number) + row * 8,
      (at.start[date] as number) + row * 2,
    );
    return isSuperseded ? REASON.superseded : REASON.kept;
  }
}

function decidingStreams(schema: BlockSchema, areTraces: boolean): DecidingStreams {
  const helper = (name: string): number => (areTraces ? streamOf(schema, name, "fixed") : -1);
  return {
    traceKey: streamOf(schema, HELPER.traceKey, "fixed"),
    eventTs: helper(HELPER.eventTs),
    date: helper(HELPER.date),
  };
}
