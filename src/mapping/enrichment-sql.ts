import type { Condition } from "../clickhouse/key-range-sql.ts";
import type { QueryParams } from "../clickhouse/server.ts";
import { TransportError } from "../clickhouse/server-errors.ts";
import { identifier, literal } from "../clickhouse/sql.ts";
import { WHOLE_KEY_SPACE } from "../plan/key-range.ts";
import type { MonthlyPhase } from "../plan/phases.ts";
import { OBSERVATIONS_KEY, PHASE_KEYS, rangeCondition } from "../plan/source-key.ts";
import { type TraceWindow, windowCondition, windowParams } from "../plan/trace-window.ts";
import { HELPER } from "./mapped-column.ts";
import type { DerivedColumn, ResolvedMapping, SelectItem } from "./resolve-mapping.ts";

/** Which rows a month consists of, and where they are. */
export interface EnrichmentScope {
  /** Decides which table the rows come from: root rows from traces, all others from observations. */
  readonly phase: MonthlyPhase;
  /** The quoted tables. */
  readonly tables: { readonly source: string; readonly traces: string };
  /** Null: every month. */
  readonly partition: string | null;
  /** The traces that may enrich rows, and of whose versions the newest counts. */
  readonly window: TraceWindow;
  /** The quoted table of the dataset runs whose traces are left out; null: none are. */
  readonly datasetRunItems: string | null;
}

/** The rows that a run inserts, as one SELECT. */
export interface Enrichment {
  /** Yields the event columns, in the order of `columns`. */
  readonly sql: string;
  readonly params: QueryParams;
  readonly columns: readonly string[];
}

/** A column beside those of the mapping. */
export interface ExtraItem extends SelectItem {
  /** Its expression speaks of the trace, or of what is merged from it. */
  readonly ofTrace?: true;
}

/**
 * The rows that a run inserts for some rows of the source, as one SELECT for the server to run: newest versions, deleted ones left out,
 * enriched by the newest versions of their traces. It follows from the same mapping as copying does. `rows` selects a key range,
 * mostly: a condition that all versions of a sorting key meet or none. Memory is bounded by it: of the traces only those are
 * joined that these rows name, and none where no column comes from them.
 *
 * Where the target has a column metadata that holds JSON, rare values may differ from what a run inserts: `isExactItem` marks the
 * other rows.
 */
export function enrichmentSql(
  mapping: ResolvedMapping,
  scope: EnrichmentScope,
  rows: Condition,
  extra: readonly ExtraItem[] = [],
): Enrichment {
  const derived = mapping.derived.map(({ column }) => ({ name: column.name, sql: column.source.sql }));
  const items = [...mapping.copied, ...derived, ...extra];
  const list = items.map((item) => `${item.sql} AS ${identifier(item.name)}`).join(",\n  ");
  const isOfRoots = scope.phase === "roots";
  const isWhole = rows.sql === WHOLE.sql;
  const { partition } = scope;
  const { alias } = PHASE_KEYS[scope.phase];
  const ofMonth =
    partition === null ? rows.sql : `${alias}._partition_id = {partition:String} AND ${rows.sql}`;
  const readsTraces = mapping.derived.some(isOfTrace) || extra.some(({ ofTrace }) => ofTrace);
  const select = `SELECT\n  ${list}`;
  const from = observationsFrom(scope, ofMonth);
  const ofObservations = readsTraces
    ? `WITH\n  ${observationAliases(mapping).join(",\n  ")}\n${select}\n${from}\n${joinedTraces(mapping, scope, ofMonth, isWhole)}`
    : `${select}\n${from}`;
  const sql = isOfRoots ? `${select}\n${rootsFrom(scope, ofMonth, isWhole)}` : ofObservations;
  const params = {
    ...rows.params,
    ...(partition === null ? {} : { partition }),
    ...windowParams(scope.window),
  };
  return { sql, params, columns: items.map(({ name }) => name) };
}

