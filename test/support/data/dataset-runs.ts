import { datasetRunItemsTable, type ObservationsGeneration } from "../../../scripts/testbed/schema.ts";
import type { TestServer } from "../../../scripts/testbed/server.ts";

/** What dataset runs are made beside. */
export interface DatasetRunOptions {
  readonly database: string;
  readonly seed: number;
  /** The columns that the items have; the newer ones unless said otherwise. */
  readonly generation?: ObservationsGeneration;
  /** Spans below each other in one trace. */
  readonly chainSpans?: number;
}

const CHAIN_SPANS = 300;
/** The project of the traces that are written by hand. */
export const BY_HAND = "by hand";

/**
 * Makes the table of the items of dataset runs beside traces and observations that are there, and adds traces whose trees are odd. The same
 * for the same data and seed. Items name: whole traces by NULL and by an empty text, spans within, spans that are not there, traces that are
 * nowhere; some name one span twice, with every kind of tie; of some the newest version is deleted or names another trace.
 */
export async function makeDatasetRuns(server: TestServer, options: DatasetRunOptions): Promise<void> {
  const { database, seed, generation = "newer", chainSpans = CHAIN_SPANS } = options;
  const command = (sql: string): Promise<void> => server.command(sql, { database });
  await command(datasetRunItemsTable("dataset_run_items_rmt", { mergesOff: true, generation }));
  await command(oddTrees(chainSpans));
  await command(ODD_TRACES);
  const version = generation === "newer" ? ", dataset_item_version" : "";
  const columns = `(id, project_id, dataset_run_id, dataset_item_id, dataset_id, trace_id, observation_id, created_at, updated_at,
    dataset_run_name, dataset_run_description, dataset_run_metadata, dataset_run_created_at, dataset_item_input,
    dataset_item_expected_output, dataset_item_metadata, event_ts, is_deleted${version})`;
  const insert = (set: ItemSet): Promise<void> =>
    command(`INSERT INTO dataset_run_items_rmt ${columns} ${itemsSelect(set, seed, generation)}`);
  for (const set of ITEM_SETS) await insert(set);
}

/** Items for some of the rows that a SELECT of `project_id`, `trace_id` and `span` yields. */
interface ItemSet {
  readonly run: string;
  /** Rows whose hash leaves this rest by this divisor. */
  readonly every: number;
  readonly rest: number;
  readonly from: string;
  readonly observationId: string;
  readonly eventTs?: string;
  readonly isDeleted?: 0 | 1;
  /** Makes ids of items that another set has, too. */
  readonly ids?: string;
  readonly traceId?: string;
}

const BY_SEED = `WHERE project_id != '${BY_HAND}'`;
const TRACES = `SELECT DISTINCT project_id, id AS trace_id, '' AS span FROM traces ${BY_SEED}`;
const SPANS = `SELECT project_id, trace_id, id AS span FROM observations FINAL ${BY_SEED}`;
const HAND = (rows: readonly (readonly [string, string])[]): string =>
  `SELECT '${BY_HAND}' AS project_id, pair.1 AS trace_id, pair.2 AS span FROM (SELECT arrayJoin([${rows
    .map(([trace, span]) => `('${trace}', '${span}')`)
    .join(", ")}]) AS pair)`;
const NULL_SPAN = "CAST(NULL AS Nullable(String))";

const ITEM_SETS: readonly ItemSet[] = [
  { run: "whole", every: 14, rest: 0, from: TRACES, observationId: NULL_SPAN },
  { run: "whole, empty", every: 20, rest: 1, from: TRACES, observationId: "''" },
  { run: "inner", every: 30, rest: 2, from: SPANS, observationId: "span" },
  // Ties in event_ts, and in created_at as well: the id decides.
  { run: "inner, again", every: 60, rest: 2, from: SPANS, observationId: "span" },
  { run: "whole, again", every: 28, rest: 0, from: TRACES, observationId: NULL_SPAN },
  {
    run: "newer",
    every: 28,
    rest: 14,
    from: TRACES,
    observationId: NULL_SPAN,
    eventTs: "toDateTime64('2025-12-24 00:00:00', 3)",
  },
  { run: "nowhere", every: 40, rest: 3, from: TRACES, observationId: "'no such span'" },
  { run: "gone", every: 25, rest: 4, from: TRACES, observationId: NULL_SPAN, ids: "gone" },
  {
    run: "gone",
    every: 25,
    rest: 4,
    from: TRACES,
    observationId: NULL_SPAN,
    ids: "gone",
    eventTs: "toDateTime64('2026-01-02 00:00:00', 3)",
    isDeleted: 1,
  },
  { run: "moved", every: 25, rest: 5, from: TRACES, observationId: NULL_SPAN, ids: "moved" },
  {
    run: "moved",
    every: 25,
    rest: 5,
    from: TRACES,
    observationId: NULL_SPAN,
    ids: "moved",
    eventTs: "toDateTime64('2026-01-02 00:00:00', 3)",
    traceId: "concat('moved to ', trace_id)",
  },
  {
    run: "by hand",
    every: 1,
    rest: 0,
    from: HAND([
      ["chain", ""],
      ["chain", "chain 20"],
      ["circle", "circle 1"],
      ["self", "self 0"],
      ["months", ""],
      ["elsewhere", ""],
      ["no row", ""],
      ["no row", "child"],
      ["ghost", ""],
      ["repeated", "twice"],
    ]),
    observationId: "nullIf(span, '')",
  },
];

