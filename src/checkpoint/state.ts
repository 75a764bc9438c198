import * as v from "valibot";
import type { LayoutName } from "../mapping/layouts.ts";
import type { SortingKey } from "../plan/key-range.ts";
import type { DoneKeys } from "./done-keys.ts";
import { isConsistent } from "./done-keys.ts";
import { fingerprintSchema, type RunFingerprint } from "./fingerprint.ts";

/** The version that this program writes; it must change with any change of the file's fields or their meaning. */
export const FORMAT_VERSION = 1;

/** The whole resume state of a partition. */
export interface CheckpointState {
  readonly partition: string;
  readonly done: DoneKeys;
  /** Observations of all finished pages. */
  readonly rowsProcessed: number;
  /**
   * When the first run began whose pages are done, in milliseconds since 1970 by the server's clock; null while none has.
   * A file that does not say so leaves nothing but the time of its last change.
   */
  readonly readSinceMs: number | null;
  readonly finished: boolean;
  /** Events that the target showed when the partition was finished; null while it is not, and where that is not known. */
  readonly targetRows: number | null;
  /** How fast the run was that finished the partition; null where that is not known, or says nothing. */
  readonly rowsPerSecond: number | null;
  /** `null` in a file of an older deployment, which does not say what it copied. */
  readonly fingerprint: RunFingerprint | null;
  /** What the rows look like that were written; null: none are. */
  readonly layout: LayoutName | null;
}

/** The text is no checkpoint that can be trusted; the message says why, in words that follow the file's name. */
export class UnreadableStateError extends Error {
  override readonly name = "UnreadableStateError";
}

const text = v.pipe(
  v.string(),
  v.check((value) => value.isWellFormed(), "Invalid Unicode"),
);

const key = v.pipe(
  v.strictObject({ project_id: text, type: text, date: v.pipe(v.string(), v.isoDate()), id: text }),
  v.check(({ date }) => isRealDate(date), "No such day"),
  v.transform(
    (fields): SortingKey => ({
      projectId: fields.project_id,
      type: fields.type,
      date: fields.date,
      id: fields.id,
    }),
  ),
);

const rowCount = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** Also in a form that `Date.parse` takes: an offset of hours alone, `+01`, is a form of ISO 8601 and none of its own. */
const timestamp = v.pipe(
  v.string(),
  v.isoTimestamp(),
  v.check((value) => !Number.isNaN(Date.parse(value)), "No such time"),
);

const legacyFields = {
  partition: v.string(),
  cursor: v.nullable(key),
  rows_processed: rowCount,
  last_updated: timestamp,
};

const legacyFile = v.strictObject(legacyFields);

const currentFile = v.strictObject({
  ...legacyFields,
  format_version: v.literal(FORMAT_VERSION),
  finished: v.boolean(),
  pages_beyond_cursor: v.array(
    v.strictObject({ after: v.nullable(key), up_to: v.nullable(key), rows: rowCount }),
  ),
  fingerprint: fingerprintSchema,
  read_since: v.optional(timestamp),
  target_rows: v.optional(rowCount),
  rows_per_second: v.optional(rowCount),
});

/**
 * Reads the text of a state file: this program's format, or the four fields of an older deployment, of which everything
 * up to the cursor is done.
 * @throws {UnreadableStateError} for anything else.
 */
export function parseState(json: string): CheckpointState {
  const document = parseJson(json);
  const version = formatVersionOf(document);
  if (version === undefined) {
    const file = check(legacyFile, document);
    return {
      partition: file.partition,
      done: { cursor: file.cursor, beyondCursor: [] },
      rowsProcessed: file.rows_processed,
      readSinceMs: Date.parse(file.last_updated),
      finished: false,
      targetRows: null,
      rowsPerSecond: null,
      fingerprint: null,
      layout: "events",
    };
  }
  if (version !== FORMAT_VERSION) {
    throw new UnreadableStateError(
      `has format version ${JSON.stringify(version)}; this program knows version ${FORMAT_VERSION}`,
    );
  }
  const file = check(currentFile, document);
  const beyondCursor = file.pages_beyond_cursor.map(({ after, up_to, rows }) => ({
    after,
    upTo: up_to,
    rows,
  }));
  const done: DoneKeys = { cursor: file.cursor, beyondCursor };
  if (!isConsistent(done)) {
    throw new UnreadableStateError("is corrupt: pages_beyond_cursor overlap or are out of order");
  }
  const { finished } = file;
  const { layout, ...fingerprint } = file.fingerprint;
  return {
    partition: file.partition,
    done,
    rowsProcessed: file.rows_processed,
    readSinceMs: Date.parse(file.read_since ?? file.last_updated),
    finished,
    targetRows: file.target_rows ?? null,
    rowsPerSecond: file.rows_per_second ?? null,
    fingerprint,
    layout,
  };
}

/** What a person wants to know of a state file. */
export interface StateSummary {
  readonly rows: number;
  readonly finished: boolean;
  /** ISO 8601. */
  readonly updatedAt: string;
}

/**
 * Reads what a person wants to know of the text of a state file.
 * @throws {UnreadableStateError} as {@link parseState} does.
 */
export function summarizeState(json: string): StateSummary {
  const { rowsProcessed, finished } = parseState(json);
  const { last_updated } = v.parse(v.object({ last_updated: v.string() }), JSON.parse(json));
  return { rows: rowsProcessed, finished, updatedAt: last_updated };
}

/** The text of a state file, the fields that older deployments know first. */
export function serializeState(
  state: CheckpointState & { readonly fingerprint: RunFingerprint },
  now: Date,
): string {
  const file: v.InferInput<typeof currentFile> = {
    partition: state.partition,
    cursor: keyToJson(state.done.cursor),
    rows_processed: state.rowsProcessed,
    last_updated: now.toISOString(),
    format_version: FORMAT_VERSION,
    finished: state.finished,
    pages_beyond_cursor: state.done.beyondCursor.map(({ after, upTo, rows }) => ({
      after: keyToJson(after),
      up_to: keyToJson(upTo),
      rows,
    })),
    fingerprint: { ...state.fingerprint, layout: state.layout ?? "events" },
    ...(state.targetRows === null ? {} : { target_rows: state.targetRows }),
    ...(state.rowsPerSecond === null ? {} : { rows_per_second: state.rowsPerSecond }),
    ...(state.readSinceMs === null ? {} : { read_since: new Date(state.readSinceMs).toISOString() }),
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

function keyToJson(value: SortingKey | null): v.InferInput<typeof key> | null {
  if (value === null) return null;
  return { project_id: value.projectId, type: value.type, date: value.date, id: value.id };
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new UnreadableStateError(`is corrupt: not valid JSON (${(error as Error).message})`);
  }
}

function formatVersionOf(document: unknown): unknown {
  if (typeof document !== "object" || document === null) return undefined;
  return "format_version" in document ? document.format_version : undefined;
}

function check<Schema extends v.GenericSchema>(schema: Schema, document: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, document, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const at = v.getDotPath(issue);
  throw new UnreadableStateError(`is corrupt: ${at === null ? "" : `${at}: `}${issue.message}`);
}

/** `YYYY-MM-DD` in form says nothing of 2025-02-30. */
function isRealDate(date: string): boolean {
  const parsed = new Date(`${date}T00:00:00Z`);
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(date);
}
