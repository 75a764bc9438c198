import type { Condition } from "../clickhouse/key-range-sql.ts";
import { TransportError } from "../clickhouse/server-errors.ts";
import { identifier } from "../clickhouse/sql.ts";
import { NO_ITEM, newestItems } from "../copy/experiments/reach.ts";
import {
  itemsOf,
  observationConditions,
  observationsOf,
  parentKeySql,
  ROOT_KEY_SQL,
  traceCondition,
} from "../copy/experiments/statements.ts";
import { SPAN_KEY } from "../mapping/resolve-mapping.ts";
import { namedTracesIn, planExperimentPages } from "../plan/experiment-pages.ts";
import { describeRange, type KeyRange } from "../plan/key-range.ts";
import type { Page } from "../plan/pages.ts";
import { inParallel } from "../run/in-parallel.ts";
import type { DifferenceKind } from "./classify.ts";
import {
  type ComparedColumn,
  type ComparedRows,
  defaultOf,
  digestSql,
  digestsSql,
  expectedRows,
  hasKey,
  isOursSql,
  KEY_DIGEST,
  keyTextsSql,
  microsSql,
  namedKey,
  targetRows,
} from "./compared-rows.ts";
import type { DifferenceOptions, Example } from "./differences.ts";
import type { Findings } from "./findings.ts";
import type { VerifiedExperiments, VerifyScope } from "./scope.ts";

/** What was compared of the traces that dataset runs name. */
export interface ComparedExperiments {
  readonly expectedRows: number;
  readonly actualRows: number;
  readonly pages: number;
}

/** Rows of a page: what this program holds of them are some hundred bytes each. */
const PAGE_ROWS = 50_000;

/** A run gives these the time of writing where an item reaches the row. */
const TIMES_OF_WRITING: readonly string[] = ["created_at", "updated_at", "event_ts"];

/**
 * Compares the month's rows of the traces that dataset runs name, page by page. The server says what the rows are without experiments, and
 * this program which item reaches which span, as in a run. `ranges` are key ranges of that phase. Rejects with an OperationError, or
 * with the signal's reason.
 */
export async function compareExperiments(
  scope: VerifyScope,
  options: DifferenceOptions,
  found: Findings,
  ranges: readonly KeyRange[],
): Promise<ComparedExperiments> {
  const { experiments, server, retry, parallelQueries } = scope;
  const sum = { expectedRows: 0, actualRows: 0, pages: 0 };
  if (experiments === null || ranges.length === 0) return sum;
  const { tables } = experiments;
  const plain = await plainItem(scope, experiments.columns);
  const pages = await planExperimentPages({ server, tables, pageRows: PAGE_ROWS, retry }, ranges);
  await inParallel(pages, parallelQueries, async (page) => {
    const verification = new ExperimentVerification(scope, experiments, plain, page, options);
    const { expectedRows, actualRows } = await verification.run(found);
    sum.expectedRows += expectedRows;
    sum.actualRows += actualRows;
    sum.pages++;
  });
  return sum;
}

/** A row that a run writes. */
interface ExpectedRow {
  readonly base: string;
  readonly times: string;
  readonly versionMicros: bigint;
  /** What the item says that reaches the row's span; null: none does. */
  readonly item: Item | null;
}

/** Digests of an item's columns, the experiment columns of the rows that it reaches. */
interface Item {
  readonly all: string;
  readonly columns: readonly string[];
}

/** A row of the target. */
interface ActualRow {
  readonly base: string;
  readonly times: string;
  readonly experiment: string;
  readonly versionMicros: bigint;
  readonly isOurs: boolean;
}

class ExperimentVerification {
  readonly #scope: VerifyScope;
  readonly #experiments: VerifiedExperiments;
  readonly #plain: Item;
  readonly #page: Page;
  readonly #options: DifferenceOptions;
  readonly #counts = new Map<DifferenceKind, number>();
  readonly #keys = new Map<DifferenceKind, string[]>();

  /** `plain`: what rows hold that no item reaches. */
  constructor(
    scope: VerifyScope,
    experiments: VerifiedExperiments,
    plain: Item,
    page: Page,
    options: DifferenceOptions,
  ) {
    this.#scope = scope;
    this.#experiments = experiments;
    this.#plain = plain;
    this.#page = page;
    this.#options = options;
  }

