import { existsSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import type { RejectedRow, RejectedRowLog, RowText } from "../copy/rejected-row.ts";
import { RunError, UsageError } from "../errors.ts";
import { syncDirectory } from "./durable-file.ts";

/** Which run the rows belong to. */
export interface SkipFileSubject {
  readonly partition: string;
  readonly database: string;
  readonly sourceTable: string;
}

/** Rows name projects and ids, and the server's messages may quote them: only the owner may read them. */
const FILE_MODE = 0o600;
const LINE_FEED = 0x0a;

/**
 * Opens the file of rows that are skipped, one JSON object a line, for appending; makes it if it is missing. A row that it
 * names already is not written again: a run that was killed meets its last rows once more.
 * @throws {UsageError} when the file cannot be read and written, which is to be known before anything is copied.
 */
export function openSkipFile(
  path: string,
  subject: SkipFileSubject,
  now: () => Date = () => new Date(),
): RejectedRowLog {
  const { descriptor, content } = openOrRefuse(path);
  const known = new Set(linesOf(content).flatMap(identityOfLine));
  let isLineOpen = content.length > 0 && content.at(-1) !== LINE_FEED;
  return {
    append: (rows) => {
      const lines: string[] = [];
      for (const row of rows) {
        const line = toLine(row, subject, now());
        const identity = identityOf(line);
        if (known.has(identity)) continue;
        known.add(identity);
        lines.push(`${JSON.stringify(line)}\n`);
      }
      if (lines.length === 0) return;
      try {
        // An incomplete line that a crash left must not spoil the next one.
        writeAll(descriptor, `${isLineOpen ? "\n" : ""}${lines.join("")}`);
        isLineOpen = false;
        fsyncSync(descriptor);
      } catch (error) {
        throw new RunError(
          `The skipped rows could not be written to ${path}: ${(error as Error).message}\n` +
            "Their page does not count as done. Correct that, then run the same command again.",
        );
      }
    },
  };
}

function openOrRefuse(path: string): { descriptor: number; content: Buffer } {
  try {
    const isNew = !existsSync(path);
    // A device would lose the rows, or never end.
    if (!isNew && !statSync(path).isFile()) throw new Error("it is no regular file");
    const descriptor = openSync(path, "a", FILE_MODE);
    if (isNew) syncDirectory(dirname(path));
    // Lines of a killed run count as written.
    else fsyncSync(descriptor);
    return { descriptor, content: readFileSync(path) };
  } catch (error) {
    throw new UsageError(
      `--skip-bad-rows ${JSON.stringify(path)}: expected a file that can be read and appended to: ${(error as Error).message}`,
    );
  }
}

function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
}

/** A line of the file. Fields that end in `_hex` are there when the text is no UTF-8, and hold its bytes. */
interface Line {
  readonly partition: string;
  readonly database: string;
  readonly source_table: string;
  readonly key: Readonly<Record<string, string | null>>;
  readonly trace_id: string;
  readonly trace_id_hex?: string;
  readonly code: number;
  readonly message: string;
  readonly time: string;
}

function toLine({ row, code, message }: RejectedRow, subject: SkipFileSubject, time: Date): Line {
  return {
    partition: subject.partition,
    database: subject.database,
    source_table: subject.sourceTable,
    key: {
      ...textFields("project_id", row.projectId),
      ...(row.type === null ? { type: null } : textFields("type", row.type)),
      date: row.date,
      ...textFields("id", row.id),
    },
    ...(textFields("trace_id", row.traceId) as { trace_id: string }),
    code,
    message,
    time: time.toISOString(),
  };
}

function textFields(name: string, { text, hex }: RowText): Record<string, string> {
  return hex === null ? { [name]: text } : { [name]: text, [`${name}_hex`]: hex };
}

/** The same for lines of the same row. */
function identityOf({ partition, database, source_table, key }: Line): string {
  return JSON.stringify([partition, database, source_table, key]);
}

function linesOf(content: Buffer): string[] {
  return content.toString("utf8").split("\n");
}

function identityOfLine(text: string): string[] {
  try {
    const line: unknown = JSON.parse(text);
    return typeof line === "object" && line !== null && "key" in line ? [identityOf(line as Line)] : [];
  } catch {
    // It names no row.
    return [];
  }
}
