import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { UsageError } from "../errors.ts";
import { OPTIONS } from "./options.ts";
import { quoteValue } from "./quote-value.ts";
import { whyUnreadable } from "./unreadable-file.ts";

/** The options that name a file with a secret. */
const FILES = {
  clickhousePasswordFile: "password",
  statusTokenFile: "token",
} as const;

/** Such an option. */
export type SecretFileOption = keyof typeof FILES;

/** What was found in the file of a secret. */
export interface FileSecret {
  readonly secret: string;
  /** What the user should know about the file, if anything. */
  readonly notice: string | null;
}

/** A file that is larger is no secret: somebody's dump, or a device without an end. */
const MAX_BYTES = 4096;
const READABLE_BY_OTHERS = 0o004;

/**
 * Reads a secret: all of the file but one line break at its end. A pipe will do, such as bash's `<(pass show …)`.
 * @throws {UsageError} for a file that is missing, unreadable, empty, no text, or too large.
 */
export function readSecretFile(option: SecretFileOption, path: string): FileSecret {
  const { bytes, notice } = readBytes(option, path);
  if (bytes.length > MAX_BYTES) throw refusal(option, path, `it has more than ${MAX_BYTES} bytes`);
  const secret = decode(option, path, bytes).replace(/\r?\n$/, "");
  // Who has no secret needs no file, so an empty one is a secret that was not filled in.
  if (secret === "") throw refusal(option, path, "it is empty");
  return { secret, notice };
}

function readBytes(option: SecretFileOption, path: string): { bytes: Buffer; notice: string | null } {
  try {
    const descriptor = openSync(path, "r");
    try {
      const bytes = readUpTo(descriptor, MAX_BYTES + 1);
      return { bytes, notice: noticeOf(option, path, descriptor) };
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw refusal(option, path, whyUnreadable(error));
  }
}

function readUpTo(descriptor: number, maxBytes: number): Buffer {
  const buffer = Buffer.alloc(maxBytes);
  let length = 0;
  while (length < maxBytes) {
    const bytesRead = readSync(descriptor, buffer, length, maxBytes - length, null);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

function noticeOf(option: SecretFileOption, path: string, descriptor: number): string | null {
  const stats = fstatSync(descriptor);
  if (!stats.isFile() || (stats.mode & READABLE_BY_OTHERS) === 0) return null;
  return `The ${FILES[option]} file ${quoteValue(path)} can be read by every user of this machine: chmod 600 keeps it to yourself`;
}

function decode(option: SecretFileOption, path: string, bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw refusal(option, path, "it is not valid UTF-8");
    throw error;
  }
}

function refusal(option: SecretFileOption, path: string, reason: string): UsageError {
  const { flag, variable } = OPTIONS[option];
  return new UsageError(
    `--${flag} (or ${variable}) ${quoteValue(path)}: expected a file that holds the ${FILES[option]}, but ${reason}`,
  );
}
