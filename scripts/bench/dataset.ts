import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { startLocalServer } from "../demo/server.ts";
import { connectTo, type TestServer } from "../testbed/server.ts";
import { DATA_VERSION, type DataSize, dataStatements, tableStatements } from "./data.ts";

export const BENCH_DIRECTORY = resolve(import.meta.dir, "../../.local/bench");
export const DATABASE = "bench";

/** A local ClickHouse that holds the data. */
export interface Dataset {
  readonly server: TestServer;
  readonly size: DataSize;
  /** Size of all observations as a response in ClickHouse's Native format. */
  readonly wireBytes: number;
  stop(): Promise<void>;
}

/** What a folder holds. */
interface Marker {
  readonly wanted: string;
  readonly wireBytes: number;
}

/**
 * Starts the local ClickHouse on data of this size, which is made if an earlier call has not left it.
 * Each size has a folder of its own under `.local/bench`.
 */
export async function openDataset(size: DataSize, tell: (line: string) => void): Promise<Dataset> {
  const { observations, traces, seed, shape } = size;
  const directory = join(BENCH_DIRECTORY, `${shape}-${observations}-${traces}-${seed}`);
  const marker = join(directory, "made.json");
  const wanted = JSON.stringify({ version: DATA_VERSION, ...size });
  const made = existsSync(marker) ? (JSON.parse(readFileSync(marker, "utf8")) as Marker) : null;
  const isMade = made?.wanted === wanted;
  if (!isMade) rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const local = await startLocalServer(join(directory, "clickhouse"), 0);
  const server = connectTo(local.url);
  try {
    if (isMade) return { server, size, wireBytes: made.wireBytes, stop: local.stop };
    await makeData(server, size, tell);
    const wireBytes = await measureWireBytes(server);
    writeFileSync(marker, JSON.stringify({ wanted, wireBytes } satisfies Marker));
    return { server, size, wireBytes, stop: local.stop };
  } catch (error) {
    await local.stop();
    throw error;
  }
}

async function makeData(server: TestServer, size: DataSize, tell: (line: string) => void): Promise<void> {
  await server.command(`CREATE DATABASE ${DATABASE}`);
  for (const sql of tableStatements()) await server.command(sql, { database: DATABASE });
  for (const { what, sql } of dataStatements(size)) {
    const startedMs = performance.now();
    await server.command(sql, { database: DATABASE });
    tell(`made ${what} in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
  }
}

async function measureWireBytes(server: TestServer): Promise<number> {
  const url = new URL(server.url);
  url.searchParams.set("database", DATABASE);
  const response = await fetch(url, { method: "POST", body: "SELECT * FROM observations FORMAT Native" });
  let bytes = 0;
  for await (const chunk of response.body ?? []) bytes += chunk.length;
  return bytes;
}