/** A column of the joined traces: 0 where an observation has none. */
const IS_FOUND = { name: "is_found", sql: "toUInt8(1)" } as const;

/** Identifies an observation of the source: a hash of its sorting key, in hexadecimal. */
const OBSERVATION_ID = "hex(sipHash128(o.project_id, CAST(o.type AS String), toDate(o.start_time), o.id))";

/** An item that identifies a row: of observations, the only ones that may not be exact. */
export const ROW_ID: SelectItem = { name: "__row", sql: OBSERVATION_ID };

/** Of the observations that meet a condition those that are named by their `ROW_ID`. */
export function observationsNamed({ sql, params }: Condition, ids: readonly string[]): Condition {
  return { sql: `${sql} AND ${OBSERVATION_ID} IN (${ids.map(literal).join(", ")})`, params };
}

/**
 * A SELECT that counts the rows that `enrichmentSql` yields: all of them, those without a trace, and those that are not exact; of up to
 * `maxIds` of these it gives the `ROW_ID` as well.
 */
export function enrichedCountsSql(
  mapping: ResolvedMapping,
  scope: EnrichmentScope,
  rows: Condition,
  maxIds: number,
): Omit<Enrichment, "columns"> {
  const isMissing = scope.phase === "roots" ? "0" : `t.${IS_FOUND.name} = 0`;
  const items = [
    { name: "is_missing", sql: isMissing, ofTrace: true },
    isExactItem(mapping, "is_exact"),
    hasJson(mapping) ? ROW_ID : { name: ROW_ID.name, sql: "''" },
  ] as const;
  const { sql, params } = enrichmentSql(
    { ...mapping, copied: [], derived: mapping.derived.filter(isJson) },
    scope,
    rows,
    items,
  );
  const ids = `groupArrayIf(${maxIds})(${ROW_ID.name}, NOT is_exact)`;
  return { sql: `SELECT count(), countIf(is_missing), countIf(NOT is_exact), ${ids} FROM (${sql})`, params };
}

/** All rows of the month. */
const WHOLE = rangeCondition(OBSERVATIONS_KEY, WHOLE_KEY_SPACE);

function observationsFrom(scope: EnrichmentScope, rows: string): string {
  return `FROM (SELECT * FROM ${scope.tables.source} AS o FINAL WHERE ${rows}${leftOut("o.trace_id", "o", scope)}) AS o`;
}

function joinedTraces(
  mapping: ResolvedMapping,
  scope: EnrichmentScope,
  rows: string,
  isWhole: boolean,
): string {
  const { source } = scope.tables;
  const named = isWhole
    ? null
    : `(t.project_id, t.id) IN (SELECT o.project_id, o.trace_id FROM ${source} AS o WHERE ${rows})`;
  const columns = [...mapping.traceColumns, IS_FOUND]
    .map(({ name, sql }) => `${sql} AS ${identifier(name)}`)
    .join(", ");
  return `LEFT JOIN (${newestTraces(scope, named, columns)}) AS t ON o.project_id = t.project_id AND o.trace_id = t.id`;
}

function rootsFrom(scope: EnrichmentScope, rows: string, isWhole: boolean): string {
  const { traces } = scope.tables;
  const named = isWhole
    ? null
    : `(t.project_id, t.id) IN (SELECT t.project_id, t.id FROM ${traces} AS t WHERE ${rows})`;
  // A trace may have versions under several days: only the one that counts becomes a root row.
  const newest = `SELECT newest.project_id, newest.id, newest.day
    FROM (${newestTraces(scope, named, "toDate(t.timestamp) AS day")}) AS newest`;
  return `FROM ${traces} AS t FINAL
WHERE ${rows} AND (t.project_id, t.id, toDate(t.timestamp)) IN (${newest})${leftOut("t.id", "t", scope)}`;
}

