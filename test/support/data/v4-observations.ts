import { spansByTrace } from "./dataset-run-items.ts";
import type { Random } from "./random.ts";
import type { Text } from "./row-binary.ts";
import type { NewerObservationRow } from "./rows.ts";
import type { TraceName } from "./traces.ts";
import { bytesKey, DAY_MS } from "./values.ts";

/** The length of a long chain. */
const CHAIN = 300;
/** How many traces get one, where there are as many. */
export const CHAINS = 2;
/** The share of the traces that get a tree. */
const TREES = 0.3;
/** Copies of large rows would make the data large. */
const MAX_COPIED_INPUT = 10_000;

/**
 * Adds to observations what matters to trees of spans: parents within the trace (circles among them, since they are drawn
 * at random), and for the given traces trees over several months and observations with the trace's id; those of `chained` get a long chain
 * each.
 */
export function withTrees(
  random: Random,
  observations: readonly NewerObservationRow[],
  traces: readonly TraceName[],
  chained: readonly TraceName[],
): NewerObservationRow[] {
  const spans = spansByTrace(observations);
  const rows = observations.map((row) => {
    const own = spans.get(bytesKey(row.project_id, row.trace_id)) ?? [];
    return own.length > 1 && random.chance(0.6) ? { ...row, parent_observation_id: random.pick(own) } : row;
  });
  const copied = rows.filter(({ input }) => input === null || input.length < MAX_COPIED_INPUT);
  if (copied.length === 0) return rows;
  const fresh = (trace: TraceName, change: Partial<NewerObservationRow>): NewerObservationRow => {
    const from = random.pick(copied);
    const months = random.pick([0, 0, 0, 0, -1, 1]);
    return {
      ...from,
      id: random.uuid(),
      project_id: trace.projectId,
      trace_id: trace.id,
      start_time: from.start_time + months * 31 * DAY_MS,
      is_deleted: false,
      ...change,
    };
  };
  for (const trace of traces) {
    if (!random.chance(TREES)) continue;
    rows.push(fresh(trace, { id: trace.id }), ...tree(random, 3 + random.below(20), trace, fresh));
  }
  for (const trace of chained) rows.push(...chain(trace, fresh));
  return rows;
}

type Fresh = (trace: TraceName, change: Partial<NewerObservationRow>) => NewerObservationRow;

function tree(random: Random, size: number, trace: TraceName, fresh: Fresh): NewerObservationRow[] {
  const rows: NewerObservationRow[] = [];
  for (let i = 0; i < size; i++) {
    const none = random.pick([null, ""]);
    const parent: Text | null = rows.length === 0 || random.chance(0.2) ? none : random.pick(rows).id;
    rows.push(fresh(trace, { parent_observation_id: parent }));
  }
  return rows;
}

function chain(trace: TraceName, fresh: Fresh): NewerObservationRow[] {
  const rows: NewerObservationRow[] = [];
  for (let i = 0; i < CHAIN; i++) {
    rows.push(fresh(trace, { parent_observation_id: rows.at(-1)?.id ?? null }));
  }
  return rows;
}
