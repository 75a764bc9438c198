/**
 * How a trace stands in the store: a header of fixed size, then its attributes in wire form (varuint length and bytes),
 * ready to be copied into a block.
 *
 * After the header: user_id, session_id, release, version, name; the number of tags and the tags; the number of metadata
 * entries, a code for each (the number that the segment's writer gave its key, and `ENTRY` bits), and their values up to the
 * end of the record. All numbers there are varuints. Records begin at multiples of 8 bytes.
 */
export const RECORD = {
  /** u32: size of the record without padding. */
  bytes: 0,
  /** u16: toDate(timestamp), which decides between versions with one event_ts. */
  date: 4,
  /** u8: the `FLAG_` bits. */
  flags: 6,
  /** 16 bytes: sipHash128(project_id, id). */
  key: 8,
  /** i64: event_ts as the server has it. */
  eventTs: 24,
  attributes: 32,
} as const;

export const KEY_BYTES = 16;

export const FLAG_PUBLIC = 1;
export const FLAG_BOOKMARKED = 2;
/** A newer version of the trace is a deletion. */
export const FLAG_DELETED = 4;
/** The metadata has the key `resourceAttributes`. */
export const FLAG_OTEL = 8;
/** The metadata has the key `trace_tags`. */
export const FLAG_TRACE_TAGS = 16;

/** The bits of a metadata entry's code below the number of its key. */
export const ENTRY = {
  /** How the value is embedded in JSON (`EMBED` in json-string.ts). */
  embed: 3,
  /** An earlier entry of the same trace has the same key. */
  repeatedKey: 4,
  /** The place of the key's number: its factor. */
  key: 8,
} as const;

/** Whether two 16-byte keys are equal. */
export function sameKey(a: Buffer, aPosition: number, b: Buffer, bPosition: number): boolean {
  return (
    a.readInt32LE(aPosition) === b.readInt32LE(bPosition) &&
    a.readInt32LE(aPosition + 4) === b.readInt32LE(bPosition + 4) &&
    a.readInt32LE(aPosition + 8) === b.readInt32LE(bPosition + 8) &&
    a.readInt32LE(aPosition + 12) === b.readInt32LE(bPosition + 12)
  );
}

/** Whether record `a` is a newer version than record `b` of the same trace: by event_ts, then by the date of its timestamp. */
export function isNewerRecord(a: Buffer, aPosition: number, b: Buffer, bPosition: number): boolean {
  const order = compareTimes(a, aPosition + RECORD.eventTs, b, bPosition + RECORD.eventTs);
  if (order !== 0) return order > 0;
  return a.readUInt16LE(aPosition + RECORD.date) > b.readUInt16LE(bPosition + RECORD.date);
}

/** Compares two event_ts, each an i64: less than 0 where the first is earlier. */
export function compareTimes(a: Buffer, aPosition: number, b: Buffer, bPosition: number): number {
  return (
    a.readInt32LE(aPosition + 4) - b.readInt32LE(bPosition + 4) ||
    a.readUInt32LE(aPosition) - b.readUInt32LE(bPosition)
  );
}
