import { JSON_SETTINGS } from "../../scripts/testbed/schema.ts";
import type { TestServer } from "../../scripts/testbed/server.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import { castsUnderSettings, KEPT_AS_TEXT, keptByVersion, metadataJson } from "./reference-json.ts";

/** What to compute: the events of one month. */
export interface ReferenceScope {
  readonly database: string;
  readonly partition: string;
  readonly source?: string;
  readonly traces?: string;
  /** The table whose columns are wanted. */
  readonly target: string;
  readonly traceWindowDays?: number;
}

/**
 * The SQL of every event column, written by hand from the specification. `o` is the observation, `t` its trace (columns
 * are empty when there is none), `names` and `raw` the merged metadata.
 */
export const COLUMNS: Readonly<Record<string, string>> = {
  project_id: "o.project_id",
  trace_id: "o.trace_id",
  span_id: "o.id",
  parent_span_id: `multiIf(o.id = concat('t-', o.trace_id), '',
    ifNull(o.parent_observation_id, '') != '', assumeNotNull(o.parent_observation_id),
    concat('t-', o.trace_id))`,
  start_time: "o.start_time",
  end_time: "o.end_time",
  completion_start_time: "o.completion_start_time",
  created_at: "o.created_at",
  updated_at: "o.updated_at",
  event_ts: "o.event_ts",
  is_deleted: "o.is_deleted",
  name: "o.name",
  type: "o.type",
  environment: "o.environment",
  level: "o.level",
  status_message: "ifNull(o.status_message, '')",
  input: "ifNull(o.input, '')",
  output: "ifNull(o.output, '')",
  prompt_id: "ifNull(o.prompt_id, '')",
  prompt_name: "ifNull(o.prompt_name, '')",
  prompt_version: "o.prompt_version",
  provided_model_name: "ifNull(o.provided_model_name, '')",
  model_id: "ifNull(o.internal_model_id, '')",
  model_parameters: "ifNull(o.model_parameters, '{}')",
  provided_usage_details: "o.provided_usage_details",
  usage_details: "o.usage_details",
  provided_cost_details: "o.provided_cost_details",
  cost_details: "o.cost_details",
  version: "if(ifNull(o.version, '') != '', assumeNotNull(o.version), ifNull(t.version, ''))",
  user_id: "ifNull(t.user_id, '')",
  session_id: "ifNull(t.session_id, '')",
  release: "ifNull(t.release, '')",
  trace_name: "t.name",
  tags: "t.tags",
  public: "t.public",
  bookmarked: "ifNull(o.parent_observation_id, '') = '' AND t.bookmarked",
  metadata_names: "names",
  metadata_raw_values: "raw",
  metadata_values: "raw",
  source: "if(has(names, 'resourceAttributes'), 'otel', 'ingestion-api')",
  event_bytes: "0",
};

/** Event columns that exist only where the source has a column of the same name. */
export const NEWER_COLUMNS = [
  "usage_pricing_tier_id",
  "usage_pricing_tier_name",
  "tool_definitions",
  "tool_calls",
  "tool_call_names",
];

/** A statement and the columns that it yields, in order. */
export interface ReferenceSelect {
  readonly columns: readonly string[];
  readonly sql: string;
}

/** The SELECT that yields the events that a run must produce; columns that it leaves out keep their defaults. */
export async function referenceSelect(server: TestServer, scope: ReferenceScope): Promise<ReferenceSelect> {
  const source = scope.source ?? "observations";
  const targetColumns = await columnNames(server, scope.database, scope.target);
  const sourceColumns = await columnNames(server, scope.database, source);
  const known: Record<string, string> = { ...COLUMNS };
  const json = targetColumns.get("metadata");
  if (json !== undefined) {
    const version = (await server.query("SELECT version()")).trim();
    known["metadata"] = metadataJson(
      "names",
      "raw",
      json === "String" ? KEPT_AS_TEXT : keptByVersion(version, json),
    );
  }
  for (const column of NEWER_COLUMNS) {
    if (sourceColumns.has(column)) known[column] = `o.${column}`;
  }
  const columns = Object.keys(known).filter((column) => targetColumns.has(column));
  const items = columns.map((column) => `${known[column]} AS \`event_${column}\``);
  return {
    columns,
    sql: `${withMetadata(targetColumns.has("tags"))}
SELECT ${items.join(",\n  ")}
FROM (SELECT * FROM ${identifier(source)} FINAL WHERE _partition_id = '${Number(scope.partition)}') AS o
LEFT JOIN (${tracesSelect(scope)}) AS t ON t.project_id = o.project_id AND t.id = o.trace_id`,
  };
}

/**
 * Makes the table `into`, a clone of the target, and fills it with the reference. Nothing collapses there: rows that the
 * target's sorting key cannot tell apart are all present. Returns the number of rows.
 */
