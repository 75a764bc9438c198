import type { QueryParams } from "../clickhouse/server.ts";
import { identifier } from "../clickhouse/sql.ts";
import { HELPER } from "./mapped-column.ts";
import type { ResolvedMapping } from "./resolve-mapping.ts";

/** What the reference statement reads. */
export interface ReferenceScope {
  /** The quoted tables. */
  readonly source: string;
  readonly traces: string;
  readonly partition: string;
  /** First day of the trace window and the day after its last, as YYYY-MM-DD. */
  readonly window: { readonly from: string; readonly until: string };
}

/** The reference statement and what it needs. */
export interface Reference {
  /** A SELECT of the event columns, in the order of `columns`. */
  readonly sql: string;
  readonly params: QueryParams;
  readonly columns: readonly string[];
}

/**
 * The same enrichment as one SELECT for the server to run, for verification: it needs the memory of a join, so it suits
 * small months. It follows from the same mapping as the copying does.
 * Its JSON object leaves rarities to the copying: values that a JSON column refuses, alters or takes very long for although
 * they are valid (large integers, deep nesting), and members whose paths clash.
 */
export function referenceStatement(mapping: ResolvedMapping, scope: ReferenceScope): Reference {
  const copied = mapping.copied.map(({ name, sql }) => ({ name, sql }));
  const derived = mapping.derived.map(({ column }) => ({ name: column.name, sql: column.source.sql }));
  const items = [...copied, ...derived];
  const sql = `WITH
  ${[...helperAliases(mapping), ...metadataAliases(mapping)].join(",\n  ")}
SELECT
  ${items.map((item) => `${item.sql} AS ${identifier(item.name)}`).join(",\n  ")}
FROM (SELECT * FROM ${scope.source} FINAL WHERE _partition_id = {partition:String}) AS o
LEFT JOIN (
  ${tracesSubquery(mapping, scope)}
) AS t ON o.project_id = t.project_id AND o.trace_id = t.id`;
  const params = { partition: scope.partition, from: scope.window.from, until: scope.window.until };
  return { sql, params, columns: items.map(({ name }) => name) };
}

/** The names by which the mapping's expressions speak of helpers. */
function helperAliases(mapping: ResolvedMapping): string[] {
  const isAlias = (name: string): boolean => name !== HELPER.traceKey && name !== HELPER.metadata;
  return mapping.helpers.flatMap(({ name, sql }) =>
    isAlias(name) ? [`${sql} AS ${name.replace("__", "")}`] : [],
  );
}

/** `merged`: the arrays of names and values; `merged_json` and `merged_source` follow from them. */
function metadataAliases(mapping: ResolvedMapping): string[] {
  const own = mapping.helpers.find(({ name }) => name === HELPER.metadata)?.sql ?? "map()";
  const withTags = mapping.tagsBecomeMetadata
    ? `if(notEmpty(t.tags) AND NOT has(joined.1, 'trace_tags'),
      (arrayPushBack(joined.1, 'trace_tags'), arrayPushBack(joined.2, toJSONString(t.tags))), joined)`
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
    `concat('{', arrayStringConcat(arrayMap(i -> concat(toJSONString(toValidUTF8(merged.1[i])), ':',
    if(isValidJSON(merged.2[i]), merged.2[i], toJSONString(toValidUTF8(merged.2[i])))), firsts), ','), '}') AS merged_json`,
    "if(has(merged.1, 'resourceAttributes'), 'otel', 'ingestion-api') AS merged_source",
  ];
}

/** The newest version of each trace in the window, unless a newer one is a deletion. */
function tracesSubquery(mapping: ResolvedMapping, scope: ReferenceScope): string {
  const window = "toDate(t.timestamp) >= {from:Date} AND toDate(t.timestamp) < {until:Date}";
  const columns = mapping.traceColumns.map(({ name, sql }) => `${sql} AS ${name}`).join(", ");
  return `SELECT live.* FROM (
    SELECT t.project_id AS project_id, t.id AS id, t.event_ts AS newest, ${columns}
    FROM ${scope.traces} AS t FINAL WHERE ${window}
    ORDER BY t.event_ts DESC, toDate(t.timestamp) DESC LIMIT 1 BY t.project_id, t.id
  ) AS live LEFT ANTI JOIN (
    SELECT t.project_id AS project_id, t.id AS id, t.event_ts AS deleted
    FROM ${scope.traces} AS t WHERE ${window} AND t.is_deleted = 1
  ) AS gone ON live.project_id = gone.project_id AND live.id = gone.id AND live.newest < gone.deleted`;
}
