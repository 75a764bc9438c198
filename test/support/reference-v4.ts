import type { TestServer } from "../../scripts/testbed/server.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import { COLUMNS, columnNames, NEWER_COLUMNS, newestTraces, tracesSelect } from "./reference.ts";

/** What a run of Langfuse v4's layout leaves behind, written by hand. Its phases, of one month and of all dataset runs. */
export interface V4Scope {
  readonly database: string;
  readonly partition: string;
  /** The table whose columns are wanted. */
  readonly target: string;
}

const HAS_RESOURCE = (metadata: string): string =>
  `if(mapContains(${metadata}, 'resourceAttributes'), 'otel-backfill', 'ingestion-api-backfill')`;

/** Of a trace `t`. */
const ROOT_COLUMNS: Readonly<Record<string, string>> = {
  project_id: "t.project_id",
  trace_id: "t.id",
  span_id: "concat('t-', t.id)",
  parent_span_id: "''",
  start_time: "t.timestamp",
  name: "t.name",
  trace_name: "t.name",
  type: "'SPAN'",
  level: "'DEFAULT'",
  model_parameters: "'{}'",
  environment: "t.environment",
  tags: "t.tags",
  public: "t.public",
  bookmarked: "t.bookmarked",
  created_at: "t.created_at",
  updated_at: "t.updated_at",
  event_ts: "t.event_ts",
  version: "ifNull(t.version, '')",
  release: "ifNull(t.release, '')",
  user_id: "ifNull(t.user_id, '')",
  session_id: "ifNull(t.session_id, '')",
  input: "ifNull(t.input, '')",
  output: "ifNull(t.output, '')",
  metadata_names: "mapKeys(t.metadata)",
  metadata_values: "mapValues(t.metadata)",
  source: HAS_RESOURCE("t.metadata"),
};

const { metadata_raw_values: _, ...OF_EVENTS } = COLUMNS;

/** Of an observation `o` and its trace `t`. */
const OBSERVATION_COLUMNS: Readonly<Record<string, string>> = {
  ...OF_EVENTS,
  parent_span_id: `multiIf(o.id = o.trace_id, '',
    o.parent_observation_id IS NOT NULL, assumeNotNull(o.parent_observation_id),
    concat('t-', o.trace_id))`,
  version: "if(o.version IS NOT NULL, assumeNotNull(o.version), ifNull(t.version, ''))",
  metadata_names: "mapKeys(o.metadata)",
  metadata_values: "mapValues(o.metadata)",
  source: HAS_RESOURCE("o.metadata"),
};

/** Of an item `i`; empty where none reaches the span. */
const EXPERIMENT_COLUMNS: Readonly<Record<string, string>> = {
  experiment_id: "i.dataset_run_id",
  experiment_name: "i.dataset_run_name",
  experiment_description: "ifNull(i.dataset_run_description, '')",
  experiment_metadata_names: "mapKeys(i.dataset_run_metadata)",
  experiment_metadata_values: "mapValues(i.dataset_run_metadata)",
  experiment_dataset_id: "i.dataset_id",
  experiment_item_id: "i.dataset_item_id",
  experiment_item_version: "i.dataset_item_version",
  experiment_item_expected_output: "ifNull(i.dataset_item_expected_output, '')",
  experiment_item_metadata_names: "mapKeys(i.dataset_item_metadata)",
  experiment_item_metadata_values: "mapValues(i.dataset_item_metadata)",
  experiment_item_root_span_id: "i.root_span",
};

/** Rows that an item reaches carry the time of writing; here they all carry this. */
export const TIME_OF_WRITING = "toDateTime64('2000-01-01 00:00:00', 6)";
const TIMES_OF_WRITING = ["created_at", "updated_at", "event_ts"];

const NAMED = "(SELECT project_id, trace_id FROM dataset_run_items_rmt FINAL)";

/** Writes what each of the phases must write for a month into the table `into`, a clone of the target that is made for it. */
export async function writeV4Reference(
  server: TestServer,
  scope: V4Scope,
  into: string,
  phases: readonly ("roots" | "observations" | "experiments")[] = ["roots", "observations", "experiments"],
): Promise<void> {
  const { database, partition, target } = scope;
  const command = (sql: string): Promise<void> =>
    server.command(sql, { database, settings: { optimize_on_insert: 0, join_use_nulls: 0 } });
  await command(`CREATE TABLE ${identifier(into)} AS ${identifier(target)}`);
  const insert = async (columns: Readonly<Record<string, string>>, from: string): Promise<void> => {
    const names = Object.keys(columns).map(identifier).join(", ");
    const items = Object.entries(columns).map(([name, sql]) => `${sql} AS \`event_${name}\``);
    await command(`INSERT INTO ${identifier(into)} (${names}) SELECT ${items.join(", ")} FROM ${from}`);
  };
  const traces = `(${tracesSelect({ database, partition, target })})`;
  const sourceColumns = await columnNames(server, database, "observations");
  const newer = NEWER_COLUMNS.filter((column) => sourceColumns.has(column));
  const observationColumns = {
    ...OBSERVATION_COLUMNS,
    ...Object.fromEntries(newer.map((column) => [column, `o.${column}`])),
  };
  if (phases.includes("roots")) {
    const inMonth = `toYYYYMM(t.timestamp) = ${Number(partition)}`;
    await insert(ROOT_COLUMNS, `${traces} AS t WHERE ${inMonth} AND (t.project_id, t.id) NOT IN ${NAMED}`);
  }
  if (phases.includes("observations")) {
    const observations = `(SELECT * FROM observations FINAL
      WHERE _partition_id = '${Number(partition)}' AND (project_id, trace_id) NOT IN ${NAMED})`;
    await insert(
      observationColumns,
      `${observations} AS o LEFT JOIN ${traces} AS t ON t.project_id = o.project_id AND t.id = o.trace_id`,
    );
  }
  if (!phases.includes("experiments")) return;
  const reached = await writeReachedSpans(server, database);
  const items = `(SELECT r.project_id AS project_id, r.trace_id AS trace_id, r.span_id AS span_id, r.root_span AS root_span, d.*
    FROM ${identifier(reached)} AS r JOIN dataset_run_items_rmt AS d FINAL
      ON d.project_id = r.project_id AND d.dataset_run_id = r.run_id AND d.id = r.item_id)`;
  const all = `(${newestTraces("traces", `(project_id, id) IN ${NAMED}`)})`;
  const columnsOf = (base: Readonly<Record<string, string>>): Record<string, string> => ({
    ...base,
    ...EXPERIMENT_COLUMNS,
    ...Object.fromEntries(
      TIMES_OF_WRITING.map((time) => [time, `if(notEmpty(i.root_span), ${TIME_OF_WRITING}, ${base[time]})`]),
    ),
  });
  await insert(
    columnsOf(ROOT_COLUMNS),
    `${all} AS t LEFT JOIN ${items} AS i
      ON i.project_id = t.project_id AND i.trace_id = t.id AND i.span_id = concat('t-', t.id)`,
  );
  await insert(
    columnsOf(observationColumns),
    `(SELECT * FROM observations FINAL WHERE (project_id, trace_id) IN ${NAMED}) AS o
      LEFT JOIN ${all} AS t ON t.project_id = o.project_id AND t.id = o.trace_id
      LEFT JOIN ${items} AS i ON i.project_id = o.project_id AND i.trace_id = o.trace_id AND i.span_id = o.id`,
  );
}