  async run(found: Findings): Promise<Omit<ComparedExperiments, "pages">> {
    const items = await this.#itemsBySpan();
    const expected = await this.#expected(items);
    const actual = await this.#actual();
    const met = new Set<string>();
    for (const [key, row] of actual) {
      const kind = met.has(key) ? "differing" : this.#verdict(expected.get(key) ?? [], row);
      met.add(key);
      if (kind !== null) this.#note(kind, key);
    }
    for (const key of expected.keys()) if (!met.has(key)) this.#note("missing", key);
    found.addExperiments(this.#page.range, this.#counts, await this.#examples(items));
    const expectedRows = expected.values().reduce((sum, rows) => sum + rows.length, 0);
    return { expectedRows, actualRows: actual.length };
  }

  #verdict(wanted: readonly ExpectedRow[], row: ActualRow): DifferenceKind | null {
    const [first] = wanted;
    const { ignoreNewer } = this.#options;
    if (first === undefined) return ignoreNewer && !row.isOurs ? "newer" : "unexpected";
    const isSame = ({ base, times, item }: ExpectedRow): boolean =>
      base === row.base &&
      (item ?? this.#plain).all === row.experiment &&
      (item !== null || times === row.times);
    if (wanted.some(isSame)) return null;
    // A row that an item reaches carries the time of writing, which says nothing of its version.
    if (first.item === null && row.versionMicros < first.versionMicros) return "stale";
    const isNewer = first.item === null && row.versionMicros > first.versionMicros;
    return ignoreNewer && (isNewer || !row.isOurs) ? "newer" : "differing";
  }

  #note(kind: DifferenceKind, key: string): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    const known = this.#keys.get(kind) ?? [];
    this.#keys.set(kind, known);
    if (known.length < this.#options.examples) known.push(key);
  }

  /** The items that reach the page's spans, by the keys of the spans. */
  async #itemsBySpan(): Promise<ReadonlyMap<string, Item>> {
    const { tables, itemColumns, hasParents, columns } = this.#experiments;
    const from = itemsOf(tables, this.#page);
    const cast = columns.map(({ name, type }) => {
      const sql = itemColumns.find((column) => column.name === name)?.sql ?? defaultOf(type);
      return `CAST(${sql} AS ${type}) AS ${identifier(name)}`;
    });
    const itemRows = await this.#query(
      `SELECT ${itemDigests(columns)}, hex(r.__root_key)
        FROM (SELECT ${[...cast, `${ROOT_KEY_SQL} AS __root_key`, "i.event_ts AS __ts", "i.created_at AS __created", "i.id AS __id"].join(", ")}
          FROM ${from.sql}) AS r ORDER BY r.__ts DESC, r.__created DESC, r.__id DESC`,
      from.params,
    );
    const observations = observationsOf(tables, this.#page);
    const spanRows = await this.#query(
      `SELECT hex(${SPAN_KEY.observation}), hex(${parentKeySql(hasParents)})
        FROM ${observations.sql} ORDER BY o.event_ts DESC`,
      observations.params,
    );
    const spans = new SpanNumbers();
    for (const key of await this.#rootSpans()) spans.add(key, key);
    for (const [key, parent] of spanRows) spans.add(String(key), String(parent));
    const items = itemRows.map(itemOf);
    const newest = newestItems(spans.tree(itemRows.map((row) => String(row[2]))));
    return new Map(
      spans.keys().flatMap((key, span) => {
        const item = items[newest[span] as number];
        return newest[span] === NO_ITEM || item === undefined ? [] : [[key, item] as const];
      }),
    );
  }

  /** The keys of the root rows that the page's traces become, whatever their month. */
  async #rootSpans(): Promise<string[]> {
    const rows = this.#plainRows("roots", null);
    if (rows === null) return [];
    const result = await this.#query(`SELECT hex(r.__span_key) FROM (${rows.sql}) AS r`, rows.params);
    return result.map(([key]) => String(key));
  }