function itemsSelect(set: ItemSet, seed: number, generation: ObservationsGeneration): string {
  const {
    run,
    every,
    rest,
    from,
    observationId,
    eventTs,
    isDeleted = 0,
    ids = run,
    traceId = "trace_id",
  } = set;
  const hash = `cityHash64(project_id, trace_id, span, ${seed})`;
  const odd = (kind: string, value: string): string =>
    `if(cityHash64(${hash}, '${kind}') % 3 = 0, NULL, ${value})`;
  const entries = (kind: string): string => `multiIf(
    cityHash64(${hash}, '${kind}') % 4 = 0, map(),
    cityHash64(${hash}, '${kind}') % 4 = 1, map('key', 'first', 'key', 'second', '', ''),
    map('${kind}', concat('value ', trace_id), 'n\\0ul', '"\\\\'))`;
  const version =
    generation === "newer" ? `, ${odd("version", "toDateTime64('2025-10-01 01:02:03.456', 3)")}` : "";
  return `SELECT concat('${ids} ', toString(${hash})), project_id, 'run ${run}', concat('item ', toString(${hash} % 50)), 'dataset',
    ${traceId}, ${observationId}, toDateTime64('2025-11-01 00:00:00', 3) + toIntervalHour(${hash} % 1000), now64(3),
    'Run "${run}"', ${odd("description", `'about ${run}'`)}, ${entries("run")}, toDateTime64('2025-11-01 00:00:00', 3),
    ${odd("input", "'in'")}, ${odd("output", "concat('expected ', span, '\\n')")}, ${entries("item")},
    ${eventTs ?? "toDateTime64('2025-12-01 00:00:00', 3)"}, ${isDeleted}${version}
    FROM (${from}) WHERE ${hash} % ${every} = ${rest}`;
}

/** Traces with a deep chain of spans, circles, spans in several months, wholly elsewhere, without a row, and with one id twice. */
function oddTrees(chainSpans: number): string {
  const span = (
    trace: string,
    id: string,
    parent: string | null,
    start = "2025-11-10 10:00:00",
    type = "SPAN",
  ): string => `('${trace}', '${id}', ${parent === null ? "NULL" : `'${parent}'`}, '${start}', '${type}')`;
  const spans = [
    span("circle", "circle 0", "circle 2"),
    span("circle", "circle 1", "circle 0"),
    span("circle", "circle 2", "circle 1"),
    span("circle", "below", "circle 2"),
    span("circle", "beside", null),
    span("self", "self 0", "self 0"),
    span("self", "self 1", "self 0"),
    span("months", "before", null, "2025-08-31 23:59:59"),
    span("months", "within", "before"),
    span("months", "after", "within", "2026-02-01 00:00:00"),
    span("months", "lost", "no such parent"),
    span("elsewhere", "there", null, "2024-01-05 00:00:00"),
    span("no row", "top", null),
    span("no row", "child", "top"),
    span("no row", "grandchild", "child"),
    span("repeated", "twice", null),
    span("repeated", "twice", null, "2025-11-10 10:00:01", "EVENT"),
    span("repeated", "once", "twice"),
  ];
  const chain = `SELECT 'chain' AS trace_id, concat('chain ', toString(number)) AS id,
    if(number = 0, NULL, concat('chain ', toString(number - 1))) AS parent, '2025-11-15 00:00:00' AS start, 'SPAN' AS type
    FROM numbers(${chainSpans})`;
  return `INSERT INTO observations (project_id, trace_id, id, parent_observation_id, start_time, type, name, level, event_ts, created_at, updated_at, is_deleted)
    SELECT '${BY_HAND}', trace_id, id, parent, toDateTime64(start, 3), type, concat('name of ', id), 'DEFAULT',
      toDateTime64(start, 3) + INTERVAL 1 HOUR, toDateTime64(start, 3), toDateTime64(start, 3), 0
    FROM (${chain} UNION ALL
      SELECT s.1, s.2, s.3, s.4, s.5 FROM (SELECT arrayJoin([${spans.join(", ")}]) AS s))`;
}

const ODD_TRACES = `INSERT INTO traces (project_id, id, timestamp, name, environment, event_ts, created_at, updated_at, is_deleted)
  SELECT '${BY_HAND}', t.1, toDateTime64(t.2, 3), concat('trace ', t.1), 'default',
    toDateTime64(t.2, 3) + INTERVAL 2 HOUR, toDateTime64(t.2, 3), toDateTime64(t.2, 3), 0
  FROM (SELECT arrayJoin([('chain', '2025-11-15 00:00:00'), ('circle', '2025-11-10 10:00:00'), ('self', '2025-11-10 10:00:00'),
    ('months', '2025-09-01 00:00:00'), ('elsewhere', '2024-01-05 00:00:00'), ('repeated', '2025-11-10 10:00:00'),
    ('plain', '2025-11-30 23:59:59')]) AS t)`;
