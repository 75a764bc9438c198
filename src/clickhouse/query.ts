import { randomUUID } from "node:crypto";
import { beginningOf, describeWait, type QueryObserver } from "./query-observer.ts";
import { FIRST_QUERY_SETTINGS } from "./settings/first-settings.ts";
import type { StatementKind } from "./settings/required-settings.ts";
import type { StatementSettings } from "./settings/statement-settings.ts";
import type { QueryParams, QuerySettings, Statement } from "./statement.ts";
import type { Patience } from "./transport/byte-socket.ts";

/** A query under way: what is sent with it, and what is recorded of it. */
export interface Query {
  readonly id: string;
  readonly sql: string;
  readonly params: QueryParams;
  readonly settings: QuerySettings;
  /** Rows so far, of the response or written by an INSERT. */
  rows: number;
  /** Bytes so far, of the response or of an INSERT's data. */
  bytes: number;
  /** Records how it ended, null: well; only the first call counts. */
  readonly end: (error: unknown) => void;
  /** Reports that the server has been silent for so long. */
  readonly onQuiet: (sinceMs: number) => void;
}

/** Gives queries their ids and settings, and reports them to the observer. */
export class QueryLog {
  readonly #patience: Patience;
  readonly #observer: QueryObserver;
  readonly #idPrefix: string;
  #count = 0;
  /** Sent with each kind of statement; null until it is known which settings the server takes. */
  settings: StatementSettings | null;

  constructor(
    patience: Patience,
    settings: StatementSettings | null = null,
    observer: QueryObserver = {},
    idPrefix: string = randomUUID().slice(0, 8),
  ) {
    this.#patience = patience;
    this.settings = settings;
    this.#observer = observer;
    this.#idPrefix = idPrefix;
  }

  /** Begins a query of the statement's kind, or of `kind`. */
  begin({ sql, params, settings, isBare, ...statement }: Statement, kind?: StatementKind): Query {
    const actualKind = kind ?? statement.kind ?? "query";
    const ofKind = isBare === true ? {} : (this.settings?.[actualKind] ?? FIRST_QUERY_SETTINGS);
    const sent = { ...ofKind, ...settings };
    const id = statement.id ?? `clickhouse-backfill-${this.#idPrefix}-${++this.#count}`;
    const startedMs = performance.now();
    const { onQuery, onQuiet } = this.#observer;
    let isOver = false;
    const query: Query = {
      id,
      sql,
      params: params ?? {},
      settings: sent,
      rows: 0,
      bytes: 0,
      end: (error) => {
        if (isOver) return;
        isOver = true;
        onQuery?.({
          queryId: id,
          kind: actualKind,
          sql: beginningOf(sql),
          settings: sent,
          durationMs: performance.now() - startedMs,
          rows: query.rows,
          bytes: query.bytes,
          error: error === null ? null : error instanceof Error ? error.message : String(error),
        });
      },
      onQuiet: (sinceMs) =>
        onQuiet?.({ operation: describeWait(actualKind, sql), sinceMs, limitMs: this.#patience.timeoutMs }),
    };
    return query;
  }
}
