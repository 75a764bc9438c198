import { cannotAuthenticate } from "../clickhouse/transport/credentials.ts";
import type { Settings } from "../config/options.ts";
import { quoteValue } from "../config/quote-value.ts";
import { readSecretFile } from "../config/secret-file.ts";
import { UsageError } from "../errors.ts";
import type { Secrets } from "../report/secrets.ts";
import { helpText } from "./help.ts";

/** Settings whose password is the one to connect with, wherever it was given. */
export interface Credentials {
  readonly settings: Settings;
  /** What the user should know about the password file, if anything. */
  readonly notice: string | null;
}

/**
 * Reads the password file, if there is one, and hides the password from all output; every command that connects begins
 * with it.
 * @throws {UsageError} when the file does not give a password, or when no request can carry user and password together.
 */
export function settleCredentials(given: Settings, secrets: Secrets): Credentials {
  const { clickhousePasswordFile: path, ...others } = given;
  const { secret: password, notice } =
    path === null
      ? { secret: given.clickhousePassword, notice: null }
      : readSecretFile("clickhousePasswordFile", path);
  const publicText = helpText() + JSON.stringify({ ...others, clickhousePassword: "" });
  if (cannotAuthenticate(given.clickhouseUser, password)) {
    throw new UsageError(
      `--clickhouse-user ${quoteValue(given.clickhouseUser)}: a name with a colon cannot be sent together with a password (or a name) that has control characters or a space at either end`,
    );
  }
  secrets.hidePassword(given.clickhouseUser, password, publicText);
  return { settings: { ...given, clickhousePassword: password }, notice };
}
