import { type ConsolaInstance, createConsola, LogLevels, type LogObject } from "consola/core";
import type { LogLevel } from "../config/log-level.ts";
import { type EntryFields, jsonEntry } from "./json-entry.ts";
import type { Terminal } from "./terminal.ts";

/** What the logger needs to know of its surroundings. */
export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: "text" | "json";
  readonly isTTY: boolean;
  /** Colours need a TTY and no `NO_COLOR`. */
  readonly isColored: boolean;
  readonly now: () => Date;
}

/** SGR colours by level; levels that are not listed stay plain. */
const COLORS: Readonly<Record<string, number>> = { error: 31, warn: 33, debug: 90, trace: 90 };

/**
 * A logger that writes one entry per line: `info message` on a TTY, preceded by the UTC time elsewhere; or a JSON object. Entries take
 * a message and, optionally, {@link EntryFields}.
 */
export function createLogger(terminal: Terminal, options: LoggerOptions): ConsolaInstance {
  const render = options.format === "json" ? renderJsonEntry : renderEntry;
  return createConsola({
    level: LogLevels[options.level],
    // Retries may repeat word for word, and each one matters.
    throttle: 0,
    reporters: [{ log: (entry) => terminal.writeLine(render(entry, options)) }],
  });
}

/** https://no-color.org: any value that is not empty turns colours off. `TERM=dumb` has none. */
export function wantsColor(
  isTTY: boolean,
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  return isTTY && !environment["NO_COLOR"] && environment["TERM"] !== "dumb";
}

function renderEntry({ type, args: [message] }: LogObject, options: LoggerOptions): string {
  const label = type.padEnd("error".length);
  const color = options.isColored ? COLORS[type] : undefined;
  const shownLabel = color === undefined ? label : `\u001B[${color}m${label}\u001B[39m`;
  const time = options.isTTY ? "" : `${options.now().toISOString()} `;
  return `${time}${shownLabel} ${message}`;
}

function renderJsonEntry({ type, args: [message, fields] }: LogObject, { now }: LoggerOptions): string {
  return jsonEntry(now(), type, String(message), (fields as EntryFields | undefined) ?? { event: "log" });
}

/** Whether entries of `level` are written at the configured level. */
export function isLevelShown(level: LogLevel, configured: LogLevel): boolean {
  return LogLevels[level] <= LogLevels[configured];
}