interface Span {
  readonly trace: string;
  readonly id: string;
  readonly parent: string;
}

interface Item {
  readonly trace: string;
  readonly root: string;
  readonly run: string;
  readonly id: string;
}

/** Finds the newest item above each span by walking up, and writes it down in a table, whose name it returns. */
async function writeReachedSpans(server: TestServer, database: string): Promise<string> {
  const table = `reached_${crypto.randomUUID().replaceAll("-", "")}`;
  // Texts travel as hexadecimal digits, since they may be no UTF-8; a trace is its project and its id.
  const trace = (project: string, id: string): string => `concat(hex(${project}), ' ', hex(${id}))`;
  const items = await server.queryJson<Item>(
    `SELECT ${trace("project_id", "trace_id")} AS trace, hex(dataset_run_id) AS run, hex(d.id) AS id,
      hex(if(ifNull(observation_id, '') = '', concat('t-', trace_id), assumeNotNull(observation_id))) AS root
    FROM dataset_run_items_rmt AS d FINAL ORDER BY d.event_ts DESC, d.created_at DESC, d.id DESC`,
    { database },
  );
  const spans = await server.queryJson<Span>(
    `SELECT ${trace("project_id", "trace_id")} AS trace, hex(o.id) AS id,
      hex(if(ifNull(parent_observation_id, '') = '' OR o.id = trace_id, concat('t-', trace_id), assumeNotNull(parent_observation_id))) AS parent
    FROM observations AS o FINAL WHERE (project_id, trace_id) IN ${NAMED} ORDER BY event_ts DESC`,
    { database },
  );
  const roots = await server.queryJson<Span>(
    `SELECT ${trace("t.project_id", "t.id")} AS trace, hex(concat('t-', t.id)) AS id, '' AS parent
    FROM (${newestTraces("traces", `(project_id, id) IN ${NAMED}`)}) AS t`,
    { database },
  );
  const parents = new Map<string, string>();
  for (const span of [...roots, ...spans]) {
    const key = `${span.trace} ${span.id}`;
    if (!parents.has(key)) parents.set(key, `${span.trace} ${span.parent}`);
  }
  const order = new Map(items.map((item, i) => [item, i]));
  const newestOf = new Map<string, Item>();
  for (const item of items) {
    const key = `${item.trace} ${item.root}`;
    if (parents.has(key) && !newestOf.has(key)) newestOf.set(key, item);
  }
  const rows: string[] = [];
  for (const span of parents.keys()) {
    const seen = new Set<string>();
    let best: Item | null = null;
    for (let at: string | undefined = span; at !== undefined && !seen.has(at); at = parents.get(at)) {
      seen.add(at);
      const item = newestOf.get(at);
      if (item !== undefined && (best === null || (order.get(item) ?? 0) < (order.get(best) ?? 0)))
        best = item;
    }
    if (best === null) continue;
    const [project, traceId, id] = span.split(" ");
    rows.push([project, traceId, id, best.run, best.id, best.root].join("\t"));
  }
  await server.command(
    `CREATE TABLE ${table} (project_id String, trace_id String, span_id String, run_id String, item_id String, root_span String) ENGINE = Memory`,
    { database },
  );
  const columns = ["project_id", "trace_id", "span_id", "run_id", "item_id", "root_span"];
  await server.command(
    `CREATE TABLE ${table}_hex (${columns.map((name) => `${name} String`).join(", ")}) ENGINE = Memory`,
    {
      database,
    },
  );
  await server.insertRaw(
    `INSERT INTO ${table}_hex FORMAT TabSeparated`,
    Buffer.from(`${rows.join("\n")}\n`),
    { database },
  );
  await server.command(
    `INSERT INTO ${table} SELECT ${columns.map((name) => `unhex(${name})`).join(", ")} FROM ${table}_hex`,
    { database },
  );
  return table;
}
