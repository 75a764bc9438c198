/** Text of any bytes: a Buffer where they are not valid UTF-8. */
export type Text = string | Buffer;

/** Writes one value in ClickHouse's RowBinary format (https://clickhouse.com/docs/interfaces/formats/RowBinary). */
export type Encoder<Value> = (writer: RowBinaryWriter, value: Value) => void;

/** One encoder per column; the order of the properties is the order of the columns. */
export type RowEncoders<Row> = { readonly [Column in keyof Row]-?: Encoder<Row[Column]> };

/** A growing buffer of rows. */
export class RowBinaryWriter {
  #bytes = Buffer.allocUnsafe(1 << 20);
  #length = 0;

  /** What is written so far; valid until the next write. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  uint16(value: number): void {
    this.#reserve(2);
    this.#length = this.#bytes.writeUInt16LE(value, this.#length);
  }

  /** Signed and unsigned alike: the lower 64 bits. */
  int64(value: bigint): void {
    this.#reserve(8);
    this.#length = this.#bytes.writeBigUInt64LE(BigInt.asUintN(64, value), this.#length);
  }

  varuint(value: number): void {
    let rest = value;
    for (; rest > 0x7f; rest >>>= 7) this.byte((rest & 0x7f) | 0x80);
    this.byte(rest);
  }

  text(value: Text): void {
    const bytes = typeof value === "string" ? Buffer.from(value) : value;
    this.varuint(bytes.length);
    this.#reserve(bytes.length);
    this.#length += bytes.copy(this.#bytes, this.#length);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + count));
    this.bytes.copy(larger);
    this.#bytes = larger;
  }
}

export const text: Encoder<Text> = (writer, value) => writer.text(value);
export const flag: Encoder<boolean> = (writer, value) => writer.byte(value ? 1 : 0);
export const uint16: Encoder<number> = (writer, value) => writer.uint16(value);
/** UInt64, and Decimal64 as its unscaled integer. */
export const int64: Encoder<bigint> = (writer, value) => writer.int64(value);
/** DateTime64(3) from milliseconds since 1970. */
export const millis: Encoder<number> = (writer, value) => writer.int64(BigInt(value));

export function nullable<Value>(encode: Encoder<Value>): Encoder<Value | null> {
  return (writer, value) => {
    writer.byte(value === null ? 1 : 0);
    if (value !== null) encode(writer, value);
  };
}

export function list<Value>(encode: Encoder<Value>): Encoder<readonly Value[]> {
  return (writer, values) => {
    writer.varuint(values.length);
    for (const value of values) encode(writer, value);
  };
}

/** A Map as its entries: keys may repeat, as ClickHouse allows. */
export function map<Value>(encode: Encoder<Value>): Encoder<readonly (readonly [Text, Value])[]> {
  return list((writer, [key, value]) => {
    writer.text(key);
    encode(writer, value);
  });
}

/** The rows, one after the other. */
export function encodeRows<Row>(rows: readonly Row[], encoders: RowEncoders<Row>): Buffer {
  const writer = new RowBinaryWriter();
  const columns = Object.keys(encoders) as (keyof Row)[];
  for (const row of rows) {
    for (const column of columns) encoders[column](writer, row[column]);
  }
  return writer.bytes;
}
