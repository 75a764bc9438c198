import type { TestServer } from "../../scripts/testbed/server.ts";
import { identifier } from "../../src/clickhouse/sql.ts";

/** Where dataset runs, observations and live traces are read; the last is a SELECT of (project_id, id). */
export interface SpanSources {
  readonly database: string;
  readonly items: string;
  readonly observations: string;
  readonly liveTraces: string;
}

/** A span and the item that wins it; all values in hex, whose order is that of the bytes. */
export interface Assignment {
  readonly project: string;
  readonly trace: string;
  readonly span: string;
  readonly item: Item;
}

export interface Item {
  readonly project: string;
  readonly dataset: string;
  readonly run: string;
  readonly id: string;
  readonly trace: string;
  readonly rootSpan: string;
  readonly eventTs: number;
  readonly createdAt: number;
}

interface Span {
  readonly project: string;
  readonly trace: string;
  readonly span: string;
  readonly parent: string;
}

/** `t-` in hex. */
const ROOT_PREFIX = "742D";

/** The spans of dataset runs that current items reach, each with the newest of those items. */
export async function assignSpans(server: TestServer, sources: SpanSources): Promise<Assignment[]> {
  const { database } = sources;
  const items = await server.queryJson<Item>(
    `SELECT hex(project_id) AS project, hex(dataset_id) AS dataset, hex(dataset_run_id) AS run, hex(id) AS id,
      hex(trace_id) AS trace, hex(if(ifNull(observation_id, '') = '', concat('t-', trace_id), observation_id)) AS rootSpan,
      toUnixTimestamp64Milli(event_ts) AS eventTs, toUnixTimestamp64Milli(created_at) AS createdAt
    FROM ${identifier(sources.items)} FINAL`,
    { database },
  );
  const named = `SELECT project_id, trace_id FROM ${identifier(sources.items)} FINAL`;
  const spans = await server.queryJson<Span>(
    `SELECT hex(project_id) AS project, hex(trace_id) AS trace, hex(id) AS span,
      hex(multiIf(id = trace_id, '', parent_observation_id IS NULL, concat('t-', trace_id), parent_observation_id)) AS parent
    FROM ${identifier(sources.observations)} FINAL WHERE (project_id, trace_id) IN (${named}) ORDER BY event_ts`,
    { database },
  );
  const traces = await server.queryJson<{ project: string; trace: string }>(
    `SELECT hex(project_id) AS project, hex(id) AS trace FROM (${sources.liveTraces})
    WHERE (project_id, id) IN (${named})`,
    { database },
  );
  const live = new Set(traces.map(keyOf));
  const spansOf = Map.groupBy(spans, keyOf);
  return [...Map.groupBy(items, keyOf)].flatMap(([key, ofTrace]) =>
    assignInTrace(ofTrace, spansOf.get(key) ?? [], live.has(key)),
  );
}

function keyOf({ project, trace }: { readonly project: string; readonly trace: string }): string {
  return `${project}/${trace}`;
}

/** Walks from every span up to all that it hangs below, and takes the newest item that names one of them. */
function assignInTrace(items: readonly Item[], spans: readonly Span[], hasRootRow: boolean): Assignment[] {
  const [first] = items;
  if (first === undefined) return [];
  const { project, trace } = first;
  const root = `${ROOT_PREFIX}${trace}`;
  const ids = [...new Set([root, ...spans.map(({ span }) => span)])];
  const indexOf = new Map(ids.map((id, index) => [id, index]));
  // Observations may share an id: the newest one says what the span hangs below, and a trace's root row hangs below nothing.
  const parentOf = new Map(spans.map(({ span, parent }) => [span, parent === "" ? root : parent]));
  if (hasRootRow) parentOf.delete(root);
  const parents = ids.map((id) => {
    const parent = parentOf.get(id);
    return parent === undefined ? -1 : (indexOf.get(parent) ?? -1);
  });
  const exists = (id: string): boolean =>
    id === root ? hasRootRow || spans.some(({ span }) => span === root) : indexOf.has(id);
  const itemAt: (Item | undefined)[] = ids.map(() => undefined);
  for (const item of items) {
    const index = indexOf.get(item.rootSpan);
    if (index !== undefined && exists(item.rootSpan)) itemAt[index] = newer(itemAt[index], item);
  }
  const visited = new Int32Array(ids.length).fill(-1);
  return ids.flatMap((span, start) => {
    let item: Item | undefined;
    for (let at = start; at >= 0 && visited[at] !== start; at = parents[at] ?? -1) {
      visited[at] = start;
      item = newer(item, itemAt[at]);
    }
    return item === undefined ? [] : [{ project, trace, span, item }];
  });
}

function newer(a: Item | undefined, b: Item | undefined): Item | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.eventTs !== b.eventTs) return a.eventTs > b.eventTs ? a : b;
  if (a.createdAt !== b.createdAt) return a.createdAt > b.createdAt ? a : b;
  return a.id > b.id ? a : b;
}
