import type { StatementKind } from "./settings/required-settings.ts";
import type { QuerySettings } from "./statement.ts";

/** A query that has ended, one way or the other. */
export interface QueryRecord {
  /** As the server's logs name it. */
  readonly queryId: string;
  readonly kind: StatementKind;
  /** The beginning of the statement, on one line. */
  readonly sql: string;
  readonly settings: QuerySettings;
  readonly durationMs: number;
  /** Rows that came, or that an INSERT wrote. */
  readonly rows: number;
  /** Bytes of the response, or of an INSERT's data, before compression. */
  readonly bytes: number;
  /** The message of the error that ended it; null: none. */
  readonly error: string | null;
}

/** A server that is waited for and sends nothing. */
export interface QuietServer {
  /** What is waited for. */
  readonly operation: string;
  readonly sinceMs: number;
  /** The wait ends with an error then. */
  readonly limitMs: number;
}

/** Who follows the queries of a server. */
export interface QueryObserver {
  readonly onQuery?: (record: QueryRecord) => void;
  readonly onQuiet?: (quiet: QuietServer) => void;
}

const SQL_CHARACTERS = 160;

/** The beginning of a statement on one line, for messages. */
export function beginningOf(sql: string): string {
  const line = sql.replace(/\s+/g, " ").trim();
  return line.length <= SQL_CHARACTERS ? line : `${line.slice(0, SQL_CHARACTERS)}…`;
}

/** What a run waits for while a query of a kind gets no response. */
export function describeWait(kind: StatementKind, sql: string): string {
  switch (kind) {
    case "query":
      return `the response to ${beginningOf(sql)}`;
    case "count":
      return "a count of rows";
    case "pageRead":
      return "rows of a page";
    case "traceRead":
      return "traces";
    case "insert":
      return "the acknowledgement of an INSERT";
  }
}
