import { flag, map, millis, nullable, type RowEncoders, type Text, text } from "./row-binary.ts";
import type { Entries } from "./rows.ts";

/** A row of dataset_run_items_rmt; times in milliseconds since 1970. */
export interface DatasetRunItemRow {
  readonly id: Text;
  readonly project_id: Text;
  readonly dataset_run_id: Text;
  readonly dataset_item_id: Text;
  readonly dataset_id: Text;
  readonly trace_id: Text;
  readonly observation_id: Text | null;
  readonly error: Text | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly dataset_run_name: Text;
  readonly dataset_run_description: Text | null;
  readonly dataset_run_metadata: Entries<Text>;
  readonly dataset_run_created_at: number;
  readonly dataset_item_input: Text | null;
  readonly dataset_item_expected_output: Text | null;
  readonly dataset_item_metadata: Entries<Text>;
  readonly event_ts: number;
  readonly is_deleted: boolean;
}

/** A row with the column that newer installations add. */
export interface NewerDatasetRunItemRow extends DatasetRunItemRow {
  readonly dataset_item_version: number | null;
}

export const DATASET_RUN_ITEM_ENCODERS: RowEncoders<DatasetRunItemRow> = {
  id: text,
  project_id: text,
  dataset_run_id: text,
  dataset_item_id: text,
  dataset_id: text,
  trace_id: text,
  observation_id: nullable(text),
  error: nullable(text),
  created_at: millis,
  updated_at: millis,
  dataset_run_name: text,
  dataset_run_description: nullable(text),
  dataset_run_metadata: map(text),
  dataset_run_created_at: millis,
  dataset_item_input: nullable(text),
  dataset_item_expected_output: nullable(text),
  dataset_item_metadata: map(text),
  event_ts: millis,
  is_deleted: flag,
};

export const NEWER_DATASET_RUN_ITEM_ENCODERS: RowEncoders<NewerDatasetRunItemRow> = {
  ...DATASET_RUN_ITEM_ENCODERS,
  dataset_item_version: nullable(millis),
};
