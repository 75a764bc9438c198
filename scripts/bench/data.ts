/** Statements that make a month of data to measure with, on the server itself, from numbers and hashes. */
import {
  datasetRunItemsTable,
  eventsCoreTables,
  eventsFullTable,
  eventsTable,
  observationsTable,
  tracesTable,
} from "../testbed/schema.ts";

export interface DataSize {
  readonly observations: number;
  readonly traces: number;
  /** Other seeds, other data. */
  readonly seed: number;
  /**
   * "group": all observations are of one (project, type, day). "wide": each has an input of 50 kB. "runs": the traces have an input and an
   * output of their own, the observations are those of the first traces, and an item of a dataset run names each of these.
   */
  readonly shape: "month" | "group" | "wide" | "runs";
}

export const PARTITION = "202511";
/** Raised when the statements below change, so that old data is replaced. */
export const DATA_VERSION = 5;

const MONTH_START = "toDateTime64('2025-11-01 00:00:00', 3)";
const MONTH_MS = 30 * 86_400_000;
const DAY_MS = 86_400_000;
const WIDE_INPUT_BYTES = 50_000;
const TRACE_TEXT_BYTES = 200;
const OBSERVATIONS_OF_A_RUN_TRACE = 50;

/** How many of every 64 traces each project has. */
const PROJECT_SHARES = {
  cm1q8wz5e000108l4f7v2a9xk: 30,
  cm2d3b7ny000208jm6t4c8sre: 14,
  cm3f9kx2p000308lb1h5g7wqu: 9,
  cm4t6vj8a000408mi0y3n2dzo: 5,
  cm5p1rs4h000508kx9b7e6mcl: 3,
  cm6w8ld0u000608ja5q2v4tgi: 2,
  cm7z4nf6c000708lo8k1x3yhb: 1,
};

/** The vocabulary of inputs and outputs: compresses about as natural text does. */
const WORDS = (
  "the of and to a in is that for it as was with be by on not he his but at are this have from or had an they which " +
  "one you were all her she there would their we him been has when who will no more if out so up said what its about " +
  "than into them can only other time new some could these two may first then do any like my now over such our man me " +
  "even most made after also well did many before must through years where much your way down should because long " +
  "people each just state those how too little good world make very year still see own work men day get here old life " +
  "between both under last never place same another think house while high right might came off find states since used " +
  'give against three himself look few general without during "role": "assistant", "content": temperature customer ' +
  "invoice contract retrieval document embedding response latency question summary context confidence instruction"
).split(" ");

const METADATA_ENTRIES = [
  ["'langgraph_step'", "toString(H('step') % 40)"],
  ["'thread_id'", "lower(hex(H('thread')))"],
  ["'scope'", `concat('{"name":"langfuse-sdk","version":"3.', toString(H('sdk') % 9), '.1"}')`],
  [
    "'resourceAttributes'",
    `concat('{"service.name":"api-', toString(H('service') % 30), '","process.pid":', toString(H('pid') % 9999), '}')`,
  ],
  ["'tenant'", "concat('tenant-', toString(H('tenant') % 300))"],
  ["'region'", "['eu-west-1', 'us-east-1', 'ap-south-1'][1 + H('region') % 3]"],
] as const;

/** The tables that are measured into: the event tables and their copies that keep nothing. */
export const TABLES = {
  source: "observations",
  events: "events",
  eventsFull: "events_full",
  eventsCore: "events_core",
  eventsNull: "events_null",
  eventsPlain: "events_plain",
  eventsFullNull: "events_full_null",
  datasetRunItems: "dataset_run_items_rmt",
  observationsNull: "observations_null",
} as const;

/** Statements that make empty tables. */
export function tableStatements(): string[] {
  return [
    tracesTable("traces"),
    observationsTable("observations"),
    eventsTable(TABLES.events),
    eventsFullTable(TABLES.eventsFull),
    ...eventsCoreTables({
      full: TABLES.eventsFull,
      core: TABLES.eventsCore,
      view: `${TABLES.eventsCore}_mv`,
    }),
    eventsTable(TABLES.eventsNull, { engine: "Null" }),
    eventsFullTable(TABLES.eventsFullNull, { engine: "Null" }),
    datasetRunItemsTable(TABLES.datasetRunItems),
    plainEventsTable(),
    observationsTable(TABLES.observationsNull, { engine: "Null" }),
  ];
}

/** Events that are neither kept nor computed: only the columns that are inserted. */
function plainEventsTable(): string {
  const lines = eventsTable(TABLES.eventsPlain, { engine: "Null" }).split("\n");
  return lines.filter((line) => !/ (MATERIALIZED|ALIAS) /.test(line)).join("\n");
}

