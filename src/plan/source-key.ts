import { type Condition, type KeyColumn, keyRangeCondition } from "../clickhouse/key-range-sql.ts";
import { END_OF_GROUP_ID, type KeyRange, type SortingKey } from "./key-range.ts";

/** The sorting key of the observations; SQL expressions speak of the observation as `o`. */
const SOURCE_KEY: readonly KeyColumn[] = [
  { sql: "o.project_id", type: "String" },
  { sql: "o.type", type: "String" },
  { sql: "toDate(o.start_time)", type: "Date" },
  { sql: "o.id", type: "String" },
];

/** The bound between a group and the next. */
export function endOfGroup(projectId: string, type: string, date: string): SortingKey {
  return { projectId, type, date, id: END_OF_GROUP_ID };
}

/** The condition on `o` that selects the observations of a key range. */
export function rangeCondition(range: KeyRange): Condition {
  return keyRangeCondition(SOURCE_KEY, boundValues(range.after), boundValues(range.upTo));
}

function boundValues(key: SortingKey | null): string[] | null {
  if (key === null) return null;
  const group = [key.projectId, key.type, key.date];
  return key.id === END_OF_GROUP_ID ? group : [...group, key.id];
}
