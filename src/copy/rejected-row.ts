import { isUtf8 } from "node:buffer";
import { readVarint } from "../bytes/varint.ts";
import type { Block } from "../clickhouse/native/block.ts";
import { isTypeName, parseTypeName, unwrap } from "../clickhouse/native/type-name.ts";
import { quoted } from "../quoted.ts";

/** Text of a row: what is no UTF-8 is shown with U+FFFD, and its bytes are kept as hexadecimal digits beside it. */
export interface RowText {
  readonly text: string;
  readonly hex: string | null;
}

/** Which observation an event comes from: its sorting key, and its trace. */
export interface RowIdentity {
  readonly projectId: RowText;
  /** null when the target has no such column, so that it was not read. */
  readonly type: RowText | null;
  /** `YYYY-MM-DD`. */
  readonly date: string;
  readonly id: RowText;
  readonly traceId: RowText;
}

/** A row that the server rejects. */
export interface RejectedRow {
  readonly row: RowIdentity;
  /** ClickHouse's error code, 0 when a proxy refused it. */
  readonly code: number;
  readonly message: string;
}

/** Reads which observation row `row` of a block of a page is; days are those of `timeZone` where the type names none. */
export function identifyRow(block: Block, row: number, timeZone: string): RowIdentity {
  return {
    projectId: need(textAt(block, "project_id", row), "project_id"),
    type: textAt(block, "type", row),
    date: dayAt(block, "start_time", row, timeZone),
    id: need(textAt(block, "span_id", row), "span_id"),
    traceId: need(textAt(block, "trace_id", row), "trace_id"),
  };
}

/** The row as messages name it. */
export function describeRow({ projectId, type, date, id, traceId }: RowIdentity): string {
  const key = [projectId, type, date, id].map((part) =>
    typeof part === "string" ? part : part === null ? "?" : quoted(part.text),
  );
  return `(${key.join(", ")}) of trace ${quoted(traceId.text)}`;
}

function textAt(block: Block, columnName: string, row: number): RowText | null {
  const column = block.schema.columns.find(({ name }) => name === columnName);
  for (const { stream, index } of column?.streams ?? []) {
    if (stream.kind === "strings")
      return rowText(stringAt(block.bytes, block.at.start[index] as number, row));
    if (stream.kind !== "lowCardinality") continue;
    const width = block.at.indexWidth[index] as number;
    const key = block.bytes.readUIntLE((block.at.indexStart[index] as number) + row * width, width);
    return rowText(stringAt(block.bytes, block.at.keysStart[index] as number, key));
  }
  return null;
}

function stringAt(bytes: Buffer, start: number, value: number): Buffer {
  const cursor = { position: start };
  for (let passed = 0; ; passed++) {
    const length = readVarint(bytes, cursor);
    if (passed === value) return bytes.subarray(cursor.position, cursor.position + length);
    cursor.position += length;
  }
}

function rowText(bytes: Buffer): RowText {
  return { text: bytes.toString("utf8"), hex: isUtf8(bytes) ? null : bytes.toString("hex") };
}

/** The day of a DateTime64, which is an Int64 in fractions of a second since 1970, or of a DateTime. */
function dayAt(block: Block, columnName: string, row: number, serverTimeZone: string): string {
  const column = block.schema.columns.find(({ name }) => name === columnName);
  const values = column?.streams.find(({ stream }) => stream.kind === "fixed" && stream.width > 1);
  if (column === undefined || values === undefined) throw new Error(`Column ${columnName} holds no times`);
  const { name, args } = unwrap(parseTypeName(column.type), "Nullable");
  const literals = args.flatMap((arg) => (isTypeName(arg) ? [] : [arg.literal]));
  const start = block.at.start[values.index] as number;
  const isWide = name === "DateTime64";
  const ms = isWide
    ? Number(block.bytes.readBigInt64LE(start + row * 8)) / 10 ** (Number(literals[0]) - 3)
    : block.bytes.readUInt32LE(start + row * 4) * 1000;
  const timeZone = literals[isWide ? 1 : 0]?.replace(/^'|'$/g, "") ?? serverTimeZone;
  // Swedish dates are written as ISO 8601 has them.
  return new Date(Math.floor(ms)).toLocaleDateString("sv-SE", { timeZone });
}

function need(text: RowText | null, columnName: string): RowText {
  if (text === null) throw new Error(`Column ${columnName} holds no strings`);
  return text;
}

/** Where rejected rows are written down. */
export interface RejectedRowLog {
  /** Durable when it returns; rows that are there already are not written again. Throws a RunError. */
  append(rows: readonly RejectedRow[]): void;
}
