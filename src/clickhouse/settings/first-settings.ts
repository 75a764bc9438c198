import type { QuerySettings } from "../statement.ts";
import { FIRST_LIMITS, FIRST_SETTINGS, type RequiredSetting, SERVER_DEFAULT } from "./required-settings.ts";

/** The required settings, by name, that go out before it is known which ones the server has. */
export const FIRST_QUERY_SETTINGS: QuerySettings = byValue(FIRST_SETTINGS);

/** The limits that are lifted before it is known which ones the server has. */
export const FIRST_QUERY_LIMITS: QuerySettings = byValue(FIRST_LIMITS);

function byValue(settings: readonly RequiredSetting[]): QuerySettings {
  return Object.fromEntries(
    settings.flatMap(({ name, value }) => (value === SERVER_DEFAULT ? [] : [[name, value]])),
  );
}
