import type { NewerDatasetRunItemRow } from "./dataset-run-rows.ts";
import type { NewerObservationRow, TraceRow } from "./rows.ts";
import { DAY_MS, MONTH_START_MS } from "./values.ts";

/** The project of the rows that are written by hand. */
export const CASES_PROJECT = "cases";
/** Within the month. */
export const NOON_MS = MONTH_START_MS + 9 * DAY_MS + DAY_MS / 2;

/** A trace in which nothing is odd but what is given. */
export function plainTrace(change: Partial<TraceRow> & Pick<TraceRow, "id">): TraceRow {
  const time = change.timestamp ?? NOON_MS;
  return {
    timestamp: time,
    name: "trace",
    user_id: "user",
    metadata: [["of", "trace"]],
    release: "1.0",
    version: "trace version",
    project_id: CASES_PROJECT,
    environment: "production",
    public: true,
    bookmarked: true,
    tags: ["tag"],
    input: "question",
    output: "answer",
    session_id: "session",
    created_at: time + 1,
    updated_at: time + 2,
    event_ts: time + 3,
    is_deleted: false,
    ...change,
  };
}

/** An observation in which nothing is odd but what is given. */
export function plainObservation(
  change: Partial<NewerObservationRow> & Pick<NewerObservationRow, "id" | "trace_id">,
): NewerObservationRow {
  const time = change.start_time ?? NOON_MS + 1000;
  return {
    project_id: CASES_PROJECT,
    environment: "production",
    type: "SPAN",
    parent_observation_id: null,
    start_time: time,
    end_time: time + 500,
    name: "observation",
    metadata: [["of", "observation"]],
    level: "DEFAULT",
    status_message: null,
    version: null,
    input: "in",
    output: "out",
    provided_model_name: null,
    internal_model_id: null,
    model_parameters: null,
    provided_usage_details: [],
    usage_details: [["total", 3n]],
    provided_cost_details: [],
    cost_details: [["total", 1_000_000n]],
    total_cost: 1_000_000n,
    completion_start_time: null,
    prompt_id: null,
    prompt_name: null,
    prompt_version: null,
    created_at: time + 1,
    updated_at: time + 2,
    event_ts: time + 3,
    is_deleted: false,
    usage_pricing_tier_id: null,
    usage_pricing_tier_name: null,
    tool_definitions: [],
    tool_calls: [],
    tool_call_names: [],
    ...change,
  };
}

/** A dataset run item in which nothing is odd but what is given. */
export function plainItem(
  change: Partial<NewerDatasetRunItemRow> & Pick<NewerDatasetRunItemRow, "id" | "trace_id">,
): NewerDatasetRunItemRow {
  return {
    project_id: CASES_PROJECT,
    dataset_run_id: "run",
    dataset_item_id: `item of ${change.id}`,
    dataset_id: "dataset",
    observation_id: null,
    error: null,
    created_at: NOON_MS,
    updated_at: NOON_MS,
    dataset_run_name: "run name",
    dataset_run_description: "run description",
    dataset_run_metadata: [["run", "metadata"]],
    dataset_run_created_at: NOON_MS,
    dataset_item_input: "question",
    dataset_item_expected_output: "expected",
    dataset_item_metadata: [["item", "metadata"]],
    event_ts: NOON_MS,
    is_deleted: false,
    dataset_item_version: NOON_MS,
    ...change,
  };
}
