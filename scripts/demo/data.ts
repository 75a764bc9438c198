/** Statements that make a month of lifelike data on the server itself, from numbers and hashes. */

export interface DemoSize {
  readonly observations: number;
  readonly traces: number;
  /** Other seeds, other data. */
  readonly seed: number;
}

const SUBJECTS = [
  "the refund policy for annual plans",
  "a shipment that is stuck in customs",
  "the quarterly revenue by region",
  "a failing login on mobile",
  "the difference between two invoices",
  "an outage in the billing service",
  "the onboarding checklist for new hires",
  "a contract that expires next month",
];
const SENTENCES = [
  "Let me look that up in the knowledge base before I answer.",
  "According to the document from March, the limit was raised to 5,000 requests a day.",
  "The customer asked twice, so I would rather apologise first and then explain.",
  "I found three matching records; only the last one is still open.",
  "Please keep the answer short and mention the ticket number.",
  "The tool returned an empty list, which usually means the filter was too narrow.",
  "Trying again with a broader query and a smaller page size.",
  'Result: {"status": "ok", "items": 12, "next": null}.',
  "Größere Beträge müssen zweimal geprüft werden, steht in der Richtlinie.",
  "That is good news 🙂 and the case can be closed.",
  "If nothing else helps, hand over to a human colleague with a summary.",
  "Confidence is high because two independent sources agree.",
];

/** 1 November 2025, the month of the demo. */
const MONTH_START = "toDateTime64('2025-11-01 00:00:00', 3)";
const MONTH_MS = 30 * 86_400_000;

/** The statements that fill `traces` and `observations`, in order: old versions, then newer ones, then deletions. */
export function dataStatements(size: DemoSize): { what: string; sql: string }[] {
  return [
    { what: "traces, old versions", sql: traces(size, "old") },
    { what: "traces", sql: traces(size, "newest") },
    { what: "deleted traces", sql: traces(size, "deleted") },
    { what: "observations, old versions", sql: observations(size, "old") },
    { what: "observations", sql: observations(size, "newest") },
    { what: "deleted observations", sql: observations(size, "deleted") },
  ];
}

type Version = "old" | "newest" | "deleted";

/** Which rows have a version of that kind: all have a newest one, a tenth an old one, few a deletion. */
function hasVersion(version: Version, table: string, seed: number): string {
  if (version === "newest") return "1";
  return version === "old" ? `${dice(table, seed, 10)} = 1` : `${dice(`${table} deleted`, seed, 200)} = 1`;
}

/** A number below `limit` that depends on the row and the purpose only. */
function dice(purpose: string, seed: number, limit: number, row = "n"): string {
  return `cityHash64('${purpose}', ${seed}, ${row}) % ${limit}`;
}

function pick(purpose: string, seed: number, values: readonly string[], row = "n"): string {
  const list = values.map((value) => `'${value}'`).join(", ");
  return `[${list}][1 + ${dice(purpose, seed, values.length, row)}]`;
}

function traceId(seed: number, row: string): string {
  return `lower(hex(sipHash128('trace', ${seed}, ${row})))`;
}

/** A trace in two is of the largest project, one in sixteen of the smallest. */
function projectId(seed: number, row: string): string {
  const shares = {
    "shop-assistant": 8,
    "docs-search": 4,
    "billing-bot": 2,
    "internal-evals": 1,
    playground: 1,
  };
  const projects = Object.entries(shares).flatMap(([project, share]) => Array<string>(share).fill(project));
  return pick("project", seed, projects, row);
}

/** In milliseconds after the start of the month. */
function traceStartMs(seed: number, row: string): string {
  return dice("start", seed, MONTH_MS, row);
}

/** Prose of 0.4 to 2.5 kB about a subject. */
function prose(purpose: string, seed: number): string {
  const sentences = SENTENCES.map((sentence) => `'${sentence}'`).join(", ");
  return `arrayStringConcat(arrayMap(
      i -> [${sentences}][1 + cityHash64('${purpose}', ${seed}, n, i) % ${SENTENCES.length}],
      range(6 + ${dice(`${purpose} length`, seed, 30)})), ' ')`;
}

function traces({ traces: count, seed }: DemoSize, version: Version): string {
  const isDeleted = version === "deleted" ? 1 : 0;
  const age = { old: 0, newest: 60, deleted: 3600 }[version];
  // Every fiftieth trace was never stored; its observations were.
  return `INSERT INTO traces
  (id, timestamp, name, user_id, metadata, release, version, project_id, environment, public, bookmarked, tags,
   input, output, session_id, created_at, updated_at, event_ts, is_deleted)
WITH number AS n, ${MONTH_START} + toIntervalMillisecond(${traceStartMs(seed, "n")}) AS started
SELECT ${traceId(seed, "n")}, started, concat('answer about ', ${pick("subject", seed, SUBJECTS)}),
  if(${dice("no user", seed, 10)} = 0, NULL, concat('user-', toString(${dice("user", seed, 2000)}))),
  map('channel', ${pick("channel", seed, ["web", "mobile", "email", "api"])},
    'tenant', toString(${dice("tenant", seed, 90)}),
    'experiment', concat('{"arm":', toString(${dice("arm", seed, 3)}), ',"enrolled":true}')),
  ${version === "old" ? "NULL" : `concat('2.', toString(${dice("release", seed, 20)}))`},
  if(${dice("version", seed, 3)} = 0, NULL, '2025-11'),
  ${projectId(seed, "n")}, ${pick("environment", seed, ["production", "production", "staging"])},
  ${dice("public", seed, 20)} = 0, ${dice("bookmarked", seed, 15)} = 0,
  arrayFilter(tag -> cityHash64(tag, ${seed}, n) % 3 = 0, ['vip', 'beta', 'needs review', 'größer', 'eu']),
  'question', 'answer', if(${dice("no session", seed, 4)} = 0, NULL, lower(hex(cityHash64('session', ${seed}, intDiv(n, 4))))),
  started, started + ${age}, started + ${age}, ${isDeleted}
FROM numbers(${count})
WHERE ${dice("missing", seed, 50)} != 0 AND ${hasVersion(version, "trace", seed)}`;
}

