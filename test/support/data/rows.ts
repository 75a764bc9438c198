import {
  type Encoder,
  flag,
  int64,
  list,
  map,
  millis,
  nullable,
  type RowEncoders,
  type Text,
  text,
  uint16,
} from "./row-binary.ts";

export type Entries<Value> = readonly (readonly [Text, Value])[];

/** A row of observations; times in milliseconds since 1970, costs as integers of 10^-12. */
export interface ObservationRow {
  readonly id: Text;
  readonly trace_id: Text;
  readonly project_id: Text;
  readonly environment: Text;
  readonly type: Text;
  readonly parent_observation_id: Text | null;
  readonly start_time: number;
  readonly end_time: number | null;
  readonly name: Text;
  readonly metadata: Entries<Text>;
  readonly level: Text;
  readonly status_message: Text | null;
  readonly version: Text | null;
  readonly input: Text | null;
  readonly output: Text | null;
  readonly provided_model_name: Text | null;
  readonly internal_model_id: Text | null;
  readonly model_parameters: Text | null;
  readonly provided_usage_details: Entries<bigint>;
  readonly usage_details: Entries<bigint>;
  readonly provided_cost_details: Entries<bigint>;
  readonly cost_details: Entries<bigint>;
  readonly total_cost: bigint | null;
  readonly completion_start_time: number | null;
  readonly prompt_id: Text | null;
  readonly prompt_name: Text | null;
  readonly prompt_version: number | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly event_ts: number;
  readonly is_deleted: boolean;
}

/** The columns that newer installations add. */
export interface NewerObservationColumns {
  readonly usage_pricing_tier_id: Text | null;
  readonly usage_pricing_tier_name: Text | null;
  readonly tool_definitions: Entries<Text>;
  readonly tool_calls: readonly Text[];
  readonly tool_call_names: readonly Text[];
}

export type NewerObservationRow = ObservationRow & NewerObservationColumns;

/** A row of traces; times in milliseconds since 1970. */
export interface TraceRow {
  readonly id: Text;
  readonly timestamp: number;
  readonly name: Text;
  readonly user_id: Text | null;
  readonly metadata: Entries<Text>;
  readonly release: Text | null;
  readonly version: Text | null;
  readonly project_id: Text;
  readonly environment: Text;
  readonly public: boolean;
  readonly bookmarked: boolean;
  readonly tags: readonly Text[];
  readonly input: Text | null;
  readonly output: Text | null;
  readonly session_id: Text | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly event_ts: number;
  readonly is_deleted: boolean;
}

const maybeText: Encoder<Text | null> = nullable(text);
const maybeMillis: Encoder<number | null> = nullable(millis);

export const OBSERVATION_ENCODERS: RowEncoders<ObservationRow> = {
  id: text,
  trace_id: text,
  project_id: text,
  environment: text,
  type: text,
  parent_observation_id: maybeText,
  start_time: millis,
  end_time: maybeMillis,
  name: text,
  metadata: map(text),
  level: text,
  status_message: maybeText,
  version: maybeText,
  input: maybeText,
  output: maybeText,
  provided_model_name: maybeText,
  internal_model_id: maybeText,
  model_parameters: maybeText,
  provided_usage_details: map(int64),
  usage_details: map(int64),
  provided_cost_details: map(int64),
  cost_details: map(int64),
  total_cost: nullable(int64),
  completion_start_time: maybeMillis,
  prompt_id: maybeText,
  prompt_name: maybeText,
  prompt_version: nullable(uint16),
  created_at: millis,
  updated_at: millis,
  event_ts: millis,
  is_deleted: flag,
};

export const NEWER_OBSERVATION_ENCODERS: RowEncoders<NewerObservationRow> = {
  ...OBSERVATION_ENCODERS,
  usage_pricing_tier_id: maybeText,
  usage_pricing_tier_name: maybeText,
  tool_definitions: map(text),
  tool_calls: list(text),
  tool_call_names: list(text),
};

export const TRACE_ENCODERS: RowEncoders<TraceRow> = {
  id: text,
  timestamp: millis,
  name: text,
  user_id: maybeText,
  metadata: map(text),
  release: maybeText,
  version: maybeText,
  project_id: text,
  environment: text,
  public: flag,
  bookmarked: flag,
  tags: list(text),
  input: maybeText,
  output: maybeText,
  session_id: maybeText,
  created_at: millis,
  updated_at: millis,
  event_ts: millis,
  is_deleted: flag,
};
