/**
 * The way one would write it first: rows as JSON, an object each, a Map of traces, one page after another.
 *
 *   bun scripts/bench/naive.ts <URL> <target table>
 */
import { windowDates } from "../../src/plan/trace-window.ts";
import { PARTITION } from "./data.ts";
import { BATCH_ROWS, openPages, pageSource } from "./pages.ts";

interface Trace {
  readonly project_id: string;
  readonly id: string;
  readonly name: string;
  readonly user_id: string | null;
  readonly session_id: string | null;
  readonly release: string | null;
  readonly version: string | null;
  readonly tags: readonly string[];
  readonly public: boolean;
  readonly bookmarked: boolean;
  readonly metadata: Readonly<Record<string, string>>;
}

interface Observation {
  readonly id: string;
  readonly trace_id: string;
  readonly project_id: string;
  readonly parent_observation_id: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly version: string | null;
  readonly internal_model_id: string | null;
  readonly model_parameters: string | null;
  readonly [column: string]: unknown;
}

const [url = "", table = ""] = process.argv.slice(2);
const reading = await openPages(url);
const { client } = reading;
const traces = await loadTraces();
let rows = 0;
for await (const page of reading.pages) {
  const { sql, params } = pageSource(page);
  const response = await client.query({
    query: `SELECT ${columns()} ${sql}`,
    query_params: params,
    format: "JSONEachRow",
    clickhouse_settings: reading.readSettings,
  });
  let batch: object[] = [];
  for await (const chunk of response.stream<Observation>()) {
    for (const row of chunk) {
      batch.push(enrich(row.json()));
      if (batch.length < BATCH_ROWS) continue;
      await insert(batch);
      batch = [];
    }
  }
  if (batch.length > 0) await insert(batch);
}
await reading.close();
console.log(JSON.stringify({ rows }));

function columns(): string {
  return `o.id, o.trace_id, o.project_id, o.parent_observation_id, o.metadata, o.version, o.internal_model_id, o.model_parameters,
    o.start_time, o.end_time, o.completion_start_time, o.name, o.type, o.environment, o.level, o.status_message, o.input, o.output,
    o.provided_model_name, o.prompt_id, o.prompt_name, o.prompt_version, o.provided_usage_details, o.usage_details,
    o.provided_cost_details, o.cost_details, o.created_at, o.updated_at, o.event_ts, o.is_deleted`;
}

async function loadTraces(): Promise<Map<string, Trace>> {
  const response = await client.query({
    query: `SELECT project_id, id, name, user_id, session_id, release, version, tags, public, bookmarked, metadata
      FROM traces FINAL WHERE toDate(timestamp) >= {from:Date} AND toDate(timestamp) < {until:Date}`,
    query_params: { ...windowDates(PARTITION, 2) },
    format: "JSONEachRow",
  });
  const found = new Map<string, Trace>();
  for await (const chunk of response.stream<Trace>()) {
    for (const row of chunk) {
      const trace = row.json();
      found.set(`${trace.project_id}/${trace.id}`, trace);
    }
  }
  return found;
}

function enrich(observation: Observation): object {
  const trace = traces.get(`${observation.project_id}/${observation.trace_id}`);
  const { id, parent_observation_id: parent, internal_model_id, version, ...same } = observation;
  const { attributes: _, ...traceMetadata } = trace?.metadata ?? {};
  const metadata = { ...traceMetadata, ...observation.metadata };
  const rootSpan = `t-${observation.trace_id}`;
  return {
    ...same,
    span_id: id,
    parent_span_id: id === rootSpan ? "" : parent || rootSpan,
    model_id: internal_model_id ?? "",
    model_parameters: observation.model_parameters ?? "{}",
    version: version || (trace?.version ?? ""),
    user_id: trace?.user_id ?? "",
    session_id: trace?.session_id ?? "",
    release: trace?.release ?? "",
    tags: trace?.tags ?? [],
    public: trace?.public ?? false,
    bookmarked: !parent && (trace?.bookmarked ?? false),
    metadata: Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, parsed(value)])),
    metadata_names: Object.keys(metadata),
    metadata_raw_values: Object.values(metadata),
    source: "resourceAttributes" in metadata ? "otel" : "ingestion-api",
  };
}

function parsed(value: string): unknown {
  // Digits may make a number that is too large for the column.
  if (!value.startsWith("{") && !value.startsWith("[")) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

async function insert(batch: readonly object[]): Promise<void> {
  await client.insert({
    table,
    values: batch,
    format: "JSONEachRow",
    // Columns of observations may be NULL where those of events may not.
    clickhouse_settings: { ...reading.writeSettings, input_format_null_as_default: 1 },
  });
  rows += batch.length;
}
