import { identifier } from "../../src/clickhouse/sql.ts";
import { TABLES } from "./data.ts";
import { DATABASE, type Dataset } from "./dataset.ts";

/** Tables that keep what is inserted; the second ones are filled by views of the first. */
const STORED: Readonly<Record<string, readonly string[]>> = {
  [TABLES.events]: [],
  [TABLES.eventsFull]: [TABLES.eventsCore],
};

const MERGES_POLL_MS = 500;

/** Whether a table keeps its rows. */
export function isStored(target: string): boolean {
  return target in STORED;
}

/** Empties all tables that keep rows: merges of one contender's would take the processor from the next one. */
export async function emptyStored({ server }: Dataset): Promise<void> {
  for (const table of Object.entries(STORED).flatMap(([name, byViews]) => [name, ...byViews])) {
    await server.command(`TRUNCATE TABLE ${identifier(table)} SYNC`, { database: DATABASE });
  }
}

/**
 * Checks that a table, emptied before, and those that its views fill hold all rows, and returns how many parts were
 * inserted into it: each took a number of its own, and a merged part covers the numbers of those that it was made of.
 * Rejects when rows are missing.
 */
export async function insertedParts({ server, size }: Dataset, target: string): Promise<number> {
  for (const table of [target, ...(STORED[target] ?? [])]) {
    const [row] = await server.queryJson<{ rows: number }>(
      `SELECT count() AS rows FROM ${identifier(table)}`,
      {
        database: DATABASE,
      },
    );
    if (row?.rows !== size.observations) throw new Error(`${table} holds ${row?.rows} rows`);
  }
  const [blocks] = await server.queryJson<{ parts: number }>(
    `SELECT toUInt32(max(max_block_number) - min(min_block_number) + 1) AS parts FROM system.parts
     WHERE database = '${DATABASE}' AND table = '${target}' AND active AND rows > 0`,
  );
  return blocks?.parts ?? Number.NaN;
}

/** Resolves when the server merges nothing any more. */
export async function mergesDone({ server }: Dataset): Promise<void> {
  for (let idle = 0; idle < 3; ) {
    const [row] = await server.queryJson<{ merges: number }>(
      "SELECT toUInt32(count()) AS merges FROM system.merges",
    );
    idle = row?.merges === 0 ? idle + 1 : 0;
    await Bun.sleep(MERGES_POLL_MS);
  }
}
