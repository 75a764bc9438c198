import { EVENT_COLUMNS } from "./event-columns.ts";
import type { EventColumn } from "./mapped-column.ts";
import type { TableColumn } from "./table-shape.ts";
import {
  EXPERIMENT_OBSERVATION_COLUMNS,
  EXPERIMENT_ROOT_COLUMNS,
  ROOT_COLUMNS,
  V4_OBSERVATION_COLUMNS,
} from "./v4-columns.ts";

/** The rows of one kind: from which of the run's tables they come, and where each of their columns comes from. */
export interface RowKind {
  readonly table: "source" | "traces";
  readonly columns: readonly EventColumn[];
}

/** What the target is made of. */
export interface Layout {
  /** A row for each observation. */
  readonly observations: RowKind;
  /** A row for each trace; null where the target has none. */
  readonly roots: RowKind | null;
  /** The same for the traces that dataset runs name; null where the target has no experiments. */
  readonly experiments: { readonly observations: RowKind; readonly roots: RowKind } | null;
  /** The values of the column `source` that a run writes; others are of rows that Langfuse wrote itself. */
  readonly sources: readonly string[];
}

/** The layouts: the table `events` of 2025, and `events_full` of Langfuse v4. */
export const LAYOUTS = {
  events: {
    observations: { table: "source", columns: EVENT_COLUMNS },
    roots: null,
    experiments: null,
    sources: ["otel", "ingestion-api"],
  },
  v4: {
    observations: { table: "source", columns: V4_OBSERVATION_COLUMNS },
    roots: { table: "traces", columns: ROOT_COLUMNS },
    experiments: {
      observations: { table: "source", columns: EXPERIMENT_OBSERVATION_COLUMNS },
      roots: { table: "traces", columns: EXPERIMENT_ROOT_COLUMNS },
    },
    sources: ["otel-backfill", "ingestion-api-backfill"],
  },
} as const satisfies Readonly<Record<string, Layout>>;

export type LayoutName = keyof typeof LAYOUTS;

/** A layout, and why it was chosen. */
export interface ChosenLayout {
  readonly name: LayoutName;
  readonly reason: string;
}

/** Chooses the layout that the columns of a target call for. */
export function layoutFor(target: string, columns: readonly TableColumn[]): ChosenLayout {
  const typeOf = (name: string): string | undefined => columns.find((column) => column.name === name)?.type;
  const missing = ["is_app_root", "metadata_values"].filter((name) => typeOf(name) === undefined);
  if (missing.length > 0) {
    return { name: "events", reason: `${target} has no column ${missing.join(" and no column ")}` };
  }
  if (typeOf("metadata")?.startsWith("JSON") === true) {
    return { name: "events", reason: `${target} has a column metadata of type JSON` };
  }
  return {
    name: "v4",
    reason: `${target} has the columns is_app_root and metadata_values, and no JSON column metadata`,
  };
}
