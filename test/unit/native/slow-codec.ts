/**
 * Native blocks decoded and encoded value by value, without anything of src: slow, plain, and independent of what it tests.
 * Text and values of fixed size are strings of one character a byte, so that any bytes compare and print.
 */
export type Value = string | null | readonly Value[];

export interface SlowColumn {
  readonly name: string;
  readonly type: string;
  readonly values: readonly Value[];
}

export interface DecodedColumn extends SlowColumn {
  /** Its data without the header, as it stands in the bytes. */
  readonly data: Buffer;
}

export interface DecodedBlock {
  readonly rows: number;
  readonly columns: readonly DecodedColumn[];
  /** Where the block ends in the bytes. */
  readonly end: number;
}

/** The blocks of a response, `most` at most. Throws a RangeError when the bytes end within one. */
export function decodeBlocks(bytes: Buffer, most = Number.POSITIVE_INFINITY): DecodedBlock[] {
  const blocks: DecodedBlock[] = [];
  const reader = new Reader(bytes);
  while (reader.position < bytes.length && blocks.length < most) {
    const columnCount = reader.varint();
    const rows = reader.varint();
    const columns = Array.from({ length: columnCount }, () => decodeColumn(reader, rows));
    blocks.push({ rows, columns, end: reader.position });
  }
  return blocks;
}

/** One block; all columns have equally many values. */
export function encodeBlock(columns: readonly SlowColumn[]): Buffer<ArrayBuffer> {
  const writer = new Writer();
  const rows = columns[0]?.values.length ?? 0;
  writer.varint(columns.length);
  writer.varint(rows);
  for (const { name, type, values } of columns) {
    if (values.length !== rows) throw new Error(`${name}: ${values.length} values, expected ${rows}`);
    writer.text(Buffer.from(name).toString("latin1"));
    writer.text(Buffer.from(type).toString("latin1"));
    for (let i = 0; i < prefixes(type); i++) writer.uint64(1);
    encode(writer, type, values);
  }
  return Buffer.concat(writer.parts);
}

/** Text as this codec has it. */
export function wire(text: string): string {
  return Buffer.from(text).toString("latin1");
}

/** An integer of `bytes` bytes as this codec has it. */
export function fixed(value: number | bigint, bytes: 1 | 2 | 4 | 8): string {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return buffer.toString("latin1", 0, bytes);
}

class Reader {
  readonly bytes: Buffer;
  position = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  take(count: number): string {
    if (this.position + count > this.bytes.length) throw new RangeError("The bytes end within a block");
    this.position += count;
    return this.bytes.toString("latin1", this.position - count, this.position);
  }

  varint(): number {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = BigInt(this.take(1).charCodeAt(0));
      value |= (byte & 127n) << shift;
      if (byte < 128n) return Number(value);
    }
  }

  text(): string {
    return this.take(this.varint());
  }

  uint64(): number {
    return Number(Buffer.from(this.take(8), "latin1").readBigUInt64LE());
  }

  uint(bytes: number): number {
    return Buffer.from(this.take(bytes), "latin1").readUIntLE(0, bytes);
  }
}

class Writer {
  readonly parts: Buffer<ArrayBuffer>[] = [];

  raw(latin1: string): void {
    this.parts.push(Buffer.from(latin1, "latin1"));
  }

  varint(value: number): void {
    const bytes: number[] = [];
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
    this.parts.push(Buffer.from([...bytes, rest]));
  }

  text(latin1: string): void {
    this.varint(latin1.length);
    this.raw(latin1);
  }

  uint64(value: number): void {
    this.raw(fixed(value, 8));
  }
}

function decodeColumn(reader: Reader, rows: number): DecodedColumn {
  const name = Buffer.from(reader.text(), "latin1").toString();
  const type = Buffer.from(reader.text(), "latin1").toString();
  const start = reader.position;
  for (let i = 0; i < prefixes(type); i++) {
    const version = reader.uint64();
    if (version !== 1) throw new Error(`Version ${version} of ${type}`);
  }
  const values = decode(reader, type, rows);
  return { name, type, values, data: reader.bytes.subarray(start, reader.position) };
}

/** Versions that precede a column: one of each LowCardinality, and one of JSON. */
function prefixes(type: string): number {
  return type === "JSON" ? 1 : type.split("LowCardinality(").length - 1;
}

