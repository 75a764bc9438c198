import type { NewerDatasetRunItemRow } from "./dataset-run-rows.ts";
import type { Random } from "./random.ts";
import type { Text } from "./row-binary.ts";
import type { NewerObservationRow } from "./rows.ts";
import { projectId, type TraceName } from "./traces.ts";
import { bytesKey, DAY_MS, id, MONTH_START_MS, maybe, metadata, seldomOdd, toBytes } from "./values.ts";

const DATASETS: readonly Text[] = ["dataset 1", "dataset 2", "", "data'set\\"];
const RUNS: readonly Text[] = ["run 1", "run 2", "run 3", "", Buffer.from("run \xff", "latin1")];
/** Few moments, so that items tie. */
const MOMENTS = 3;

/**
 * Rows of `count` items of dataset runs on these traces, drawn at random: old versions, ties and deletions among them. Each trace of
 * `always` has one more item, which is current.
 */
export function makeDatasetRunItems(
  random: Random,
  count: number,
  { traces, always }: { readonly traces: readonly TraceName[]; readonly always: readonly TraceName[] },
  observations: readonly NewerObservationRow[],
): NewerDatasetRunItemRow[] {
  const spans = spansByTrace(observations);
  const drawTrace = (): TraceName =>
    traces.length === 0 || random.chance(0.06)
      ? { projectId: projectId(random), id: id(random) }
      : random.pick(traces);
  return [
    ...Array.from({ length: count }, () => versions(random, spans, drawTrace)).flat(),
    ...always.map((trace) => row(random, trace, drawSpan(random, spans, trace))),
  ];
}

function versions(
  random: Random,
  spans: ReadonlyMap<string, readonly Text[]>,
  drawTrace: () => TraceName,
): NewerDatasetRunItemRow[] {
  const trace = drawTrace();
  const first = row(random, trace, drawSpan(random, spans, trace));
  const again = (change: Partial<NewerDatasetRunItemRow>): NewerDatasetRunItemRow => ({
    ...row(random, trace, first.observation_id),
    id: first.id,
    dataset_id: first.dataset_id,
    dataset_run_id: first.dataset_run_id,
    ...change,
  });
  const later = first.event_ts + 1 + random.below(MOMENTS);
  const dice = random.below(100);
  if (dice < 8) return [first, again({ event_ts: later })];
  if (dice < 18) return [first, again({ event_ts: later, is_deleted: true })];
  // Equal event_ts: the row inserted last counts.
  if (dice < 22) return [first, again({ event_ts: first.event_ts })];
  if (dice < 25) return [first, again({ event_ts: first.event_ts, is_deleted: true })];
  if (dice < 28) {
    return [first, again({ event_ts: later, is_deleted: true }), again({ event_ts: later + 1 })];
  }
  if (dice < 34) {
    const other = drawTrace();
    // The sorting key holds the project, so the item stays in it.
    const moved = { trace_id: other.id, observation_id: drawSpan(random, spans, other) };
    return [first, again({ event_ts: later, ...moved })];
  }
  return [first];
}

/** An item's root span: none, an observation of the trace, or one that does not exist. */
function drawSpan(
  random: Random,
  spans: ReadonlyMap<string, readonly Text[]>,
  trace: TraceName,
): Text | null {
  const dice = random.below(100);
  if (dice < 25) return null;
  if (dice < 38) return "";
  if (dice < 42) return Buffer.concat([toBytes("t-"), toBytes(trace.id)]);
  const own = spans.get(bytesKey(trace.projectId, trace.id)) ?? [];
  return dice < 55 || own.length === 0 ? id(random) : random.pick(own);
}

function row(random: Random, trace: TraceName, observationId: Text | null): NewerDatasetRunItemRow {
  const moment = MONTH_START_MS + 20 * DAY_MS + random.below(MOMENTS);
  const run = random.pick(RUNS);
  return {
    // An odd start, but never one id twice: the order of two such items on one trace is not defined.
    id: Buffer.concat([toBytes(random.chance(0.2) ? id(random) : ""), toBytes(random.hex(16))]),
    project_id: trace.projectId,
    dataset_run_id: run,
    dataset_item_id: seldomOdd(random, () => `item ${random.below(50)}`),
    dataset_id: random.pick(DATASETS),
    trace_id: trace.id,
    observation_id: observationId,
    error: maybe(random, () => "it failed"),
    created_at: moment + random.below(MOMENTS),
    updated_at: moment + 10,
    dataset_run_name: seldomOdd(random, () => `run name ${random.below(9)}`),
    dataset_run_description: maybe(random, () => "a run of the nightly evaluation"),
    dataset_run_metadata: metadata(random),
    dataset_run_created_at: moment,
    dataset_item_input: maybe(random, () => "what is the capital?"),
    dataset_item_expected_output: maybe(random, () => '{"capital":"Paris"}'),
    dataset_item_metadata: metadata(random),
    event_ts: moment,
    is_deleted: false,
    dataset_item_version: random.chance(0.4) ? null : moment - random.below(30 * DAY_MS),
  };
}

/** The ids of each trace's observations, by `bytesKey(project_id, trace_id)`. */
export function spansByTrace(observations: readonly NewerObservationRow[]): Map<string, Text[]> {
  const spans = new Map<string, Text[]>();
  for (const row of observations) {
    const key = bytesKey(row.project_id, row.trace_id);
    const known = spans.get(key);
    if (known === undefined) spans.set(key, [row.id]);
    else known.push(row.id);
  }
  return spans;
}
