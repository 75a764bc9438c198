import { JSON_COLUMN_KEEPS, type KeptJson, STRING_KEEPS } from "../json/kept-json.ts";
import { REQUIRED_ITEM_COLUMNS } from "./experiment-columns.ts";
import { LAYOUTS, type RowKind } from "./layouts.ts";
import { type EventColumn, HELPER, type Helper } from "./mapped-column.ts";
import type { TableColumn, TableShape } from "./table-shape.ts";
import { METADATA_TYPE, REQUIRED_TRACE_COLUMNS, TRACE_COLUMNS } from "./trace-columns.ts";
import { sourceProblem, targetProblem } from "./types.ts";

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
 * The mapping of a row kind as it applies to the tables of a run. Plain data: workers get a copy.
 * The columns of a page query are first the copied ones, then the helpers.
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

/** The key of a trace, computed by the server on both sides: 16 bytes. */
export function traceKeySql(projectId: string, traceId: string): string {
  return `sipHash128(CAST(${projectId} AS String), CAST(${traceId} AS String))`;
}

/** The version of a trace, in the scale of the trace store. */
export const EVENT_TS_SQL = "toDateTime64(t.event_ts, 6)";

/** The mapping cannot be applied; `problems` lists every reason, one line each. */
export class MappingError extends Error {
  override readonly name: string = "MappingError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

/** The tables that a mapping is applied to. */
export interface MappedTables {
  readonly source: TableShape;
  readonly traces: TableShape;
  readonly target: TableShape;
}

/**
 * Applies the mapping of a row kind to the tables that are there. Throws a MappingError that lists every problem at once.
 */
export function resolveMapping(
  tables: MappedTables,
  kind: RowKind = LAYOUTS.events.observations,
): ResolvedMapping {
  const problems: string[] = [];
  const { traces, target } = tables;
  const source = tables[kind.table];
  const targetColumns = byName(target);
  const sourceColumns = byName(source);
  const copied: SelectItem[] = [];
  const derived: DerivedColumn[] = [];
  for (const column of kind.columns) {
    const into = targetColumns.get(column.name);
    const from = column.source;
    if (into === undefined || into.isComputed) {
      if (column.identifying) problems.push(`${target.name}: column ${column.name} is missing`);
      continue;
    }
    let sourceType: string | null = null;
    if (from.from === "source") {
      const item = sourceItem(column, source.name, sourceColumns, problems);
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
  const isMerged = derived.some(({ column }) => column.source.from === "metadata");
  const isOfExperiments = derived.some(({ column }) => column.source.from === "experiment");
  const isSource = kind.table === "source";
  const helpers = [
    ...(isSource ? helperItems(derived, source.name, sourceColumns, problems) : ROOT_HELPERS),
    ...(isOfExperiments
      ? [{ name: HELPER.spanKey, sql: isSource ? SPAN_KEY.observation : SPAN_KEY.root }]
      : []),
  ];
  const traceColumns = traceItems(traces, isMerged, problems);
  if (problems.length > 0) throw new MappingError(problems);
  return {
    copied,
    helpers,
    derived,
    traceColumns,
    tagsBecomeMetadata: isMerged && !derives(derived, "tags"),
    keptJson: keptBy(derived),
  };
}

/** The keys of the spans that rows become. */
export const SPAN_KEY = {
  observation: spanKeySql("o.project_id", "o.trace_id", "o.id"),
  root: spanKeySql("t.project_id", "t.id", "concat('t-', t.id)"),
} as const;

/** The key of a span, computed by the server: 16 bytes. */
export function spanKeySql(projectId: string, traceId: string, spanId: string): string {
  return `sipHash128(CAST(${projectId} AS String), CAST(${traceId} AS String), CAST(${spanId} AS String))`;
}

/** By these a root row is compared with the newest version of its trace. */
export const ROOT_HELPERS: readonly SelectItem[] = [
  { name: HELPER.traceKey, sql: traceKeySql("t.project_id", "t.id") },
  { name: HELPER.eventTs, sql: EVENT_TS_SQL },
  { name: HELPER.date, sql: "toDate(t.timestamp)" },
];

function keptBy(derived: readonly DerivedColumn[]): KeptJson {
  return jsonColumnType(derived) === null ? STRING_KEEPS : JSON_COLUMN_KEEPS;
}

/** The type of the target's metadata column where it is JSON; null where it is text, or is not there. */
export function jsonColumnType(derived: readonly DerivedColumn[]): string | null {
  const json = derived.find(({ column: { source } }) => source.from === "metadata" && source.part === "json");
  return json === undefined || json.targetType === "String" ? null : json.targetType;
}

function sourceItem(
  column: EventColumn,
  table: string,
  columns: ReadonlyMap<string, TableColumn>,
  problems: string[],
): SelectItem | null {
  const from = column.source;
  if (from.from !== "source") return null;
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
  const problem = sourceProblem(from.kind ?? column.kind, found.type);
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
  const needed = derived.flatMap(({ column: { source } }): readonly Helper[] =>
    source.from === "metadata" ? [METADATA_HELPER] : source.from === "trace" ? source.helpers : [],
  );
  const items: SelectItem[] = [{ name: HELPER.traceKey, sql: traceKeySql("o.project_id", "o.trace_id") }];
  for (const { name, sql, column, kind, missing } of new Map(
    needed.map((helper) => [helper.name, helper]),
  ).values()) {
    const found = columns.get(column);
    const problem = found === undefined ? null : sourceProblem(kind, found.type);
    if (found !== undefined && problem !== null) {
      problems.push(`${table}: column ${column} has type ${found.type}, expected ${problem}`);
    }
    items.push({ name, sql: found === undefined ? missing : sql });
  }
  return items;
}

const METADATA_HELPER: Helper = {
  name: HELPER.metadata,
  sql: `CAST(o.metadata AS ${METADATA_TYPE})`,
  column: "metadata",
  kind: "stringMap",
  missing: `CAST(map() AS ${METADATA_TYPE})`,
};

function derives(derived: readonly DerivedColumn[], name: string): boolean {
  return derived.some(({ column }) => column.name === name);
}

/** `withMetadata`: the metadata of traces is merged into the rows; elsewhere the store need not hold it. */
function traceItems(traces: TableShape, withMetadata: boolean, problems: string[]): SelectItem[] {
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
    if (found === undefined || (column === "metadata" && !withMetadata)) return { name, sql: missing };
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

/**
 * What the experiment columns are taken from, by the columns that the items have. Throws a MappingError that lists every column that is
 * missing.
 */
export function resolveItems(items: TableShape, derived: readonly DerivedColumn[]): SelectItem[] {
  const columns = byName(items);
  const problems = new Set<string>();
  const need = (column: string): void => {
    if (!columns.has(column)) problems.add(`${items.name}: column ${column} is missing`);
  };
  REQUIRED_ITEM_COLUMNS.forEach(need);
  const selected = derived.flatMap(({ column: { name, source } }): SelectItem[] => {
    if (source.from !== "experiment") return [];
    const [first, ...others] = source.columns;
    others.forEach(need);
    if (columns.has(first)) return [{ name, sql: source.sql }];
    if (source.missing === null) need(first);
    return [{ name, sql: source.missing ?? source.sql }];
  });
  if (problems.size > 0) throw new MappingError([...problems]);
  return selected;
}
