import { pause } from "../abortable.ts";
import { type WaitNotice, waitForMerges } from "../clickhouse/merge-wait.ts";
import { backoffMs, OperationError, type RetryPolicy, withRetry } from "../clickhouse/retry.ts";
import type { QueryParams, QuerySettings, Server } from "../clickhouse/server.ts";
import { type Refusal, refusalOf, TransportError } from "../clickhouse/server-errors.ts";
import { identifier, literal } from "../clickhouse/sql.ts";
import { objectText } from "../json/object-text.ts";
import {
  type EnrichmentScope,
  enrichedCountsSql,
  enrichmentSql,
  fromHex,
  hasJson,
  JSON_COLUMN,
  METADATA_ITEMS,
  observationsNamed,
  ROW_ID,
} from "../mapping/enrichment-sql.ts";
import type { ResolvedMapping } from "../mapping/resolve-mapping.ts";
import { describeRange, type KeyRange } from "../plan/key-range.ts";
import { type Page, type PlanScope, planPages } from "../plan/pages.ts";
import { rangeCondition } from "../plan/source-key.ts";
import type { SplitNotice } from "./careful-insert.ts";
import { InsertSize } from "./insert-size.ts";
import type { PageResult } from "./page-result.ts";
import { cancelQuery, outcomeOf } from "./running-query.ts";

/** What copying on the server takes. */
export interface ServerCopy {
  readonly server: Server;
  readonly scope: PlanScope;
  readonly mapping: ResolvedMapping;
  readonly enrichment: EnrichmentScope;
  /** The quoted table. */
  readonly target: string;
  /** Sent with each INSERT … SELECT, beside what every INSERT has. */
  readonly settings: QuerySettings;
  /** The most rows of a statement. */
  readonly rows: number;
  /** Whether text becomes JSON in a SELECT as it does in an INSERT. */
  readonly castsJson: boolean;
  /** Count, and insert nothing. */
  readonly dryRun: boolean;
  /** Begins the ids of the queries; no other copier may have the same one. */
  readonly queryIdPrefix: string;
  readonly retry: RetryPolicy;
  /** How long an INSERT waits for merges; 0: it does not. */
  readonly maxWaitMs: number;
  readonly onWait: (notice: WaitNotice) => void;
  readonly onSplit: (notice: SplitNotice) => void;
  /** Resolves when a statement of so many rows may begin. Rejects with the reason of the retry policy's signal. */
  readonly admit: (rows: number) => Promise<void>;
  /** The most rows of a statement at the rate of the moment. */
  readonly maxRows: () => number;
  /** Records a page whose rows are acknowledged. */
  readonly onCopied: (page: Page, done: PageResult) => void;
  /** Takes a page that another engine must copy: a value is rejected, or SQL is not certain of the JSON of a row. */
  readonly onRefused: (page: Page, reason: string) => void;
}

/**
 * Copies pages by one INSERT … SELECT each, so that no row leaves the server. A page that is too large for it is halved, and the next ones
 * are smaller; they grow back slowly.
 */
export class ServerCopier {
  readonly #copy: ServerCopy;
  readonly #size: InsertSize;
  #queries = 0;

  constructor(copy: ServerCopy) {
    this.#copy = copy;
    this.#size = new InsertSize(copy.rows);
  }

  /** Copies a page. Rejects with an OperationError, or with the reason of the retry policy's signal. */
  async copyPage(page: Page): Promise<void> {
    if (page.plannedRows > this.#rows() * SPLIT_FROM_SIZES) {
      await this.#copyParts(page);
      return;
    }
    const { retry, onSplit, onRefused, target } = this.#copy;
    const operation = `Inserting into ${target}, ${describeRange(page.range)}`;
    for (let halvings = 0; ; halvings++) {
      retry.signal.throwIfAborted();
      const refusal = await this.#insert(operation, page);
      if (refusal === null) {
        this.#size.grow();
        return;
      }
      if (refusal.reason === "data") {
        onRefused(page, refusal.error.message);
        return;
      }
      onSplit({ reason: "size", operation, message: refusal.error.message });
      this.#size.shrink(Math.max(1, Math.floor(page.plannedRows / 2)));
      // What used up the memory or the time may be other queries.
      await pause(backoffMs(halvings, Math.random()), retry.signal);
      const parts = await this.#partsOf(page);
      if (parts.length > 1) {
        for (const part of parts) await this.copyPage(part);
        return;
      }
      if (halvings >= retry.maxRetries) throw new OperationError(operation, refusal.error);
    }
  }

