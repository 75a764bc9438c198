import { JSON_COLUMN_KEEPS, type KeptJson, STRING_KEEPS } from "../json/kept-json.ts";
import { EVENT_COLUMNS, type EventColumn, OWN_VERSION_SQL, PARENT_IS_EMPTY_SQL } from "./event-columns.ts";
import { METADATA_TYPE, REQUIRED_TRACE_COLUMNS, TRACE_COLUMNS } from "./trace-columns.ts";
import { sourceProblem, targetProblem } from "./types.ts";

/** A column as `DESCRIBE TABLE` returns it. */
export interface TableColumn {
  readonly name: string;
  readonly type: string;
  /** The server computes it (MATERIALIZED, ALIAS): it cannot be inserted. */
  readonly isComputed: boolean;
}

/** A table and its columns. */
export interface TableShape {
  readonly name: string;
  readonly columns: readonly TableColumn[];
}

/** An expression of a SELECT list and the name of its column in the response. */
export interface SelectItem {
  readonly name: string;
  readonly sql: string;
}

/** An event column that a worker makes. */
export interface DerivedColumn {
  readonly column: EventColumn;
  /** The target's type. */
  readonly targetType: string;
}

/**
 * The mapping as it applies to the tables of a run. Plain data: workers get a copy.
 * The columns of an observations query are first the copied ones, then the helpers.
 */
export interface ResolvedMapping {
  /** Event columns that cross unchanged, under their event names. */
  readonly copied: readonly SelectItem[];
  /** What workers need to make the other columns. */
  readonly helpers: readonly SelectItem[];
  readonly derived: readonly DerivedColumn[];
  readonly traceColumns: readonly SelectItem[];
  /** No tags column is derived, as the target has none that takes values: the trace's tags become a metadata entry. */
  readonly tagsBecomeMetadata: boolean;
  /** What JSON the target keeps, as a server of today does; `probeJson` finds out what the one at hand does. */
  readonly keptJson: KeptJson;
}

/** Names of the helper columns of an observations query. */
export const HELPER = {
  traceKey: "__trace_key",
  metadata: "__metadata",
  ownVersion: "__own_version",
  parentIsEmpty: "__parent_is_empty",
} as const;

/** The key of a trace, computed by the server on both sides: 16 bytes. */
export function traceKeySql(projectId: string, traceId: string): string {
  return `sipHash128(CAST(${projectId} AS String), CAST(${traceId} AS String))`;
}

