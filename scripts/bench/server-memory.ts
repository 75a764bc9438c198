import type { TestServer } from "../testbed/server.ts";

/** The query that took the most memory while the server was watched. */
export interface PeakQuery {
  readonly bytes: number;
  /** Its beginning. */
  readonly query: string;
}

const POLL_MS = 10;
const POLL_MARK = "bench watches memory";

/**
 * Watches the server's running queries while `work` is done, and returns the greatest peak memory of any of them.
 * A query's peak only grows while it runs, so what is missed is at most what it took in its last `POLL_MS` or so.
 * Watching costs the server time: such a run is not one whose time is measured.
 */
export async function watchMemory(server: TestServer, work: () => Promise<unknown>): Promise<PeakQuery> {
  let peak: PeakQuery = { bytes: 0, query: "" };
  let isDone = false;
  const watch = async (): Promise<void> => {
    while (!isDone) {
      const [row] = await server.queryJson<PeakQuery>(
        `SELECT peak_memory_usage AS bytes, substring(replaceRegexpAll(query, '\\\\s+', ' '), 1, 60) AS query
         FROM system.processes WHERE query NOT LIKE '%${POLL_MARK}%' ORDER BY bytes DESC LIMIT 1`,
      );
      if (row !== undefined && row.bytes > peak.bytes) peak = row;
      await Bun.sleep(POLL_MS);
    }
  };
  const watching = watch();
  try {
    await work();
  } finally {
    isDone = true;
    await watching;
  }
  return peak;
}