export async function writeReference(
  server: TestServer,
  scope: ReferenceScope,
  into: string,
): Promise<number> {
  const { database } = scope;
  const { columns, sql } = await referenceSelect(server, scope);
  await server.command(`CREATE TABLE ${identifier(into)} AS ${identifier(scope.target)}`, { database });
  await server.command(
    `ALTER TABLE ${identifier(into)} MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1`,
    { database },
  );
  const settings = await knownOnes(server, {
    ...JSON_SETTINGS,
    optimize_on_insert: 0,
    async_insert: 0,
    join_use_nulls: 0,
  });
  const names = columns.map(identifier).join(", ");
  const json = (await columnNames(server, database, scope.target)).get("metadata") ?? "String";
  const version = (await server.query("SELECT version()")).trim();
  if (json === "String" || castsUnderSettings(version)) {
    await server.command(`INSERT INTO ${identifier(into)} (${names})\n${sql}`, { database, settings });
  } else {
    // The text is read as data, under the settings.
    const texts = identifier(`${into}_texts`);
    await server.command(`CREATE TABLE ${texts} AS ${identifier(scope.target)}`, { database });
    await server.command(`ALTER TABLE ${texts} DROP COLUMN metadata, ADD COLUMN metadata String`, {
      database,
    });
    await server.command(`INSERT INTO ${texts} (${names})\n${sql}`, { database, settings });
    const data = await server.fetchBytes(`SELECT ${names} FROM ${texts} FORMAT TabSeparated`, { database });
    await server.insertRaw(`INSERT INTO ${identifier(into)} (${names}) FORMAT TabSeparated`, data, {
      database,
      settings,
    });
    await server.command(`DROP TABLE ${texts}`, { database });
  }
  return Number(await server.query(`SELECT count() FROM ${identifier(into)}`, { database }));
}

/** The settings that the server has. */
export async function knownOnes<Settings extends Readonly<Record<string, number>>>(
  server: TestServer,
  settings: Settings,
): Promise<Partial<Settings>> {
  const rows = await server.queryJson<{ name: string }>("SELECT name FROM system.settings");
  const known = new Set(rows.map(({ name }) => name));
  return Object.fromEntries(
    Object.entries(settings).filter(([name]) => known.has(name)),
  ) as Partial<Settings>;
}

/**
 * The traces of the window: per (project_id, id) the newest live row by event_ts, the later timestamp where several dates
 * tie; none where a deletion of any date is newer. FINAL decides within a sorting key.
 */
export function tracesSelect(scope: ReferenceScope): string {
  const days = scope.traceWindowDays ?? 2;
  const month = `toDateTime64('${monthStart(scope.partition)} 00:00:00', 3)`;
  const window = `timestamp >= ${month} - INTERVAL ${days} DAY
      AND timestamp < ${month} + INTERVAL 1 MONTH + INTERVAL ${days} DAY`;
  return newestTraces(scope.traces ?? "traces", window);
}

/** The same of all traces for which a condition holds. */
export function newestTraces(name: string, window: string): string {
  const table = identifier(name);
  return `
  SELECT live.* FROM (
    SELECT * FROM ${table} FINAL WHERE ${window}
    ORDER BY event_ts DESC, timestamp DESC LIMIT 1 BY project_id, id
  ) AS live
  LEFT JOIN (
    SELECT project_id, id, max(event_ts) AS deleted_at FROM ${table}
    WHERE ${window} AND is_deleted = 1 GROUP BY project_id, id
  ) AS deletion ON deletion.project_id = live.project_id AND deletion.id = live.id
  WHERE live.event_ts >= deletion.deleted_at`;
}

/** Binds `names` and `raw`, the merged metadata as two arrays. */
function withMetadata(targetHasTags: boolean): string {
  const tags = `concat('[', arrayStringConcat(arrayMap(tag -> ${jsonText("tag")}, t.tags), ','), ']')`;
  const needsTags = targetHasTags
    ? "false"
    : "notEmpty(t.tags) AND NOT has(arrayConcat(own_names, kept_names), 'trace_tags')";
  return `WITH
  mapKeys(o.metadata) AS own_names,
  arrayFilter(key -> key != 'attributes' AND NOT has(own_names, key), mapKeys(t.metadata)) AS kept_names,
  arrayFilter((value, key) -> key != 'attributes' AND NOT has(own_names, key),
    mapValues(t.metadata), mapKeys(t.metadata)) AS kept_values,
  ${needsTags} AS has_tags,
  arrayMap(name -> toString(name),
    arrayConcat(own_names, kept_names, if(has_tags, ['trace_tags'], []))) AS names,
  arrayConcat(mapValues(o.metadata), kept_values, if(has_tags, [${tags}], [])) AS raw`;
}

/** A JSON string whose slashes stand as they are. */
function jsonText(value: string): string {
  return `replaceAll(toJSONString(toValidUTF8(${value})), '\\\\/', '/')`;
}

export function monthStart(partition: string): string {
  if (!/^\d{6}$/.test(partition)) throw new Error(`Not a partition: ${partition}`);
  return `${partition.slice(0, 4)}-${partition.slice(4)}-01`;
}

/** The columns that can be read and, in a target, inserted, with their types. */
export async function columnNames(
  server: TestServer,
  database: string,
  table: string,
): Promise<ReadonlyMap<string, string>> {
  const rows = await server.queryJson<{ name: string; type: string }>(
    `SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String}
     AND default_kind NOT IN ('MATERIALIZED', 'ALIAS', 'EPHEMERAL')`,
    { params: { database, table } },
  );
  return new Map(rows.map(({ name, type }) => [name, type]));
}