/** The condition that leaves out what dataset runs name. */
function leftOut(traceId: string, alias: string, { datasetRunItems }: EnrichmentScope): string {
  if (datasetRunItems === null) return "";
  return ` AND (${alias}.project_id, ${traceId}) NOT IN (SELECT i.project_id, i.trace_id FROM ${datasetRunItems} AS i FINAL)`;
}

/**
 * The newest version of each trace in the window, unless a deletion is newer; FINAL decides within a sorting key, and the later day
 * where several have the same event_ts. `named` is a condition on the columns of the sorting key: all versions meet it or none.
 */
function newestTraces({ tables, window }: EnrichmentScope, named: string | null, columns: string): string {
  const from = (final: string): string =>
    `FROM ${tables.traces} AS t${final}${named === null ? "" : ` PREWHERE ${named}`} WHERE ${windowCondition(window)}`;
  return `SELECT live.* FROM (
    SELECT t.project_id AS project_id, t.id AS id, t.event_ts AS newest, ${columns}
    ${from(" FINAL")}
    ORDER BY t.event_ts DESC, toDate(t.timestamp) DESC LIMIT 1 BY t.project_id, t.id
  ) AS live LEFT ANTI JOIN (
    SELECT t.project_id AS project_id, t.id AS id, t.event_ts AS deleted
    ${from("")} AND t.is_deleted = 1
  ) AS gone ON live.project_id = gone.project_id AND live.id = gone.id AND live.newest < gone.deleted`;
}

/** The names by which the mapping's expressions speak of helpers and of the merged metadata. */
function observationAliases(mapping: ResolvedMapping): string[] {
  const isOfWorkers: readonly string[] = [HELPER.traceKey, HELPER.metadata, HELPER.spanKey];
  const helpers = mapping.helpers.flatMap(({ name, sql }) =>
    isOfWorkers.includes(name) ? [] : [`${sql} AS ${name.replace("__", "")}`],
  );
  return [...helpers, ...metadataAliases(mapping)];
}

/**
 * An item that says whether the JSON of a row is certain to be what a run inserts: 1, or 0 where a value is such that the server's
 * check of JSON and this program's may differ, or where paths of members meet. Always 1 where the target has no such column.
 */
export function isExactItem(mapping: ResolvedMapping, name: string): SelectItem {
  if (!hasJson(mapping)) return { name, sql: "toUInt8(1)" };
  const meet =
    "arrayExists(name -> arrayExists(other -> startsWith(other, concat(name, '.')), json_names), json_names)";
  return { name, sql: `toUInt8(NOT has(are_unsure, 1) AND NOT ${meet})` };
}

/** The column that holds the merged metadata as JSON, where a target has one. */
export const JSON_COLUMN = "metadata";

/** Items with the names and values that the JSON of a row is made of, in hexadecimal; of a target that has such a column. */
export const METADATA_ITEMS: readonly ExtraItem[] = [
  { name: "__names", sql: "arrayMap(value -> hex(value), json_names)", ofTrace: true },
  { name: "__values", sql: "arrayMap(value -> hex(value), json_values)", ofTrace: true },
];

/** The bytes of such an item. Throws a TransportError where it is none. */
export function fromHex(item: unknown): Buffer[] {
  if (!Array.isArray(item)) throw new TransportError("No metadata came back");
  return item.map((text) => Buffer.from(String(text), "hex"));
}

/** Whether the target has a column that holds the merged metadata as JSON. */
export function hasJson({ derived }: ResolvedMapping): boolean {
  return derived.some(isJson);
}

/** Whether a column takes something from the trace. */
function isOfTrace({ column: { source } }: DerivedColumn): boolean {
  return source.from === "trace" || source.from === "metadata";
}

function isJson({ column: { source } }: DerivedColumn): boolean {
  return source.from === "metadata" && source.part === "json";
}

