import { CASES_PROJECT, NOON_MS, plainObservation, plainTrace } from "./plain-rows.ts";
import type { Text } from "./row-binary.ts";
import type { NewerObservationRow, TraceRow } from "./rows.ts";
import type { V4Rows } from "./v4-rows.ts";
import { DAY_MS, MONTH_END_MS, MONTH_START_MS } from "./values.ts";

const RESOURCE = ["resourceAttributes", '{"service.name":"api"}'] as const;
const ODD_BYTES: Text = Buffer.from("odd \xff\0'\\\n", "latin1");

/** Traces, each named after what is odd about it, and observations that hang on them. */
export function plainCases(): V4Rows {
  return { traces: rootCases(), observations: observationCases(), items: [] };
}

function rootCases(): TraceRow[] {
  const versions = (
    id: string,
    ...changes: readonly Partial<Omit<TraceRow, "id" | "event_ts">>[]
  ): TraceRow[] =>
    changes.map((change, at) => plainTrace({ id, name: `version ${at}`, ...change, event_ts: NOON_MS + at }));
  const nulls = { user_id: null, release: null, version: null, input: null, output: null, session_id: null };
  const empties = { user_id: "", release: "", version: "", input: "", output: "", session_id: "" };
  return [
    plainTrace({ id: "root-plain" }),
    plainTrace({ id: "root-nulls", ...nulls, metadata: [], tags: [] }),
    plainTrace({
      id: "root-empties",
      ...empties,
      name: "",
      environment: "",
      tags: [""],
      metadata: [["", ""]],
    }),
    plainTrace({
      id: ODD_BYTES,
      name: ODD_BYTES,
      user_id: ODD_BYTES,
      input: ODD_BYTES,
      tags: [ODD_BYTES],
      metadata: [[ODD_BYTES, ODD_BYTES]],
    }),
    plainTrace({ id: "", name: "trace of the empty id" }),
    plainTrace({ id: "root-otel", metadata: [RESOURCE, ["attributes", "{}"]] }),
    plainTrace({
      id: "root-repeated-keys",
      metadata: [
        ["k", "1"],
        ["attributes", "x"],
        ["k", "2"],
      ],
    }),
    plainTrace({ id: "root-two-projects", name: "in cases" }),
    plainTrace({ id: "root-two-projects", name: "in others", project_id: "other cases" }),
    plainTrace({ id: "root-month-start", timestamp: MONTH_START_MS }),
    plainTrace({ id: "root-month-end", timestamp: MONTH_END_MS - 1 }),
    plainTrace({ id: "root-before-month", timestamp: MONTH_START_MS - 1 }),
    plainTrace({ id: "root-after-month", timestamp: MONTH_END_MS }),
    ...versions("root-old-version", {}, { timestamp: NOON_MS + 5 }),
    ...versions("root-moved-within-month", {}, { timestamp: NOON_MS - 5 * DAY_MS }),
    ...versions("root-moved-out", { timestamp: MONTH_END_MS - 1 }, { timestamp: MONTH_END_MS }),
    ...versions("root-moved-in", { timestamp: MONTH_END_MS }, { timestamp: MONTH_END_MS - 1 }),
    ...versions("root-moved-far", {}, { timestamp: NOON_MS + 120 * DAY_MS }),
    ...versions("root-deleted", {}, { is_deleted: true }),
    ...versions("root-deleted-elsewhere", {}, { timestamp: NOON_MS + DAY_MS, is_deleted: true }),
    ...versions(
      "root-deleted-next-month",
      { timestamp: MONTH_END_MS - 1 },
      { timestamp: MONTH_END_MS, is_deleted: true },
    ),
    ...versions("root-back", {}, { is_deleted: true }, {}),
    plainTrace({ id: "root-tie", name: "later day", timestamp: NOON_MS + DAY_MS, event_ts: NOON_MS }),
    plainTrace({ id: "root-tie", name: "earlier day", event_ts: NOON_MS }),
    plainTrace({ id: "root-tie-deleted", event_ts: NOON_MS }),
    plainTrace({ id: "root-tie-deleted", timestamp: NOON_MS + DAY_MS, event_ts: NOON_MS, is_deleted: true }),
    plainTrace({ id: "trace" }),
    plainTrace({ id: "trace-otel", metadata: [RESOURCE] }),
    plainTrace({ id: "trace-nulls", ...nulls, bookmarked: false }),
  ];
}

function observationCases(): NewerObservationRow[] {
  const observation = (id: string, change: Partial<NewerObservationRow> = {}): NewerObservationRow =>
    plainObservation({ id, trace_id: "trace", ...change });
  return [
    observation("parent-null"),
    observation("parent-empty", { parent_observation_id: "" }),
    observation("parent-given", { parent_observation_id: "parent-null" }),
    observation("trace", { parent_observation_id: "parent-null" }),
    observation("t-trace"),
    observation("t-trace", { trace_id: "trace-nulls", type: "EVENT", parent_observation_id: "elsewhere" }),
    observation("t-trace-nulls", { trace_id: "trace-nulls", parent_observation_id: "parent" }),
    observation("t-trace-otel", { trace_id: "trace-otel", parent_observation_id: "" }),
    observation("version-empty", { version: "" }),
    observation("version-own", { version: "own" }),
    observation("version-of-none", { trace_id: "trace-nulls" }),
    observation("otel", { metadata: [RESOURCE] }),
    observation("otel-of-trace", { trace_id: "trace-otel" }),
    observation("repeated-keys", {
      metadata: [
        ["k", "1"],
        ["j", ""],
        ["k", "2"],
      ],
    }),
    observation("no-metadata", { metadata: [] }),
    observation("no-trace", { trace_id: "in no table" }),
    observation("trace-of-other-project", { trace_id: "trace", project_id: "other cases" }),
    observation("month-start", { start_time: MONTH_START_MS }),
    observation("month-end", { start_time: MONTH_END_MS - 1 }),
    observation("after-month", { start_time: MONTH_END_MS }),
    observation("before-month", { start_time: MONTH_START_MS - 1 }),
    observation("deleted", { is_deleted: true }),
    observation("of-deleted-trace", { trace_id: "root-deleted" }),
    observation("of-moved-trace", { trace_id: "root-moved-far" }),
    { ...observation("odd"), id: ODD_BYTES, trace_id: ODD_BYTES, project_id: CASES_PROJECT },
  ];
}
