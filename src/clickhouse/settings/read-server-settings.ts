import type { Server } from "../server.ts";
import { ERROR_CODE, ServerError, TransportError } from "../server-errors.ts";
import type { QuerySettings } from "../statement.ts";
import { FIRST_QUERY_LIMITS, FIRST_QUERY_SETTINGS } from "./first-settings.ts";
import { FIRST_SETTINGS } from "./required-settings.ts";
import type { ServerSettings, SettingsOfUser } from "./server-settings.ts";

/**
 * Reads system.settings in a query that sends the required settings already, so that no filter or limit of a profile can
 * cut the response. Where the user may not change one of them, the settings are read as they are and `refusal` holds the
 * server's error.
 * Rejects with a ServerError, or with a TransportError where the response is not complete.
 */
export async function readServerSettings(server: Server, signal: AbortSignal): Promise<SettingsOfUser> {
  const lifted = { ...FIRST_QUERY_SETTINGS, ...FIRST_QUERY_LIMITS };
  let refusal: ServerError | null = null;
  // Equal values are no changes, so that a user who may not change settings passes the second attempt if all is well.
  for (const base of [lifted, FIRST_QUERY_SETTINGS]) {
    try {
      const settings = await read(server, base, signal);
      checkEffect(settings);
      return { settings, base, refusal: null };
    } catch (error) {
      if (!isSettingRefused(error)) throw error;
      refusal = error;
    }
  }
  const settings = await read(server, FIRST_QUERY_LIMITS, signal).catch((error: unknown) => {
    if (!isSettingRefused(error)) throw error;
    return read(server, {}, signal);
  });
  return { settings, base: {}, refusal };
}

async function read(server: Server, settings: QuerySettings, signal: AbortSignal): Promise<ServerSettings> {
  // The order keeps a profile's inject_random_order_for_select_without_order_by away, which not every server lets us pin yet.
  const sql = "SELECT name, value, default, readonly, min, max FROM system.settings ORDER BY name";
  const rows = await server.allRows({ sql, settings, isBare: true }, signal);
  return new Map(
    rows.map(([name, value, initial, readonly, min, max]) => [
      String(name),
      {
        value: String(value),
        default: String(initial),
        isFixed: Number(readonly) !== 0,
        min: textOrNull(min),
        max: textOrNull(max),
      },
    ]),
  );
}

/** A proxy may drop the settings of a request, and a row policy may hide rows of system.settings. */
function checkEffect(settings: ServerSettings): void {
  for (const { name, value } of FIRST_SETTINGS) {
    const found = settings.get(name);
    if (found === undefined) {
      throw new TransportError(
        `The response to a query of system.settings has ${settings.size} rows and lacks ${name}: it is not complete`,
      );
    }
    if (found.value !== value) {
      throw new TransportError(
        `${name} was sent as ${JSON.stringify(value)} and is ${JSON.stringify(found.value)}: settings of queries do not arrive. Is there a proxy in between that drops them?`,
      );
    }
  }
}

/** Whether the server refuses a setting that a query sends, since the user may not change it. */
export function isSettingRefused(error: unknown): error is ServerError {
  return (
    error instanceof ServerError &&
    (error.code === ERROR_CODE.readonly || error.code === ERROR_CODE.settingConstraintViolation)
  );
}

function textOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value);
}