  async #copyParts(page: Page): Promise<void> {
    const parts = await this.#partsOf(page);
    if (parts.length > 1) for (const part of parts) await this.copyPage(part);
    else await this.copyPage({ ...page, plannedRows: this.#rows() });
  }

  /** The most rows of the next statement. */
  #rows(): number {
    return Math.min(this.#size.rows, this.#copy.maxRows());
  }

  async #partsOf(page: Page): Promise<Page[]> {
    const { scope } = this.#copy;
    return await Array.fromAsync(planPages({ ...scope, pageRows: this.#rows() }, [page.range]));
  }

  /** Inserts a page's rows. Resolves to null once they are stored, or to the refusal of the server. */
  async #insert(operation: string, page: Page): Promise<Refusal | null> {
    const { mapping, castsJson, retry, maxWaitMs, admit, onWait, onCopied, onRefused, dryRun } = this.#copy;
    const { done, inexact, inexactIds } = await this.#count(page.range);
    const isCertain = inexact <= MAX_INEXACT_ROWS && (castsJson || !hasJson(mapping));
    const texts = isCertain ? await this.#inexactTexts(operation, page.range, inexactIds) : null;
    if (texts === null) {
      onRefused(page, "its metadata holds JSON that the server's SQL may read differently");
      return null;
    }
    // Not before it is known that the page goes this way: the rate is that of what is copied.
    await admit(done.rows);
    if (dryRun) {
      onCopied(page, done);
      return null;
    }
    const refusal = await withRetry(operation, retry, async () => {
      const wait = { maxWaitMs, onWait, signal: retry.signal };
      try {
        await waitForMerges(operation, wait, () => this.#insertOnce(page.range, texts));
        return null;
      } catch (error) {
        // Halves come next instead of the same rows.
        const refusal = refusalOf(error);
        if (refusal === null) throw error;
        return refusal;
      }
    });
    if (refusal === null) onCopied(page, done);
    return refusal;
  }

  async #insertOnce(range: KeyRange, texts: ReadonlyMap<string, string>): Promise<void> {
    const { mapping, enrichment, scope } = this.#copy;
    const condition = rangeCondition(scope.key, range);
    if (texts.size === 0) {
      const { sql, params, columns } = enrichmentSql(mapping, enrichment, condition);
      await this.#run(columns, sql, params);
      return;
    }
    const { sql, params, columns } = enrichmentSql(mapping, enrichment, condition, [ROW_ID]);
    const names = columns.filter((name) => name !== ROW_ID.name);
    const [ids, values] = [texts.keys(), texts.values()].map((all) => [...all].map(literal).join(", "));
    const json = `transform(${ROW_ID.name}, [${ids}], [${values}], ${identifier(JSON_COLUMN)})`;
    const list = names.map((name) => (name === JSON_COLUMN ? json : identifier(name))).join(", ");
    await this.#run(names, `SELECT ${list} FROM (${sql})`, params, { max_query_size: MAX_QUERY_BYTES });
  }

  /**
   * The JSON, made here, of rows of whose JSON the server's SQL is not certain, by their ids. Null where a statement cannot hold it. Rejects
   * with an OperationError.
   */
  async #inexactTexts(
    operation: string,
    range: KeyRange,
    ids: readonly string[],
  ): Promise<ReadonlyMap<string, string> | null> {
    if (ids.length === 0) return new Map();
    const { server, scope, mapping, enrichment, settings, retry } = this.#copy;
    const rows = observationsNamed(rangeCondition(scope.key, range), ids);
    const items = [ROW_ID, ...METADATA_ITEMS];
    const { sql, params } = enrichmentSql({ ...mapping, copied: [] }, enrichment, rows, items);
    const statement = {
      kind: "count",
      sql: `SELECT ${ROW_ID.name}, __names, __values FROM (${sql})`,
      params,
      settings: joinSettings(settings),
    } as const;
    return await server.query(operation, statement, retry, (found) => {
      const texts = new Map<string, string>();
      let bytes = 0;
      for (const [id, names, values] of found) {
        const text = objectText(fromHex(names), fromHex(values), mapping.keptJson).toString();
        bytes += 2 * text.length;
        if (bytes > MAX_QUERY_BYTES / 4) return null;
        texts.set(String(id), text);
      }
      return texts;
    });
  }

  async #run(
    names: readonly string[],
    select: string,
    params: QueryParams,
    more: QuerySettings = {},
  ): Promise<void> {
    const { server, target, settings, queryIdPrefix, retry } = this.#copy;
    const id = `${queryIdPrefix}${++this.#queries}`;
    const sql = `INSERT INTO ${target} (${names.map(identifier).join(", ")}) ${select}`;
    try {
      await server.insertSelect({ id, sql, params, settings: { ...settings, ...more } }, retry.signal);
    } catch (error) {
      if (retry.signal.aborted) {
        await cancelQuery(server, id);
        throw error;
      }
      // The connection is lost, and the query may go on without it.
      if (!(error instanceof TransportError)) throw error;
      const failure = await outcomeOf(server, id, error, retry.signal);
      if (failure !== null) throw failure;
    }
  }