/** Statements that fill the source tables and leave them in one part each. */
export function dataStatements(size: DataSize): { what: string; sql: string }[] {
  return [
    { what: `${size.traces.toLocaleString("en-US")} traces`, sql: traces(size) },
    { what: `${size.observations.toLocaleString("en-US")} observations`, sql: observations(size) },
    { what: "traces in one part", sql: "OPTIMIZE TABLE traces FINAL" },
    { what: "observations in one part", sql: "OPTIMIZE TABLE observations FINAL" },
    ...(size.shape === "runs" ? [{ what: "the items of a dataset run", sql: ITEMS }] : []),
  ];
}

/** Traces that have observations: the first ones. */
export function tracesWithSpans({ observations: count, traces, shape }: DataSize): number {
  return shape === "runs" ? Math.ceil(count / OBSERVATIONS_OF_A_RUN_TRACE) : traces;
}

const ITEMS = `INSERT INTO ${TABLES.datasetRunItems}
  (id, project_id, dataset_run_id, dataset_item_id, dataset_id, trace_id, created_at, updated_at, dataset_run_name, dataset_run_created_at,
   event_ts, is_deleted)
SELECT concat('item-', id), project_id, 'run', id, 'dataset', id, timestamp, timestamp, 'run', ${MONTH_START}, ${MONTH_START}, 0
FROM traces WHERE id IN (SELECT trace_id FROM observations)`;

function traces(size: DataSize): string {
  const { traces: count, seed, shape } = size;
  return withHashes(
    seed,
    `INSERT INTO traces
  (id, timestamp, name, user_id, metadata, release, version, project_id, environment, public, bookmarked, tags,
   input, output, session_id, created_at, updated_at, event_ts, is_deleted)
WITH number AS n, ${traceStart("n", shape)} AS started
SELECT ${traceId("n")}, started, ['chat', 'rag-answer', 'agent run', 'summarise document'][1 + H('name') % 4],
  if(H('no user') % 10 = 0, NULL, concat('user-', toString(H('user') % 20000))),
  map('channel', ['web', 'mobile', 'email', 'api'][1 + H('channel') % 4], 'tenant', concat('tenant-', toString(H('tenant') % 300)),
    'experiment', concat('{"arm":', toString(H('arm') % 3), ',"enrolled":true}')),
  concat('2.', toString(H('release') % 20)), if(H('version') % 3 = 0, NULL, '2025-11'),
  ${projectId("n", shape)}, ['production', 'production', 'staging'][1 + H('environment') % 3], H('public') % 20 = 0, H('bookmarked') % 15 = 0,
  arrayFilter(tag -> cityHash64(tag, ${seed}, n) % 3 = 0, ['vip', 'beta', 'needs review', 'eu']), ${traceText("question", size)}, ${traceText("response", size)},
  if(H('no session') % 4 = 0, NULL, lower(hex(cityHash64('session', ${seed}, intDiv(n, 4))))),
  started, started, started, 0
FROM numbers(${count})`,
  );
}