  /** The page's rows of a phase, without experiments; of all months where `partition` is null. */
  #plainRows(phaseName: "roots" | "observations", partition: string | null): ComparedRows | null {
    const phase = this.#scope.phases.find(({ enrichment }) => enrichment.phase === phaseName);
    if (phase === undefined) return null;
    const { tables } = this.#experiments;
    const isOfRoots = phaseName === "roots";
    const enrichment = {
      ...phase.enrichment,
      partition,
      window: { datasetRunItems: tables.items },
      datasetRunItems: null,
    };
    const spanKey = {
      name: "__span_key",
      sql: isOfRoots ? SPAN_KEY.root : SPAN_KEY.observation,
    };
    const condition = isOfRoots
      ? traceCondition(tables, this.#page)
      : both(observationConditions(tables, this.#page));
    return expectedRows(phase.mapping, enrichment, condition, this.#scope.columns, [spanKey]);
  }

  async #expected(items: ReadonlyMap<string, Item>): Promise<Map<string, ExpectedRow[]>> {
    const expected = new Map<string, ExpectedRow[]>();
    for (const phase of ["roots", "observations"] as const) {
      const rows = this.#plainRows(phase, this.#scope.partition);
      if (rows === null) continue;
      const sql = `SELECT hex(${KEY_DIGEST}), ${this.#baseDigests()}, toString(${microsSql("event_ts")}), hex(r.__span_key)
        FROM (${rows.sql}) AS r`;
      for (const row of await this.#query(sql, rows.params)) {
        const [key = "", base = "", times = "", version = "", span = ""] = row.map(String);
        const ofKey = expected.get(key) ?? [];
        ofKey.push({ base, times, versionMicros: BigInt(version), item: items.get(span) ?? null });
        expected.set(key, ofKey);
      }
    }
    return expected;
  }

  /** Digests of all columns but the times of writing and the experiment's, and of those times. */
  #baseDigests(): string {
    const isTime = ({ name }: ComparedColumn): boolean => TIMES_OF_WRITING.includes(name);
    const { columns } = this.#scope;
    return `hex(${digestSql(columns.filter((column) => !isTime(column)))}), hex(${digestSql(columns.filter(isTime))})`;
  }

  #targetRows(): ComparedRows {
    const { target, inMonth, columns } = this.#scope;
    const { tables, columns: ofItems } = this.#experiments;
    const named = namedTracesIn(tables.items, this.#page.range);
    const ofPage = { sql: `(t.project_id, t.trace_id) IN ${named.sql}`, params: named.params };
    return targetRows(target, [...columns, ...ofItems], [inMonth, ofPage]);
  }

  /** The rows of the target by their keys. */
  async #actual(): Promise<[string, ActualRow][]> {
    const rows = this.#targetRows();
    const sql = `SELECT hex(${KEY_DIGEST}), ${this.#baseDigests()}, hex(${digestSql(this.#experiments.columns)}),
        toString(${microsSql("event_ts")}), ${isOursSql(this.#scope.columns, this.#options.sources)}
      FROM (${rows.sql}) AS r`;
    return (await this.#query(sql, rows.params)).map((row) => {
      const [key = "", base = "", times = "", experiment = "", version = "", isOurs] = row.map(String);
      return [key, { base, times, experiment, versionMicros: BigInt(version), isOurs: isOurs === "1" }];
    });
  }

  async #examples(items: ReadonlyMap<string, Item>): Promise<Example[]> {
    const wanted = [...this.#keys.values()].flat();
    if (wanted.length === 0) return [];
    const { columns } = this.#scope;
    const ofItems = this.#experiments.columns;
    const detailed = async (rows: ComparedRows, rest: string): Promise<unknown[][]> =>
      await this.#query(
        `SELECT hex(${KEY_DIGEST}), [${keyTextsSql()}], ${digestsSql(columns)}, ${rest} FROM (${rows.sql}) AS r WHERE ${hasKey(wanted)}`,
        rows.params,
      );
    const expected = new Map<string, DetailedRow>();
    for (const phase of ["roots", "observations"] as const) {
      const rows = this.#plainRows(phase, this.#scope.partition);
      if (rows === null) continue;
      for (const [key, texts, digests, span] of await detailed(rows, "hex(r.__span_key)")) {
        const item = items.get(String(span));
        const ofItem = (item ?? this.#plain).columns;
        expected.set(String(key), {
          key: namedKey(texts),
          columns: [...list(digests), ...ofItem],
          isReached: item !== undefined,
        });
      }
    }
    const actual = new Map<string, DetailedRow>();
    for (const [key, texts, digests, more] of await detailed(this.#targetRows(), digestsSql(ofItems))) {
      actual.set(String(key), {
        key: namedKey(texts),
        columns: [...list(digests), ...list(more)],
        isReached: false,
      });
    }
    const names = [...columns, ...ofItems].map(({ name }) => name);
    return [...this.#keys].flatMap(([kind, keys]) =>
      keys.flatMap((key): Example[] => {
        const [a, b] = [expected.get(key), actual.get(key)];
        const row = a ?? b;
        if (row === undefined) return [];
        const differ = names.filter(
          (name, i) =>
            a !== undefined &&
            b !== undefined &&
            a.columns[i] !== b.columns[i] &&
            !(a.isReached && TIMES_OF_WRITING.includes(name)),
        );
        return [{ kind, key: row.key, columns: differ }];
      }),
    );
  }

  async #query(sql: string, params: Condition["params"]): Promise<unknown[][]> {
    const { server, retry } = this.#scope;
    const operation = `Comparing dataset runs, ${describeRange(this.#page.range)}`;
    return await server.query(
      operation,
      { kind: "count", sql, params, settings: this.#scope.settings },
      retry,
    );
  }
}