  /** Counts a range's rows in the source and those that are inserted, before they are. */
  async #count(range: KeyRange): Promise<PageCounts> {
    const { mapping, enrichment, scope } = this.#copy;
    const condition = rangeCondition(scope.key, range);
    const operation = `Counting ${scope.table}, ${describeRange(range)}`;
    const { alias } = scope.key;
    const trace = enrichment.phase === "roots" ? "t.id" : "o.trace_id";
    const items = enrichment.datasetRunItems;
    const isLeftOut =
      items === null
        ? "0"
        : `(${alias}.project_id, ${trace}) IN (SELECT i.project_id, i.trace_id FROM ${items} AS i FINAL)`;
    const all = `SELECT count(), countIf(${isLeftOut})
      FROM ${scope.table} AS ${alias} FINAL WHERE ${alias}._partition_id = {partition:String} AND ${condition.sql}`;
    const params = { ...condition.params, partition: scope.partition };
    const [[rows = 0, leftOut = 0]] = await this.#counts(operation, all, params);
    const enriched = enrichedCountsSql(mapping, enrichment, condition, MAX_INEXACT_ROWS);
    const [[inserted = 0, withoutTrace = 0, inexact = 0], inexactIds] = await this.#counts(
      operation,
      enriched.sql,
      enriched.params,
    );
    const superseded = Math.max(0, rows - inserted - leftOut);
    return { done: { rows, leftOut, superseded, withoutTrace, bytes: 0 }, inexact, inexactIds };
  }

  /** The numbers of a query's row, and the ids that follow them. */
  async #counts(operation: string, sql: string, params: QueryParams): Promise<[number[], string[]]> {
    const { server, settings, retry } = this.#copy;
    const statement = { kind: "count", sql, params, settings: joinSettings(settings) } as const;
    return await server.query(operation, statement, retry, ([row]) => {
      const items: readonly unknown[] = row ?? [];
      const numbers = items.filter((item) => !Array.isArray(item)).map(Number);
      if (numbers.length === 0 || !numbers.every(Number.isSafeInteger)) {
        throw new TransportError("No numbers came back");
      }
      return [numbers, items.filter(Array.isArray).flat().map(String)];
    });
  }
}

/** What a page holds, before it is copied. */
interface PageCounts {
  readonly done: PageResult;
  /** Rows of whose JSON the server's SQL is not certain, and the ids of as many of them as are copied one by one. */
  readonly inexact: number;
  readonly inexactIds: readonly string[];
}

/** More of them are copied by this program: each takes a place in the text of a statement. */
const MAX_INEXACT_ROWS = 1_000;
const MAX_QUERY_BYTES = 4 * 2 ** 20;

/** A page of no more than this multiple of the size at hand is copied as it is. */
const SPLIT_FROM_SIZES = 1.5;

/** Settings of the join and of memory, which counting needs as well. */
function joinSettings(settings: QuerySettings): QuerySettings {
  return Object.fromEntries(
    Object.entries(settings).filter(
      ([name]) => !name.startsWith("min_insert") && name !== "max_insert_threads",
    ),
  );
}
