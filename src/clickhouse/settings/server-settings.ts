import type { ServerError } from "../server-errors.ts";
import type { QuerySettings } from "../statement.ts";

/** A row of system.settings: a setting as the server has it for this user. */
export interface ServerSetting {
  readonly value: string;
  /** What the version at hand has without profiles. */
  readonly default: string;
  /** The user may not change it. */
  readonly isFixed: boolean;
  /** Bounds of the user's constraints; null: none. */
  readonly min: string | null;
  readonly max: string | null;
}

/** All settings that the server knows, by name. */
export type ServerSettings = ReadonlyMap<string, ServerSetting>;

/** What the server has, and whether this user may lift its limits. */
export interface SettingsOfUser {
  readonly settings: ServerSettings;
  /** What every statement must send, whatever else. */
  readonly base: QuerySettings;
  /** Null, or the error with which the server refused the required settings of the first query. */
  readonly refusal: ServerError | null;
}