/** A row's key as text, and a digest of each column. */
interface DetailedRow {
  readonly key: Readonly<Record<string, string>>;
  readonly columns: readonly string[];
  /** An item reaches it. */
  readonly isReached: boolean;
}

function both({ keys, newest }: ReturnType<typeof observationConditions>): Condition {
  return { sql: `${keys.sql} AND ${newest.sql}`, params: { ...keys.params, ...newest.params } };
}

/** What rows hold that no item reaches. */
async function plainItem(
  { server, retry, settings }: VerifyScope,
  columns: readonly ComparedColumn[],
): Promise<Item> {
  const defaults = columns.map(
    ({ name, type }) => `CAST(${defaultOf(type)} AS ${type}) AS ${identifier(name)}`,
  );
  const sql = `SELECT ${itemDigests(columns)} FROM (SELECT ${[...defaults, "1 AS one"].join(", ")}) AS r`;
  const statement = { kind: "count", sql, settings } as const;
  const [row = []] = await server.query("Reading the defaults of experiments", statement, retry);
  return itemOf(row);
}

function itemDigests(columns: readonly ComparedColumn[]): string {
  return `hex(${digestSql(columns)}), ${digestsSql(columns)}`;
}

function itemOf([all, columns]: readonly unknown[]): Item {
  return { all: String(all), columns: list(columns) };
}

function list(value: unknown): string[] {
  if (!Array.isArray(value)) throw new TransportError("No digests came back");
  return value.map(String);
}

/** Spans by number, each with its parent. */
class SpanNumbers {
  readonly #numbers = new Map<string, number>();
  readonly #parents: string[] = [];

  /** Of several rows of one span the first, which is the newest, says what its parent is. */
  add(key: string, parent: string): void {
    if (this.#numbers.has(key)) return;
    this.#numbers.set(key, this.#numbers.size);
    this.#parents.push(parent);
  }

  keys(): string[] {
    return [...this.#numbers.keys()];
  }

  /** `rootKeys` are the keys of the spans that items name, the newest item first. */
  tree(rootKeys: readonly string[]): { parents: Int32Array; items: Int32Array } {
    const items = new Int32Array(this.#numbers.size).fill(NO_ITEM);
    for (let item = rootKeys.length - 1; item >= 0; item--) {
      const span = this.#numbers.get(rootKeys[item] ?? "");
      if (span !== undefined) items[span] = item;
    }
    return { parents: Int32Array.from(this.#parents, (parent) => this.#numbers.get(parent) ?? -1), items };
  }
}