/** The mapping cannot be applied; `problems` lists every reason, one line each. */
export class MappingError extends Error {
  override readonly name: string = "MappingError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

/** Applies the mapping to the tables that are there. Throws a MappingError that lists every problem at once. */
export function resolveMapping(source: TableShape, traces: TableShape, target: TableShape): ResolvedMapping {
  const problems: string[] = [];
  const targetColumns = byName(target);
  const sourceColumns = byName(source);
  const copied: SelectItem[] = [];
  const derived: DerivedColumn[] = [];
  for (const column of EVENT_COLUMNS) {
    const into = targetColumns.get(column.name);
    const from = column.source;
    if (into === undefined || into.isComputed) {
      if (column.identifying) problems.push(`${target.name}: column ${column.name} is missing`);
      continue;
    }
    let sourceType: string | null = null;
    if (from.from === "observation") {
      const item = observationItem(column, source.name, sourceColumns, problems);
      if (item === null) continue;
      copied.push(item);
      sourceType = sourceColumns.get(from.columns[0])?.type ?? null;
    } else {
      derived.push({ column, targetType: into.type });
    }
    const problem = targetProblem(column.kind, into.type, sourceType);
    if (problem !== null) {
      problems.push(`${target.name}: column ${column.name} has type ${into.type}, expected ${problem}`);
    }
  }
  const helpers = helperItems(derived, source.name, sourceColumns, problems);
  const traceColumns = traceItems(traces, problems);
  if (problems.length > 0) throw new MappingError(problems);
  return {
    copied,
    helpers,
    derived,
    traceColumns,
    tagsBecomeMetadata: !derives(derived, "tags"),
    keptJson: keptBy(derived),
  };
}

function keptBy(derived: readonly DerivedColumn[]): KeptJson {
  return jsonColumnType(derived) === null ? STRING_KEEPS : JSON_COLUMN_KEEPS;
}

/** The type of the target's metadata column where it is JSON; null where it is text, or is not there. */
export function jsonColumnType(derived: readonly DerivedColumn[]): string | null {
  const json = derived.find(({ column: { source } }) => source.from === "metadata" && source.part === "json");
  return json === undefined || json.targetType === "String" ? null : json.targetType;
}

function observationItem(
  column: EventColumn,
  table: string,
  columns: ReadonlyMap<string, TableColumn>,
  problems: string[],
): SelectItem | null {
  const from = column.source;
  if (from.from !== "observation") return null;
  const [first, ...others] = from.columns;
  const found = columns.get(first);
  for (const other of others) {
    if (!columns.has(other)) problems.push(`${table}: column ${other} is missing`);
  }
  if (found === undefined) {
    if (from.missing === "required") problems.push(`${table}: column ${first} is missing`);
    return from.missing === "required" || from.missing === null
      ? null
      : { name: column.name, sql: from.missing };
  }
  const problem = sourceProblem(column.kind, found.type);
  if (problem !== null) {
    problems.push(`${table}: column ${first} has type ${found.type}, expected ${problem}`);
  }
  return { name: column.name, sql: from.sql };
}

function helperItems(
  derived: readonly DerivedColumn[],
  table: string,
  columns: ReadonlyMap<string, TableColumn>,
  problems: string[],
): SelectItem[] {
  const metadata = columns.get("metadata");
  const problem = metadata === undefined ? null : sourceProblem("stringMap", metadata.type);
  if (metadata !== undefined && problem !== null) {
    problems.push(`${table}: column metadata has type ${metadata.type}, expected ${problem}`);
  }
  const items: SelectItem[] = [
    { name: HELPER.traceKey, sql: traceKeySql("o.project_id", "o.trace_id") },
    {
      name: HELPER.metadata,
      sql:
        metadata === undefined ? `CAST(map() AS ${METADATA_TYPE})` : `CAST(o.metadata AS ${METADATA_TYPE})`,
    },
  ];
  if (derives(derived, "version")) {
    const { sql, column } = OWN_VERSION_SQL;
    items.push({ name: HELPER.ownVersion, sql: columns.has(column) ? sql : "''" });
  }
  if (derives(derived, "bookmarked")) {
    const { sql, column } = PARENT_IS_EMPTY_SQL;
    items.push({ name: HELPER.parentIsEmpty, sql: columns.has(column) ? sql : "toUInt8(1)" });
  }
  return items;
}

function derives(derived: readonly DerivedColumn[], name: string): boolean {
  return derived.some(({ column }) => column.name === name);
}

function traceItems(traces: TableShape, problems: string[]): SelectItem[] {
  const columns = byName(traces);
  for (const { column, kind } of REQUIRED_TRACE_COLUMNS) {
    const found = columns.get(column);
    if (found === undefined) problems.push(`${traces.name}: column ${column} is missing`);
    else if (sourceProblem(kind, found.type) !== null) {
      problems.push(
        `${traces.name}: column ${column} has type ${found.type}, expected ${sourceProblem(kind, found.type)}`,
      );
    }
  }
  return TRACE_COLUMNS.map(({ name, column, kind, sql, missing }) => {
    const found = columns.get(column);
    if (found === undefined) return { name, sql: missing };
    const problem = sourceProblem(kind, found.type);
    if (problem !== null) {
      problems.push(`${traces.name}: column ${column} has type ${found.type}, expected ${problem}`);
    }
    return { name, sql };
  });
}

function byName(table: TableShape): Map<string, TableColumn> {
  return new Map(table.columns.map((column) => [column.name, column]));
}
