import { UsageError } from "../errors.ts";
import { OPTIONS, type Settings } from "./options.ts";
import { quoteValue } from "./quote-value.ts";
import { readSecretFile } from "./secret-file.ts";
import { formatStatusAddress, isLoopback, type StatusAddress } from "./status-address.ts";

/** A status page that is asked for. */
export interface StatusPage {
  readonly address: StatusAddress;
  /** What requests must bring; null: nothing. */
  readonly token: string | null;
  /** What the user should know about the file of the token, if anything. */
  readonly notice: string | null;
}

type StatusPageSettings = Pick<Settings, "statusAddress" | "statusTokenFile">;

/** What a Bearer header can hold (https://www.rfc-editor.org/rfc/rfc6750#section-2.1), and nobody guesses. */
const TOKEN = /^[A-Za-z0-9\-._~+/]{16,}=*$/;

/**
 * The status page that the options ask for; null where they ask for none.
 * @throws {UsageError} for an address that others reach without a token, a token without an address, and a file without a token.
 */
export function readStatusPage({ statusAddress, statusTokenFile }: StatusPageSettings): StatusPage | null {
  const [address, file] = [nameOf("statusAddress"), nameOf("statusTokenFile")];
  if (statusAddress === null) {
    if (statusTokenFile === null) return null;
    throw new UsageError(`${file} is given without ${address}: set both, or neither of them`);
  }
  if (statusTokenFile === null) {
    if (isLoopback(statusAddress.host)) return { address: statusAddress, token: null, notice: null };
    throw new UsageError(
      `${address} ${quoteValue(formatStatusAddress(statusAddress))}: others reach this address, so that it needs ${file} as well`,
    );
  }
  const { secret, notice } = readSecretFile("statusTokenFile", statusTokenFile);
  if (!TOKEN.test(secret)) {
    throw new UsageError(
      `${file} ${quoteValue(statusTokenFile)}: expected a token of at least 16 letters, digits or -._~+/, such as openssl rand -hex 24 makes`,
    );
  }
  return { address: statusAddress, token: secret, notice };
}

function nameOf(name: "statusAddress" | "statusTokenFile"): string {
  const { flag, variable } = OPTIONS[name];
  return `--${flag} (or ${variable})`;
}
