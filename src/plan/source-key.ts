import { type Condition, type KeyColumn, keyRangeCondition } from "../clickhouse/key-range-sql.ts";
import { END_OF_GROUP_ID, type KeyRange, type SortingKey } from "./key-range.ts";
import type { MonthlyPhase } from "./phases.ts";

/** The sorting key by which a table is cut into pages, as SQL expressions. */
export interface SourceKey {
  /** The name by which expressions speak of the table. */
  readonly alias: string;
  readonly projectId: string;
  /** Null where the sorting key has no type; then that of every `SortingKey` is empty. */
  readonly type: string | null;
  readonly date: string;
  readonly id: string;
}

/** Of the observations. */
export const OBSERVATIONS_KEY: SourceKey = {
  alias: "o",
  projectId: "o.project_id",
  type: "o.type",
  date: "toDate(o.start_time)",
  id: "o.id",
};

/** Of the traces. */
export const TRACES_KEY: SourceKey = {
  alias: "t",
  projectId: "t.project_id",
  type: null,
  date: "toDate(t.timestamp)",
  id: "t.id",
};

/** The sorting keys of the tables that the phases of a month copy. */
export const PHASE_KEYS: Readonly<Record<MonthlyPhase, SourceKey>> = {
  roots: TRACES_KEY,
  observations: OBSERVATIONS_KEY,
};

/** The bound between a group and the next. */
export function endOfGroup(projectId: string, type: string, date: string): SortingKey {
  return { projectId, type, date, id: END_OF_GROUP_ID };
}

/** The condition that selects the rows of a key range. */
export function rangeCondition(key: SourceKey, range: KeyRange): Condition {
  const columns: KeyColumn[] = [
    { sql: key.projectId, type: "String" },
    ...(key.type === null ? [] : [{ sql: key.type, type: "String" } as const]),
    { sql: key.date, type: "Date" },
    { sql: key.id, type: "String" },
  ];
  return keyRangeCondition(columns, boundValues(key, range.after), boundValues(key, range.upTo));
}

function boundValues({ type }: SourceKey, key: SortingKey | null): string[] | null {
  if (key === null) return null;
  const group = [key.projectId, ...(type === null ? [] : [key.type]), key.date];
  return key.id === END_OF_GROUP_ID ? group : [...group, key.id];
}