function observations(size: DataSize): string {
  const { observations: count, seed, shape } = size;
  const traceCount = tracesWithSpans(size);
  const type =
    shape === "group"
      ? "'GENERATION'"
      : "['GENERATION', 'GENERATION', 'GENERATION', 'SPAN', 'SPAN', 'SPAN', 'SPAN', 'TOOL', 'TOOL', 'EVENT'][1 + H('type') % 10]";
  const entries = METADATA_ENTRIES.map(([key, value]) => `(${key}, ${value})`).join(", ");
  // Neighbours in the list, from a place that differs by row: 2 to 4 of the entries.
  const metadata = `arraySlice(arrayRotateLeft([${entries}], toUInt8(H('entries') % ${METADATA_ENTRIES.length})), 1, 2 + H('entry count') % 3)`;
  return withHashes(
    seed,
    `INSERT INTO observations
  (id, trace_id, project_id, environment, type, parent_observation_id, start_time, end_time, name, metadata, level, status_message,
   version, input, output, provided_model_name, internal_model_id, model_parameters, provided_usage_details, usage_details,
   provided_cost_details, cost_details, total_cost, completion_start_time, prompt_id, prompt_name, prompt_version,
   created_at, updated_at, event_ts, is_deleted)
WITH number AS n, n % ${traceCount} AS trace, intDiv(n, ${traceCount}) AS place, ${type} AS kind, kind = 'GENERATION' AS is_generation,
  ${traceStart("trace", shape)} + toIntervalMillisecond(${shape === "group" ? 0 : "place * 350"}) AS started,
  started + toIntervalMillisecond(20 + H('duration') % 9000) AS ended,
  if(is_generation, map('input', 20 + H('in') % 4000, 'output', 10 + H('out') % 900, 'total', 30 + H('in') % 4000 + H('out') % 900),
    CAST(map() AS Map(String, UInt64))) AS usage,
  if(is_generation, map('input', toDecimal64((H('in') % 4000) * 0.0000025, 12), 'output', toDecimal64((H('out') % 900) * 0.00001, 12)),
    CAST(map() AS Map(String, Decimal64(12)))) AS costs
SELECT lower(hex(H('id'))), ${traceId("trace")}, ${projectId("trace", shape)}, ['production', 'production', 'staging'][1 + cityHash64('environment', ${seed}, trace) % 3],
  kind, if(place = 0, NULL, lower(hex(cityHash64('id', ${seed}, n - ${traceCount})))), started, ended,
  ['ChatOpenAI', 'retrieve documents', 'plan', 'rank results', 'tool call', 'LangGraph'][1 + H('name') % 6],
  CAST(${metadata} AS Map(String, String)), ['DEFAULT', 'DEFAULT', 'DEFAULT', 'DEBUG', 'WARNING', 'ERROR'][1 + H('level') % 6],
  if(H('status') % 12 = 0, 'rate limited, retried', NULL), if(H('version') % 2 = 0, NULL, '1.4.0'),
  ${input(size)}, ${text("output", seed, 15)},
  if(is_generation, ['gpt-4o', 'gpt-4o-mini', 'claude-sonnet-4-5', 'mistral-large-2411'][1 + H('model') % 4], NULL),
  if(is_generation, 'clxmodel0000a1b2c3d4e5f6', NULL), if(is_generation, '{"temperature":0.7,"max_tokens":1024}', NULL),
  usage, usage, map(), costs, if(is_generation, costs['input'] + costs['output'], NULL),
  if(is_generation, started + toIntervalMillisecond(200), NULL),
  if(is_generation, 'cmprompt0000a1b2c3d4e5f6', NULL), if(is_generation, 'answer politely', NULL), if(is_generation, toUInt16(1 + H('prompt') % 12), NULL),
  started, ended, ended, 0
FROM numbers(${count})
SETTINGS max_block_size = 16384, max_insert_threads = 2, min_insert_block_size_bytes = 268435456`,
  );
}

/** Of a wide row, the same text over and over: what crosses the network counts, not how well it compresses. */
function input({ seed, shape }: DataSize): string {
  const words = text("input", seed, 26);
  const content = shape === "wide" ? `substring(repeat(${words}, 500), 1, ${WIDE_INPUT_BYTES})` : words;
  return `concat('[{"role":"user","content":"', ${content}, '"}]')`;
}

function traceText(purpose: string, { seed, shape }: DataSize): string {
  return shape === "runs"
    ? `substring(${text(purpose, seed, TRACE_TEXT_BYTES / 4)}, 1, ${TRACE_TEXT_BYTES})`
    : "NULL";
}

/** Words of the vocabulary, many texts short and few long: `scale` words at least, twelve times as many at most. */
function text(purpose: string, seed: number, scale: number): string {
  const words = WORDS.map((word) => `'${word.replaceAll('"', '\\\\"')}'`).join(", ");
  const count = `toUInt32(${scale} * exp(2.5 * (H('${purpose} length') % 10007) / 10007))`;
  return `arrayStringConcat(arrayMap(i -> [${words}][1 + cityHash64('${purpose}', ${seed}, n, i) % ${WORDS.length}], range(${count})), ' ')`;
}

function traceStart(row: string, shape: DataSize["shape"]): string {
  return `(${MONTH_START} + toIntervalMillisecond(H('start', ${row}) % ${shape === "group" ? DAY_MS : MONTH_MS - DAY_MS}))`;
}

function traceId(row: string): string {
  return `lower(hex(sipHash128('trace', H('trace', ${row}))))`;
}

function projectId(row: string, shape: DataSize["shape"]): string {
  const projects = Object.entries(PROJECT_SHARES).flatMap(([id, share]) =>
    new Array<string>(share).fill(`'${id}'`),
  );
  return shape === "group"
    ? `${projects[0]}`
    : `[${projects.join(", ")}][1 + H('project', ${row}) % ${projects.length}]`;
}

/** Writes out `H('purpose')` and `H('purpose', row)`: a number that depends on the seed, the row and the purpose only. */
function withHashes(seed: number, sql: string): string {
  return sql.replace(/\bH\('([^']+)'(?:, (\w+))?\)/g, (_, purpose: string, row: string | undefined) => {
    return `cityHash64('${purpose}', ${seed}, ${row ?? "n"})`;
  });
}
