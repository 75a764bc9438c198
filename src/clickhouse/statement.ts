import type { StatementKind } from "./settings/required-settings.ts";

/** Values of `{name:Type}` parameters. */
export type QueryParams = Readonly<Record<string, string | number>>;
/** ClickHouse settings of one request. */
export type QuerySettings = Readonly<Record<string, string | number>>;

/** A statement with its parameters and settings. */
export interface Statement {
  readonly sql: string;
  readonly params?: QueryParams;
  /** Decides which settings it is sent with; a small query unless given. */
  readonly kind?: StatementKind;
  /** Settings beside those of its kind. */
  readonly settings?: QuerySettings;
  /** The query's id, by which it can be found again; made up unless given. */
  readonly id?: string;
  /** Sent with its own settings alone: to learn what the server has without those of its kind. */
  readonly isBare?: true;
}