function decode(reader: Reader, type: string, count: number): Value[] {
  const times = <Item>(read: () => Item): Item[] => Array.from({ length: count }, read);
  const [outer, inner] = unwrapped(type);
  switch (outer) {
    case "String":
    case "JSON":
      return times(() => reader.text());
    case "Nullable": {
      const nulls = times(() => reader.uint(1));
      const values = decode(reader, inner, count);
      return values.map((value, i) => (nulls[i] === 0 ? value : null));
    }
    case "Array": {
      const ends = times(() => reader.uint64());
      const elements = decode(reader, inner, ends.at(-1) ?? 0);
      return ends.map((end, i) => elements.slice(ends[i - 1] ?? 0, end));
    }
    case "Map": {
      const [keyType, valueType] = mapTypes(inner);
      const ends = times(() => reader.uint64());
      const keys = decode(reader, keyType, ends.at(-1) ?? 0);
      const values = decode(reader, valueType, ends.at(-1) ?? 0);
      const entries = keys.map((key, i) => [key, values[i] as Value]);
      return ends.map((end, i) => entries.slice(ends[i - 1] ?? 0, end));
    }
    case "LowCardinality": {
      if (count === 0) return [];
      const width = 2 ** (reader.uint64() - 0x600);
      const isNullable = inner.startsWith("Nullable(");
      const keyCount = reader.uint64();
      const keys = decode(reader, isNullable ? unwrapped(inner)[1] : inner, keyCount);
      if (reader.uint64() !== count) throw new Error("Number of indexes");
      return times(() => {
        const index = reader.uint(width);
        return isNullable && index === 0 ? null : (keys[index] as Value);
      });
    }
    default:
      return times(() => reader.take(widthOf(type)));
  }
}

function encode(writer: Writer, type: string, values: readonly Value[]): void {
  const [outer, inner] = unwrapped(type);
  switch (outer) {
    case "String":
    case "JSON":
      for (const value of values) writer.text(value as string);
      return;
    case "Nullable": {
      for (const value of values) writer.raw(value === null ? "\x01" : "\0");
      const absent = inner === "String" ? "" : "\0".repeat(widthOf(inner));
      encode(
        writer,
        inner,
        values.map((value) => value ?? absent),
      );
      return;
    }
    case "Array": {
      writeEnds(writer, values as Value[][]);
      encode(writer, inner, (values as Value[][]).flat(1));
      return;
    }
    case "Map": {
      const [keyType, valueType] = mapTypes(inner);
      const entries = (values as [Value, Value][][]).flat(1);
      writeEnds(writer, values as Value[][]);
      encode(
        writer,
        keyType,
        entries.map(([key]) => key),
      );
      encode(
        writer,
        valueType,
        entries.map(([, value]) => value),
      );
      return;
    }
    case "LowCardinality": {
      if (values.length === 0) return;
      const defaults = inner.startsWith("Nullable(") ? [null, ""] : [""];
      const keys = [...new Set([...defaults, ...values])];
      const numbers = new Map(keys.map((key, i) => [key, i]));
      const widthCode = keys.length <= 256 ? 0 : keys.length <= 65_536 ? 1 : 2;
      writer.uint64(0x600 + widthCode);
      writer.uint64(keys.length);
      for (const key of keys) writer.text((key ?? "") as string);
      writer.uint64(values.length);
      for (const value of values) writer.raw(fixed(numbers.get(value) ?? -1, 8).slice(0, 2 ** widthCode));
      return;
    }
    default:
      for (const value of values) {
        if ((value as string).length !== widthOf(type))
          throw new Error(`A value of another size than ${type}`);
        writer.raw(value as string);
      }
  }
}

function writeEnds(writer: Writer, arrays: readonly (readonly Value[])[]): void {
  let end = 0;
  for (const array of arrays) {
    end += array.length;
    writer.uint64(end);
  }
}

/** `Outer(inner)` taken apart; inner is empty where there are no parentheses. */
function unwrapped(type: string): [outer: string, inner: string] {
  const open = type.indexOf("(");
  return open < 0 ? [type, ""] : [type.slice(0, open), type.slice(open + 1, -1)];
}

/** Key types have no comma. */
function mapTypes(inner: string): [key: string, value: string] {
  const comma = inner.indexOf(", ");
  return [inner.slice(0, comma), inner.slice(comma + 2)];
}

function widthOf(type: string): number {
  if (/^(Bool|U?Int8|Enum8)\b/.test(type)) return 1;
  if (/^(U?Int16|Enum16|Date$)/.test(type)) return 2;
  if (/^(U?Int32|Float32|DateTime\b|DateTime$|Date32)/.test(type) && !type.startsWith("DateTime64")) return 4;
  if (/^(U?Int64|Float64|DateTime64)/.test(type)) return 8;
  if (/^(U?Int128|UUID)/.test(type)) return 16;
  if (/^U?Int256/.test(type)) return 32;
  const argument = Number(/\((\d+)/.exec(type)?.[1]);
  if (type.startsWith("FixedString")) return argument;
  if (type.startsWith("Decimal(")) return argument <= 9 ? 4 : argument <= 18 ? 8 : argument <= 38 ? 16 : 32;
  throw new Error(`The slow codec does not know ${type}`);
}
