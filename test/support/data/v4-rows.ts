import type { NewerDatasetRunItemRow } from "./dataset-run-rows.ts";
import type { NewerObservationRow, TraceRow } from "./rows.ts";
import { bytesKey, toBytes } from "./values.ts";

/** Rows of the three tables that a v4 backfill reads. */
export interface V4Rows {
  readonly traces: readonly TraceRow[];
  readonly observations: readonly NewerObservationRow[];
  readonly items: readonly NewerDatasetRunItemRow[];
}

/** The rows of all. */
export function joinRows(...all: readonly V4Rows[]): V4Rows {
  return {
    traces: all.flatMap(({ traces }) => traces),
    observations: all.flatMap(({ observations }) => observations),
    items: all.flatMap(({ items }) => items),
  };
}

/** Leaves out rows of observations whose event has the sorting key of a trace's root row: the target would keep one of the two. */
export function withoutRootCollisions(
  observations: readonly NewerObservationRow[],
  traces: readonly TraceRow[],
): NewerObservationRow[] {
  const roots = new Set(
    traces.map(({ project_id, timestamp, id }) => {
      const spanId = Buffer.concat([toBytes("t-"), toBytes(id)]);
      return bytesKey(project_id, timestamp, id, spanId);
    }),
  );
  return observations.filter(
    (row) => !roots.has(bytesKey(row.project_id, row.start_time, row.trace_id, row.id)),
  );
}
