import { OperationError, type RetryPolicy, withRetry } from "../../clickhouse/retry.ts";
import type { Server, Statement } from "../../clickhouse/server.ts";
import {
  ERROR_CODE,
  ForeignResponseError,
  ServerError,
  TransportError,
} from "../../clickhouse/server-errors.ts";
import { isAtLeast, type MajorMinor } from "../../clickhouse/server-version.ts";
import { readServerSettings } from "../../clickhouse/settings/read-server-settings.ts";
import { describeReadOnlyUser, describeRefusedSettings } from "../../clickhouse/settings/refused-settings.ts";
import { STATEMENT_KINDS } from "../../clickhouse/settings/required-settings.ts";
import type { SettingsOfUser } from "../../clickhouse/settings/server-settings.ts";
import { refusedSettings, statementSettings } from "../../clickhouse/settings/statement-settings.ts";
import { RunError } from "../../errors.ts";
import type { BackfillOptions } from "../backfill-options.ts";

/** The oldest supported server. */
const OLDEST_VERSION: MajorMinor = [24, 3];

/** The server's version and this user's settings. */
export interface Connected {
  readonly serverVersion: string;
  readonly userSettings: SettingsOfUser;
}

/**
 * Connects, reads the server's version and the user's settings, and sets what each kind of statement sends. Throws a RunError that says
 * what to check, also where required settings differ and the user may not change them.
 */
export async function connect(
  server: Server,
  options: Pick<BackfillOptions, "connection" | "dryRun">,
  retry: RetryPolicy,
): Promise<Connected> {
  const { url, user, database } = options.connection;
  try {
    const userSettings = await withRetry(`Connecting to ${url}`, retry, () =>
      readUserSettings(server, retry),
    );
    const kinds = STATEMENT_KINDS.filter((kind) => kind !== "insert" || !options.dryRun);
    const refused = refusedSettings(userSettings, kinds);
    const readonly = userSettings.settings.get("readonly")?.value ?? "0";
    // Only another user can insert, whatever else is wrong.
    if (readonly !== "0" && !options.dryRun) throw new RunError(describeReadOnlyUser(url, user, readonly));
    if (refused.length > 0) throw new RunError(describeRefusedSettings(url, user, refused));
    if (userSettings.refusal !== null) throw new OperationError("Connecting", userSettings.refusal);
    server.settings = statementSettings(userSettings);
    const serverVersion = await withRetry(`Connecting to ${url}`, retry, () => readVersion(server, retry));
    if (!isAtLeast(serverVersion, OLDEST_VERSION)) throw tooOld(serverVersion, url);
    return { serverVersion, userSettings };
  } catch (error) {
    throw error instanceof OperationError ? connectionError(error.cause, url, user, database) : error;
  }
}

async function readUserSettings(server: Server, retry: RetryPolicy): Promise<SettingsOfUser> {
  try {
    return await readServerSettings(server, retry.signal);
  } catch (error) {
    if (!(error instanceof ServerError) || error.code !== ERROR_CODE.unknownSetting) throw error;
    // Every supported server knows the settings of the first query.
    const version = await readVersion(server, retry, { isBare: true });
    throw isAtLeast(version, OLDEST_VERSION) ? error : tooOld(version, server.url);
  }
}

async function readVersion(
  server: Server,
  retry: RetryPolicy,
  how: Pick<Statement, "isBare"> = {},
): Promise<string> {
  const [row] = await server.allRows({ sql: "SELECT version()", ...how }, retry.signal);
  if (row === undefined) throw new TransportError("The response to SELECT version() is empty");
  return String(row[0]);
}

function tooOld(version: string, url: string): RunError {
  return new RunError(
    `ClickHouse ${version} at ${url} is too old: ${OLDEST_VERSION.join(".")} or later is needed`,
  );
}

function connectionError(error: unknown, url: string, user: string, database: string): RunError {
  if (error instanceof TransportError) {
    return new RunError(
      `No ClickHouse server responds at ${url}\n${error.message}\nCheck that the server runs, that --clickhouse-url names its HTTP port (8123, or 8443 for https), and that no firewall is in between.`,
      { cause: error },
    );
  }
  if (error instanceof ForeignResponseError) {
    return new RunError(
      `No ClickHouse server responds at ${url}\n${error.message}\nCheck that --clickhouse-url names the HTTP interface of a ClickHouse server.`,
      { cause: error },
    );
  }
  if (!(error instanceof ServerError)) throw error;
  const isRefused =
    error.code === ERROR_CODE.authenticationFailed || error.httpStatus === 401 || error.httpStatus === 403;
  if (isRefused) {
    return new RunError(
      `ClickHouse at ${url} refuses user ${JSON.stringify(user)}\n${error.message}\nCheck --clickhouse-user and --clickhouse-password.`,
      { cause: error },
    );
  }
  if (error.code === ERROR_CODE.unknownDatabase) {
    return new RunError(
      `ClickHouse at ${url} has no database ${JSON.stringify(database)}\n${error.message}\nCheck --clickhouse-db.`,
      { cause: error },
    );
  }
  return new RunError(`ClickHouse at ${url} cannot be used\n${error.message}`, { cause: error });
}