function observations(size: DemoSize, version: Version): string {
  const { observations: count, traces: traceCount, seed } = size;
  const isDeleted = version === "deleted" ? 1 : 0;
  const age = { old: 0, newest: 30, deleted: 3600 }[version];
  // An unfinished observation, as it was stored at first, has no end and no output.
  const isFinished = version === "old" ? 0 : 1;
  // Early traces have many observations, late ones few.
  const traceOf = (row: string): string =>
    `toUInt64(${Math.max(traceCount, 1)} * pow((${row}) / ${count}, 0.7))`;
  const observationId = (row: string): string => `lower(hex(cityHash64('observation', ${seed}, ${row})))`;
  return `INSERT INTO observations
  (id, trace_id, project_id, environment, type, parent_observation_id, start_time, end_time, name, metadata, level,
   status_message, version, input, output, provided_model_name, internal_model_id, model_parameters,
   provided_usage_details, usage_details, provided_cost_details, cost_details, total_cost, completion_start_time,
   prompt_id, prompt_name, prompt_version, created_at, updated_at, event_ts, is_deleted)
WITH number AS n, ${traceOf("n")} AS trace,
  ${MONTH_START} + toIntervalMillisecond(${traceStartMs(seed, "trace")} + ${dice("offset", seed, 90_000)}) AS started,
  started + toIntervalMillisecond(50 + ${dice("duration", seed, 20_000)}) AS ended,
  ${pick("type", seed, ["SPAN", "SPAN", "SPAN", "GENERATION", "GENERATION", "GENERATION", "TOOL", "AGENT", "EVENT"])} AS kind,
  kind = 'GENERATION' AS is_generation,
  toUInt64(200 + ${dice("input tokens", seed, 3000)}) AS input_tokens,
  toUInt64(20 + ${dice("output tokens", seed, 900)}) AS output_tokens,
  if(is_generation, map('input', input_tokens, 'output', output_tokens, 'total', input_tokens + output_tokens), map()) AS usage,
  if(is_generation, map('input', toDecimal64(input_tokens, 12) / 400000, 'output', toDecimal64(output_tokens, 12) / 100000,
    'total', toDecimal64(input_tokens, 12) / 400000 + toDecimal64(output_tokens, 12) / 100000), map()) AS costs
SELECT ${observationId("n")}, ${traceId(seed, "trace")}, ${projectId(seed, "trace")},
  ${pick("environment", seed, ["production", "production", "staging"], "trace")}, kind,
  if(n > 0 AND ${traceOf("n - 1")} = trace, ${observationId("n - 1")}, NULL),
  started, if(${isFinished}, ended, NULL),
  concat(${pick("verb", seed, ["retrieve", "plan", "call model", "rank", "summarise"])}, ' ', toString(${dice("step", seed, 9)})),
  map('langgraph_step', toString(${dice("step", seed, 30)}), 'thread_id', lower(hex(cityHash64('thread', ${seed}, trace))),
    'scope', '{"name":"langfuse-sdk","version":"3.8.1","attributes":{"public_key":"pk-lf-demo"}}',
    ${pick("origin", seed, ["resourceAttributes", "channel", "attributes"])},
    concat('{"telemetry.sdk.language":"python","service.name":"', kind, '","pid":', toString(${dice("pid", seed, 9999)}), '}')),
  ${pick("level", seed, ["DEFAULT", "DEFAULT", "DEFAULT", "DEBUG", "WARNING", "ERROR"])},
  if(${dice("status", seed, 9)} = 0, 'rate limited, retried', NULL), if(${dice("version", seed, 2)} = 0, NULL, '1.4.0'),
  concat('[{"role":"user","content":', toJSONString(concat('Tell me about ', ${pick("subject", seed, SUBJECTS)}, '. ', ${prose("input", seed)})), '}]'),
  if(${isFinished}, concat('{"role":"assistant","content":', toJSONString(${prose("output", seed)}), '}'), NULL),
  if(is_generation, ${pick("model", seed, ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "mistral-large-2411"])}, NULL),
  if(is_generation, ${pick("model id", seed, ["clm0a1", "clm0b2", "clm0c3"])}, NULL),
  if(is_generation, concat('{"temperature":0.', toString(${dice("temperature", seed, 10)}), ',"max_tokens":1024}'), NULL),
  usage, usage, map(), costs, if(is_generation, costs['total'], NULL),
  if(is_generation AND ${isFinished}, started + toIntervalMillisecond(40), NULL),
  if(is_generation, 'prm-7', NULL), if(is_generation, 'answer politely', NULL), if(is_generation, toUInt16(1 + ${dice("prompt", seed, 12)}), NULL),
  started, started + ${age}, started + ${age}, ${isDeleted}
FROM numbers(${count}) WHERE ${hasVersion(version, "observation", seed)}
SETTINGS max_block_size = 8192`;
}
