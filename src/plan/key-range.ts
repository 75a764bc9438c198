import { quoted } from "../quoted.ts";

/**
 * A position in the sorting key of a table of rows to copy: `(project_id, type, toDate(start_time), id)` of observations, or
 * `(project_id, toDate(timestamp), id)` of traces, whose `type` is empty.
 * Every field is valid UTF-8, since the checkpoint stores keys as JSON.
 */
export interface SortingKey {
  readonly projectId: string;
  readonly type: string;
  /** `YYYY-MM-DD`. */
  readonly date: string;
  readonly id: string;
}

/**
 * As the id of a bound, it stands for the end of the (project, type, day) group: all ids are up to it. No query compares ids
 * with it, so bounds between groups cost nothing.
 */
export const END_OF_GROUP_ID = "\u{10FFFF}";

/** The keys `after < key <= upTo`; `null` leaves that side open. */
export interface KeyRange {
  readonly after: SortingKey | null;
  readonly upTo: SortingKey | null;
}

/** The whole key space. */
export const WHOLE_KEY_SPACE: KeyRange = { after: null, upTo: null };

/** Compares two keys as ClickHouse orders them: field by field, strings by their UTF-8 bytes. */
export function compareKeys(a: SortingKey, b: SortingKey): number {
  return (
    compareUtf8(a.projectId, b.projectId) ||
    compareUtf8(a.type, b.type) ||
    compareUtf8(a.date, b.date) ||
    compareUtf8(a.id, b.id)
  );
}

/** Compares strings by their UTF-8 bytes, which differs from `<` for characters beyond U+FFFF. */
export function compareUtf8(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** A range as text for messages; control characters are escaped. */
export function describeRange(range: KeyRange): string {
  const after = range.after === null ? "from the first key" : `after ${describeKey(range.after)}`;
  const upTo = range.upTo === null ? "to the last key" : `up to ${describeKey(range.upTo)}`;
  return `keys ${after} ${upTo}`;
}

function describeKey({ projectId, type, date, id }: SortingKey): string {
  const group = `${quoted(projectId)}, ${quoted(type)}, ${date}`;
  return id === END_OF_GROUP_ID ? `(${group}, all ids)` : `(${group}, ${quoted(id)})`;
}
