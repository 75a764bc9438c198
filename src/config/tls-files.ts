import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { TlsCertificates } from "../clickhouse/connection.ts";
import { UsageError } from "../errors.ts";
import { OPTIONS, type Settings } from "./options.ts";
import { quoteValue } from "./quote-value.ts";
import { whyUnreadable } from "./unreadable-file.ts";

type TlsSettings = Pick<Settings, "clickhouseUrl" | "caCert" | "clientCert" | "clientKey">;

/** The names of the options that name PEM files. */
const FILES = ["caCert", "clientCert", "clientKey"] as const;
type FileOption = (typeof FILES)[number];

/**
 * Reads the certificates and the key that the options name; null where they name none.
 * @throws {UsageError} for a file that is missing or holds something else, a certificate without its key, or a URL without TLS.
 */
export function readTlsFiles(settings: TlsSettings): TlsCertificates | null {
  const given = FILES.find((name) => settings[name] !== null);
  if (given === undefined) return null;
  if (!settings.clickhouseUrl.startsWith("https://")) {
    throw new UsageError(
      `${optionName(given)} is given, but the URL is ${settings.clickhouseUrl}: expected one with https://`,
    );
  }
  const { caCert, clientCert, clientKey } = settings;
  if ((clientCert === null) !== (clientKey === null)) {
    throw new UsageError(
      `Set both ${optionName("clientCert")} and ${optionName("clientKey")}, or neither of them`,
    );
  }
  const authorities = caCert === null ? null : read("caCert", caCert, isCertificate, "certificates");
  if (clientCert === null || clientKey === null) return { authorities, client: null };
  const certificate = read("clientCert", clientCert, isCertificate, "a certificate");
  const key = read("clientKey", clientKey, isPrivateKey, "a private key without a passphrase");
  if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) {
    throw new UsageError(
      `${optionName("clientKey")} ${quoteValue(clientKey)}: expected the key to the certificate ${quoteValue(clientCert)}`,
    );
  }
  return { authorities, client: { certificate, key } };
}

function read(name: FileOption, path: string, isValid: (pem: string) => boolean, what: string): string {
  const refuse = (reason: string): UsageError =>
    new UsageError(
      `${optionName(name)} ${quoteValue(path)}: expected a PEM file that holds ${what}, but ${reason}`,
    );
  let pem: string;
  try {
    pem = readFileSync(path, "utf8");
  } catch (error) {
    throw refuse(whyUnreadable(error));
  }
  if (!isValid(pem)) throw refuse("it holds something else");
  return pem;
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== "";
  } catch {
    // Whatever is wrong with it, it is no certificate.
    return false;
  }
}

function isPrivateKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).type === "private";
  } catch {
    return false;
  }
}

function optionName(name: FileOption): string {
  return `--${OPTIONS[name].flag} (or ${OPTIONS[name].variable})`;
}
