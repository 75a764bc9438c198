import type { TestServer } from "../../scripts/testbed/server.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import { encodeRows, text } from "./data/row-binary.ts";
import {
  columnNames,
  knownOnes,
  monthStart,
  type ReferenceScope,
  type ReferenceSelect,
} from "./reference.ts";
import {
  type ColumnSql,
  EXPERIMENT_COLUMNS,
  NEWER_OBSERVATION_COLUMNS,
  OBSERVATION_COLUMNS,
  ROOT_COLUMNS,
  WRITING_TIMES,
} from "./reference-v4-columns.ts";
import { type Assignment, assignSpans } from "./reference-v4-spans.ts";

/** What to compute: the month's root rows and observations, and the dataset runs of all months. */
export interface V4ReferenceScope extends ReferenceScope {
  /** `dataset_run_items_rmt` unless given. */
  readonly items?: string;
}

/** What the rows of events_full come from. */
export type V4Part = "roots" | "observations" | "experiments";

const ALL_PARTS: readonly V4Part[] = ["roots", "observations", "experiments"];

/** The root rows of the month's traces that no dataset run names. */
export function v4Roots(scope: V4ReferenceScope): ReferenceSelect {
  return select(ROOT_COLUMNS, [
    `FROM (${tracesSelect(scope, "window")}) AS t`,
    `WHERE t.timestamp >= ${monthOf(scope)} AND t.timestamp < ${monthOf(scope)} + INTERVAL 1 MONTH`,
    `AND (t.project_id, t.id) NOT IN (${namedTraces(scope)})`,
  ]);
}

/** The rows of the month's observations whose traces no dataset run names. */
export async function v4Observations(server: TestServer, scope: V4ReferenceScope): Promise<ReferenceSelect> {
  return select(await observationColumns(server, scope), [
    `FROM (SELECT * FROM ${observationsOf(scope)} FINAL WHERE _partition_id = '${Number(scope.partition)}') AS o`,
    `LEFT JOIN (${tracesSelect(scope, "window")}) AS t ON t.project_id = o.project_id AND t.id = o.trace_id`,
    `WHERE (o.project_id, o.trace_id) NOT IN (${namedTraces(scope)})`,
  ]);
}

/**
 * The rows of all traces that dataset runs name, of any month: root rows and observations. `assignments` is a table that
 * {@link writeAssignments} has filled. The times of writing are those of the statement.
 */
export async function v4Experiments(
  server: TestServer,
  scope: V4ReferenceScope,
  assignments: string,
): Promise<ReferenceSelect[]> {
  const assigned = await assignedSpans(server, scope, assignments);
  const roots = select(withExperiments(ROOT_COLUMNS), [
    `FROM (${tracesSelect(scope, "always")}) AS t`,
    `LEFT JOIN (${assigned}) AS a`,
    "ON a.project_id = t.project_id AND a.trace_id = t.id AND a.span_id = concat('t-', t.id)",
    `WHERE (t.project_id, t.id) IN (${namedTraces(scope)})`,
  ]);
  const observations = select(withExperiments(await observationColumns(server, scope)), [
    `FROM (SELECT * FROM ${observationsOf(scope)} FINAL) AS o`,
    `LEFT JOIN (${tracesSelect(scope, "always")}) AS t ON t.project_id = o.project_id AND t.id = o.trace_id`,
    `LEFT JOIN (${assigned}) AS a`,
    "ON a.project_id = o.project_id AND a.trace_id = o.trace_id AND a.span_id = o.id",
    `WHERE (o.project_id, o.trace_id) IN (${namedTraces(scope)})`,
  ]);
  return [roots, observations];
}

/**
 * Makes the table `into`, a clone of the target, and fills it with the reference: of everything, or of some parts.
 * Nothing collapses there. Returns the number of rows.
 */
export async function writeV4Reference(
  server: TestServer,
  scope: V4ReferenceScope,
  into: string,
  parts: readonly V4Part[] = ALL_PARTS,
): Promise<number> {
  const { database } = scope;
  await server.command(`CREATE TABLE ${identifier(into)} AS ${identifier(scope.target)}`, { database });
  await server.command(
    `ALTER TABLE ${identifier(into)} MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1`,
    { database },
  );
  const settings = await knownOnes(server, { optimize_on_insert: 0, async_insert: 0, join_use_nulls: 0 });
  const selects: ReferenceSelect[] = [];
  if (parts.includes("roots")) selects.push(v4Roots(scope));
  if (parts.includes("observations")) selects.push(await v4Observations(server, scope));
  if (parts.includes("experiments")) {
    const assignments = `${into}_assignments`;
    await writeAssignments(server, scope, assignments);
    selects.push(...(await v4Experiments(server, scope, assignments)));
  }
  for (const { columns, sql } of selects) {
    const names = columns.map(identifier).join(", ");
    await server.command(`INSERT INTO ${identifier(into)} (${names})\n${sql}`, { database, settings });
  }
  return Number(await server.query(`SELECT count() FROM ${identifier(into)}`, { database }));
}

