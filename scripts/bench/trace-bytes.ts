import { DATABASE, type Dataset } from "./dataset.ts";

/** What the trace store may take for a trace in addition to its values: key, versions, lengths, index. */
export const ALLOWED_BYTES_PER_TRACE = 40;

/** The bytes of the values that the store must hold. */
export async function ownBytesOf({ server }: Dataset): Promise<number> {
  const lengths = ["user_id", "session_id", "release", "version", "name"].map(
    (column) => `length(ifNull(${column}, ''))`,
  );
  const lists = ["tags", "mapKeys(metadata)", "mapValues(metadata)"].map(
    (list) => `arraySum(arrayMap(text -> length(text), CAST(${list} AS Array(String))))`,
  );
  const [row] = await server.queryJson<{ bytes: number }>(
    `SELECT sum(${[...lengths, ...lists].join(" + ")}) AS bytes FROM traces`,
    { database: DATABASE },
  );
  return row?.bytes ?? Number.NaN;
}
