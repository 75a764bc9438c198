import type { NewerDatasetRunItemRow } from "./dataset-run-rows.ts";
import { NOON_MS, plainItem, plainObservation, plainTrace } from "./plain-rows.ts";
import type { NewerObservationRow, TraceRow } from "./rows.ts";
import type { V4Rows } from "./v4-rows.ts";
import { DAY_MS } from "./values.ts";

/** A trace by its spans: what each hangs below, null for the root. */
type Tree = Readonly<Record<string, string | null>>;
type ItemChange = Partial<NewerDatasetRunItemRow> & Pick<NewerDatasetRunItemRow, "id">;

/** Traces of dataset runs, each named after what is odd about it. */
export function datasetRunCases(): V4Rows {
  const traces: TraceRow[] = [];
  const observations: NewerObservationRow[] = [];
  const items: NewerDatasetRunItemRow[] = [];
  /** Spans are named after their trace: `run-x/a` is the span `a` of the trace `run-x`. */
  const spansOf = (traceId: string, tree: Tree, change: Partial<NewerObservationRow> = {}): void => {
    const idOf = (span: string): string => `${traceId}/${span}`;
    for (const [span, parent] of Object.entries(tree)) {
      const parent_observation_id = parent === null ? null : idOf(parent);
      observations.push(
        plainObservation({ id: idOf(span), trace_id: traceId, parent_observation_id, ...change }),
      );
    }
  };
  const run = (traceId: string, tree: Tree, ...changes: readonly ItemChange[]): void => {
    traces.push(plainTrace({ id: traceId }));
    spansOf(traceId, tree);
    items.push(...changes.map((change) => plainItem({ trace_id: traceId, ...change })));
  };
  const chain: Tree = { a: null, b: "a", c: "b", sibling: null };

  // Where the root span is.
  run("run-whole", chain, { id: "whole" });
  run("run-whole-empty", chain, { id: "whole-empty", observation_id: "" });
  run("run-inner", chain, { id: "inner", observation_id: "run-inner/b" });
  run("run-missing-span", chain, { id: "missing-span", observation_id: "run-missing-span/none" });
  run("run-missing-parent", { a: null, lost: "none", below: "lost" }, { id: "missing-parent" });
  run("run-named-root", chain, { id: "named-root", observation_id: "t-run-named-root" });
  run("run-empty-parent", chain, { id: "empty-parent" });
  spansOf("run-empty-parent", { empty: null }, { parent_observation_id: "" });
  run("run-own-id", chain, { id: "own-id" });
  observations.push(
    plainObservation({ id: "run-own-id", trace_id: "run-own-id", parent_observation_id: "run-own-id/none" }),
    plainObservation({ id: "run-own-id/below", trace_id: "run-own-id", parent_observation_id: "run-own-id" }),
  );

  // Several items.
  const older = { event_ts: NOON_MS - 1 };
  run(
    "run-nested",
    chain,
    { id: "outer", observation_id: "run-nested/a", ...older },
    { id: "nested", observation_id: "run-nested/b" },
  );
  run(
    "run-outer-newer",
    chain,
    { id: "outer-newer", observation_id: "run-outer-newer/a" },
    { id: "inner-older", observation_id: "run-outer-newer/b", ...older },
  );
  run("run-same-span", chain, { id: "same-newer" }, { id: "same-older", observation_id: "", ...older });
  run("run-tie-created", chain, { id: "tie-a", created_at: NOON_MS + 1 }, { id: "tie-b" });
  run("run-tie-id", chain, { id: "tie-id-2" }, { id: "tie-id-10" });
  run("run-two-runs", chain, { id: "first-run" }, { id: "second-run", dataset_run_id: "run 2", ...older });

  // Circles.
  run("run-circle-1", { ...chain, self: "self", below: "self" }, { id: "circle-1" });
  run("run-circle-2", { ...chain, x: "y", y: "x" }, { id: "circle-2", observation_id: "run-circle-2/x" });
  run(
    "run-circle-3",
    { x: "z", y: "x", z: "y", below: "y" },
    { id: "circle-3", observation_id: "run-circle-3/y", ...older },
    { id: "circle-3-newer", observation_id: "run-circle-3/below" },
  );
  run("run-circle-named", { a: null }, { id: "circle-named" });
  observations.push(plainObservation({ id: "t-run-circle-named", trace_id: "run-circle-named" }));

  // Traces that are missing, deleted, elsewhere.
  items.push(plainItem({ id: "in-no-table", trace_id: "run-in-no-table" }));
  items.push(plainItem({ id: "no-trace", trace_id: "run-no-trace" }));
  items.push(
    plainItem({ id: "no-trace-inner", trace_id: "run-no-trace", observation_id: "run-no-trace/b", ...older }),
  );
  spansOf("run-no-trace", chain);
  // The root span is an observation, although the trace is missing.
  items.push(plainItem({ id: "no-trace-named", trace_id: "run-no-trace-named" }));
  spansOf("run-no-trace-named", { a: null, b: "a" });
  observations.push(plainObservation({ id: "t-run-no-trace-named", trace_id: "run-no-trace-named" }));
  run("run-deleted-trace", chain, { id: "deleted-trace" });
  traces.push(plainTrace({ id: "run-deleted-trace", event_ts: NOON_MS + DAY_MS, is_deleted: true }));
  run("run-no-observations", {}, { id: "no-observations" });
  run("run-several-months", chain, { id: "several-months" });
  spansOf("run-several-months", { earlier: "b" }, { start_time: NOON_MS - 40 * DAY_MS });
  spansOf("run-several-months", { later: "earlier" }, { start_time: NOON_MS + 40 * DAY_MS });
  traces.push(
    plainTrace({ id: "run-other-month", timestamp: NOON_MS - 90 * DAY_MS }),
    plainTrace({
      id: "run-moved-far",
      name: "newest",
      timestamp: NOON_MS + 90 * DAY_MS,
      event_ts: NOON_MS + DAY_MS,
    }),
  );
  spansOf("run-other-month", chain, { start_time: NOON_MS - 90 * DAY_MS });
  items.push(plainItem({ id: "other-month", trace_id: "run-other-month" }));
  run("run-moved-far", chain, { id: "moved-far" });
  run("run-two-projects", chain, { id: "two-projects" });
  traces.push(plainTrace({ id: "run-two-projects", project_id: "other cases" }));
  spansOf("run-two-projects", { a: null, b: "a" }, { project_id: "other cases" });

  // Versions of items.
  run("run-tombstone", chain, { id: "tombstone", ...older }, { id: "tombstone", is_deleted: true });
  run("run-renamed-old", chain, { id: "renamed", ...older });
  run("run-renamed-new", chain, { id: "renamed" });
  run("run-one-left", chain, { id: "one-left", observation_id: "run-one-left/b", ...older });
  items.push(plainItem({ id: "gone", trace_id: "run-one-left", is_deleted: true }));

  // Values.
  run("run-nulls", chain, {
    id: "nulls",
    error: null,
    dataset_run_description: null,
    dataset_item_input: null,
    dataset_item_expected_output: null,
    dataset_item_version: null,
    dataset_run_metadata: [],
    dataset_item_metadata: [],
  });
  run("run-repeated-keys", chain, {
    id: "repeated-keys",
    dataset_run_metadata: [
      ["k", "1"],
      ["k", "2"],
      ["", ""],
    ],
    dataset_item_metadata: [
      ["j", "2"],
      ["j", "1"],
    ],
  });

  // Rows that share a span id, under two types; the newer one hangs elsewhere.
  run(
    "run-twin",
    { a: null, b: "a", twin: "b", below: "twin" },
    { id: "twin", observation_id: "run-twin/b" },
  );
  spansOf("run-twin", { twin: null }, { type: "EVENT", start_time: NOON_MS + 7000 });
  return { traces, observations, items };
}

/** A chain of that many observations in a trace of its own, which an item names as a whole; a newer item names one in the middle. */
export function deepChain(length: number): V4Rows {
  const traceId = "run-deep-chain";
  const idOf = (at: number): string => `${traceId}/${at}`;
  const observations = Array.from({ length }, (_, at) =>
    plainObservation({
      id: idOf(at),
      trace_id: traceId,
      parent_observation_id: at === 0 ? null : idOf(at - 1),
      start_time: NOON_MS + at,
    }),
  );
  const middle = idOf(Math.floor(length / 2));
  return {
    traces: [plainTrace({ id: traceId })],
    observations,
    items: [
      plainItem({ id: "deep", trace_id: traceId, event_ts: NOON_MS - 1 }),
      plainItem({ id: "deep-middle", trace_id: traceId, observation_id: middle }),
    ],
  };
}
