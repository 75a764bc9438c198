import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { connectTo, type TestServer } from "../../test/support/server.ts";
import { startLocalServer } from "../demo/server.ts";
import { DATA_VERSION, type DataSize, dataStatements, tableStatements } from "./data.ts";

export const BENCH_DIRECTORY = resolve(import.meta.dir, "../../.local/bench");
export const DATABASE = "bench";

/** A local ClickHouse that holds the data. */
export interface Dataset {
  readonly server: TestServer;
  readonly size: DataSize;
  stop(): Promise<void>;
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
  const isMade = existsSync(marker) && readFileSync(marker, "utf8") === wanted;
  if (!isMade) rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const local = await startLocalServer(join(directory, "clickhouse"), 0);
  const server = connectTo(local.url);
  try {
    if (!isMade) {
      await makeData(server, size, tell);
      writeFileSync(marker, wanted);
    }
  } catch (error) {
    await local.stop();
    throw error;
  }
  return { server, size, stop: local.stop };
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
