/**
 * The two byte streams, a response and an INSERT's data, over the program's own transport and over ClickHouse's client.
 *
 *   bun scripts/bench/streams.ts [<observations>] [<rounds>]
 */
import { Readable } from "node:stream";
import { createClient } from "@clickhouse/client";
import { Server } from "../../src/clickhouse/server.ts";
import { qualifiedTable } from "../../src/clickhouse/sql.ts";
import { type FinishedProcess, runProcess } from "./child.ts";
import { script } from "./contenders.ts";
import { TABLES } from "./data.ts";
import { DATABASE, openDataset } from "./dataset.ts";
import { renderColumns, spreadOf } from "./statistics.ts";

const WAYS = ["transport", "client"] as const;
const DIRECTIONS = ["down", "up"] as const;
/** The size of a usual event block, which is sent over and over. */
const BLOCK_ROWS = 10_000;
const BLOCKS = 100;
const NO_TIMEOUT_MS = 2 ** 31 - 1;
const SELECT = `SELECT * FROM ${qualifiedTable(DATABASE, TABLES.source)}`;
const INSERT = `INSERT INTO ${qualifiedTable(DATABASE, TABLES.observationsNull)} FORMAT Native`;

const [first = "1000000", second = "3", url] = process.argv.slice(2);
if (url === undefined) await measure(Number(first), Number(second));
else await carry(first, second, url);

async function measure(observations: number, rounds: number): Promise<void> {
  const dataset = await openDataset(
    { observations, traces: Math.ceil(observations / 10), seed: 1, shape: "month" },
    console.log,
  );
  const runs = new Map<string, FinishedProcess[]>();
  for (let round = 0; round < rounds; round++) {
    for (const direction of DIRECTIONS) {
      for (const way of round % 2 === 0 ? WAYS : WAYS.toReversed()) {
        const run = await runProcess(script("streams.ts", way, direction, dataset.server.url));
        const name = `${direction}, ${way}`;
        runs.set(name, [...(runs.get(name) ?? []), run]);
      }
    }
  }
  await dataset.stop();
  const lines = [...runs].map(([name, all]) => {
    const gigabytes = Number(all[0]?.stdout) / 1e9;
    const median = (of: (run: FinishedProcess) => number): number => spreadOf(all.map(of)).median;
    return [
      name,
      (median(({ wallMs }) => wallMs) / 1000 / gigabytes).toFixed(2),
      (median(({ cpuMs }) => cpuMs) / 1000 / gigabytes).toFixed(2),
      (median(({ peakRssBytes }) => peakRssBytes) / 1e6).toFixed(0),
    ];
  });
  console.log(renderColumns([["", "wall s/GB", "CPU s/GB", "peak RSS MB"], ...lines]));
}

/** Carries the bytes as a process of its own, and prints their number. */
async function carry(way: string, direction: string, at: string): Promise<void> {
  const { signal } = new AbortController();
  const server = new Server({ url: at, user: "default", password: "", database: DATABASE });
  const client = createClient({ url: at, database: DATABASE, request_timeout: NO_TIMEOUT_MS });
  const block = direction === "up" ? await readBlock(server, signal) : Buffer.alloc(0);
  let bytes = block.length * BLOCKS;
  if (direction === "down" && way === "transport") {
    const { chunks } = await server.select({ sql: SELECT, kind: "pageRead" }, signal);
    for await (const chunk of chunks) bytes += chunk.length;
  } else if (direction === "down") {
    const { stream } = await client.exec({ query: `${SELECT} FORMAT Native` });
    for await (const chunk of stream) bytes += (chunk as Buffer).length;
  } else if (way === "transport") {
    const insert = server.openInsert({ sql: INSERT }, { isSealed: false }, signal);
    for (let i = 0; i < BLOCKS; i++) await insert.write([block], BLOCK_ROWS);
    insert.end();
    await insert.acknowledged;
  } else {
    const values = Readable.from(
      Array.from({ length: BLOCKS }, () => block),
      { objectMode: false },
    );
    const { stream } = await client.exec({ query: INSERT, values });
    for await (const _ of stream);
  }
  server.close();
  await client.close();
  console.log(String(bytes));
}

async function readBlock(server: Server, signal: AbortSignal): Promise<Buffer> {
  const settings = { max_block_size: BLOCK_ROWS };
  const sql = `${SELECT} LIMIT ${BLOCK_ROWS}`;
  const { chunks } = await server.select({ sql, kind: "pageRead", settings }, signal);
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}