/** Makes a table of the spans that belong to experiments, each with the key of the item that won it. */
export async function writeAssignments(
  server: TestServer,
  scope: V4ReferenceScope,
  into: string,
): Promise<readonly Assignment[]> {
  const { database } = scope;
  const assignments = await assignSpans(server, {
    database,
    items: scope.items ?? DEFAULT_ITEMS,
    observations: scope.source ?? DEFAULT_OBSERVATIONS,
    liveTraces: tracesSelect(scope, "always"),
  });
  const rows = assignments.map(({ project, trace, span, item }) => ({
    project_id: bytesOf(project),
    trace_id: bytesOf(trace),
    span_id: bytesOf(span),
    dataset_id: bytesOf(item.dataset),
    dataset_run_id: bytesOf(item.run),
    id: bytesOf(item.id),
    root_span_id: bytesOf(item.rootSpan),
  }));
  const columns = ["project_id", "trace_id", "span_id", "dataset_id", "dataset_run_id", "id", "root_span_id"];
  const types = columns.map((column) => `${column} String`).join(", ");
  await server.command(`CREATE TABLE ${identifier(into)} (${types}) ENGINE = Memory`, { database });
  if (rows.length === 0) return assignments;
  const encoders = {
    project_id: text,
    trace_id: text,
    span_id: text,
    dataset_id: text,
    dataset_run_id: text,
    id: text,
    root_span_id: text,
  };
  const sql = `INSERT INTO ${identifier(into)} FORMAT RowBinary`;
  await server.insertRaw(sql, encodeRows(rows, encoders), { database, settings: { async_insert: 0 } });
  return assignments;
}

const DEFAULT_ITEMS = "dataset_run_items_rmt";
const DEFAULT_OBSERVATIONS = "observations";

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex, "hex");
}

function select(columns: ColumnSql, from: readonly string[]): ReferenceSelect {
  const values = Object.entries(columns).map(([column, sql]) => `${sql} AS \`event_${column}\``);
  return { columns: Object.keys(columns), sql: `SELECT ${values.join(",\n  ")}\n${from.join("\n")}` };
}

async function observationColumns(server: TestServer, scope: V4ReferenceScope): Promise<ColumnSql> {
  const known = await columnNames(server, scope.database, scope.source ?? DEFAULT_OBSERVATIONS);
  const newer = NEWER_OBSERVATION_COLUMNS.filter((column) => known.has(column));
  return { ...OBSERVATION_COLUMNS, ...Object.fromEntries(newer.map((column) => [column, `o.${column}`])) };
}

function withExperiments(columns: ColumnSql): ColumnSql {
  const times = WRITING_TIMES.map((column) => [column, `if(a.assigned, now64(6), ${columns[column]})`]);
  return { ...columns, ...Object.fromEntries(times), ...EXPERIMENT_COLUMNS };
}

/** Assigned spans with all columns of their item. */
async function assignedSpans(
  server: TestServer,
  scope: V4ReferenceScope,
  assignments: string,
): Promise<string> {
  const items = scope.items ?? DEFAULT_ITEMS;
  const known = await columnNames(server, scope.database, items);
  const version = known.has("dataset_item_version")
    ? "dataset_item_version"
    : "CAST(NULL AS Nullable(DateTime64(3))) AS dataset_item_version";
  const own = [
    "dataset_run_name",
    "dataset_run_description",
    "dataset_run_metadata",
    "dataset_item_id",
    "dataset_item_expected_output",
    "dataset_item_metadata",
  ];
  const values = [...own, "dataset_item_version"].map((column) => `i.${column} AS ${column}`);
  const keys = ["project_id", "trace_id", "span_id", "dataset_id", "dataset_run_id", "root_span_id"];
  return `
  SELECT ${keys.map((column) => `s.${column} AS ${column}`).join(", ")}, ${values.join(", ")}, 1 AS assigned
  FROM ${identifier(assignments)} AS s
  INNER JOIN (
    SELECT project_id, dataset_id, dataset_run_id, id, ${own.join(", ")}, ${version}
    FROM ${identifier(items)} FINAL
  ) AS i ON i.project_id = s.project_id AND i.dataset_id = s.dataset_id
    AND i.dataset_run_id = s.dataset_run_id AND i.id = s.id`;
}

/** The traces that current items of dataset runs name. */
function namedTraces(scope: V4ReferenceScope): string {
  return `SELECT project_id, trace_id FROM ${identifier(scope.items ?? DEFAULT_ITEMS)} FINAL`;
}

/**
 * Traces by their newest live row: per (project_id, id) by event_ts, the later timestamp where several dates tie; none
 * where a deletion of any date is newer. FINAL decides within a sorting key. Only versions of the month and the window
 * around it count, or those of all times.
 */
function tracesSelect(scope: V4ReferenceScope, range: "window" | "always"): string {
  const days = scope.traceWindowDays ?? 2;
  const month = monthOf(scope);
  const within =
    range === "always"
      ? "1"
      : `timestamp >= ${month} - INTERVAL ${days} DAY AND timestamp < ${month} + INTERVAL 1 MONTH + INTERVAL ${days} DAY`;
  const table = identifier(scope.traces ?? "traces");
  return `
  SELECT live.* FROM (
    SELECT * FROM ${table} FINAL WHERE ${within}
    ORDER BY event_ts DESC, timestamp DESC LIMIT 1 BY project_id, id
  ) AS live
  LEFT JOIN (
    SELECT project_id, id, max(event_ts) AS deleted_at FROM ${table}
    WHERE ${within} AND is_deleted = 1 GROUP BY project_id, id
  ) AS deletion ON deletion.project_id = live.project_id AND deletion.id = live.id
  WHERE live.event_ts >= deletion.deleted_at`;
}

function observationsOf(scope: V4ReferenceScope): string {
  return identifier(scope.source ?? DEFAULT_OBSERVATIONS);
}

function monthOf(scope: V4ReferenceScope): string {
  return `toDateTime64('${monthStart(scope.partition)} 00:00:00', 3)`;
}