/** Whether `value` may be JSON, and neither side is certain to take it for JSON. */
function isUnsureSql(keepsMixedArrays: boolean): string {
  const reasons = [
    `match(value, ${literal(UNSURE_PATTERNS.join("|"))})`,
    `countSubstrings(value, '{') + countSubstrings(value, '[') > ${MAX_BRACKETS}`,
    ...(keepsMixedArrays ? [] : ["position(value, '[') > 0"]),
  ];
  return `${MAY_BE_JSON} AND (${reasons.join(" OR ")})`;
}

/**
 * What may stand in a value that one side embeds as JSON and the other as a string: a NUL, integers and exponents near what 64 bits and
 * doubles hold, surrogates, and arrays that are elements of arrays. The same characters within strings are taken for them as well.
 */
const UNSURE_PATTERNS = [
  String.raw`\x00`,
  "[0-9]{16}",
  "[0-9][eE][+-]?[0-9]{3}",
  String.raw`\\u[dD][89a-fA-F]`,
  String.raw`[\[,][ \t\n\r]*\[`,
];
/** No more than this program embeds as JSON when they are all nested. */
const MAX_BRACKETS = 512;

/**
 * JSON text is an object, an array or a string by its first character, or else a number or a word as a whole: an id of hexadecimal digits,
 * which may look like an exponent somewhere, is none.
 */
const JSON_PATTERN = String.raw`^[ \t\n\r]*([{\["]|(-?[0-9][0-9.eE+-]*|true|false|null)[ \t\n\r]*$)`;
const MAY_BE_JSON = `match(value, ${literal(JSON_PATTERN)})`;

/** A JSON string as a run writes it. */
function jsonString(text: string): string {
  return `replaceAll(toJSONString(toValidUTF8(${text})), '\\\\/', '/')`;
}

/** `merged`: the arrays of names and values; `merged_json` and `merged_source` follow from them. */
function metadataAliases(mapping: ResolvedMapping): string[] {
  const own = mapping.helpers.find(({ name }) => name === HELPER.metadata)?.sql ?? "map()";
  const tags = `concat('[', arrayStringConcat(arrayMap(tag -> ${jsonString("tag")}, t.tags), ','), ']')`;
  const withTags = mapping.tagsBecomeMetadata
    ? `if(notEmpty(t.tags) AND NOT has(joined.1, 'trace_tags'),
      (arrayPushBack(joined.1, 'trace_tags'), arrayPushBack(joined.2, ${tags})), joined)`
    : "joined";
  return [
    `CAST(mapKeys(${own}) AS Array(String)) AS own_names`,
    `mapValues(${own}) AS own_values`,
    "CAST(mapKeys(t.metadata) AS Array(String)) AS trace_names",
    "mapValues(t.metadata) AS trace_values",
    "arrayFilter(i -> trace_names[i] != 'attributes' AND NOT has(own_names, trace_names[i]), arrayEnumerate(trace_names)) AS kept",
    "(arrayConcat(own_names, arrayMap(i -> trace_names[i], kept)), arrayConcat(own_values, arrayMap(i -> trace_values[i], kept))) AS joined",
    `${withTags} AS merged`,
    "arrayFilter(i -> indexOf(merged.1, merged.1[i]) = i, arrayEnumerate(merged.1)) AS firsts",
    "arrayMap(i -> merged.1[i], firsts) AS json_names",
    "arrayMap(i -> merged.2[i], firsts) AS json_values",
    `arrayMap(value -> ${isUnsureSql(mapping.keptJson.mixedArrays)}, json_values) AS are_unsure`,
    // What is unsure becomes a string, which no server refuses.
    `concat('{', arrayStringConcat(arrayMap((name, value, is_unsure) -> concat(${jsonString("name")}, ':',
    if(NOT is_unsure AND ${MAY_BE_JSON} AND isValidJSON(value), value, ${jsonString("value")})), json_names, json_values, are_unsure), ','), '}') AS merged_json`,
    "if(has(merged.1, 'resourceAttributes'), 'otel', 'ingestion-api') AS merged_source",
  ];
}
