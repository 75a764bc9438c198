import type { Settings } from "../config/options.ts";
import { readPasswordFile } from "../config/password-file.ts";
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
 * @throws {UsageError} when the file does not give a password.
 */
export function settleCredentials(given: Settings, secrets: Secrets): Credentials {
  const { clickhousePasswordFile: path, ...others } = given;
  const { password, notice } =
    path === null ? { password: given.clickhousePassword, notice: null } : readPasswordFile(path);
  const publicText = helpText() + JSON.stringify({ ...others, clickhousePassword: "" });
  secrets.hidePassword(given.clickhouseUser, password, publicText);
  return { settings: { ...given, clickhousePassword: password }, notice };
}
