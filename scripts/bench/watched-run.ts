/**
 * A run of the tool within this process that records when each thing was done: the report of the tool has only totals.
 *
 *   bun scripts/bench/watched-run.ts <URL> <target table> <workers> [--dry-run]
 */

import { WHOLE_KEY_SPACE } from "../../src/plan/key-range.ts";
import { runBackfill } from "../../src/run/backfill.ts";
import type { PageLedger } from "../../src/run/page-ledger.ts";
import { runOptions } from "../testbed/run-options.ts";
import { connectTo } from "../testbed/server.ts";
import { PARTITION } from "./data.ts";
import { DATABASE } from "./dataset.ts";

/** The output: times in milliseconds since the run knew what there is to do. */
export interface WatchedRun {
  readonly tracesLoaded: number;
  /** Size of the records; the index comes on top. */
  readonly traceBytes: number;
  readonly lastTraceMs: number;
  /** The first rows were copied; by then the trace store was complete. */
  readonly firstRowsMs: number;
  readonly pages: readonly { readonly rows: number; readonly finishedMs: number }[];
}

if (import.meta.main) {
  const [url = "", target = "", workers = "1", dryRun = ""] = process.argv.slice(2);
  console.log(JSON.stringify(await watch(url, target, Number(workers), dryRun === "--dry-run")));
}

async function watch(
  url: string,
  target: string,
  parallelWorkers: number,
  dryRun: boolean,
): Promise<WatchedRun> {
  const tables = { source: "observations", traces: "traces", target };
  const options = runOptions(connectTo(url), DATABASE, PARTITION, { tables, parallelWorkers, dryRun });
  const pages: { rows: number; finishedMs: number }[] = [];
  const seen = { traces: 0, bytes: 0, lastTraceMs: 0, firstRowsMs: 0 };
  let startedMs = performance.now();
  const sinceStart = (): number => performance.now() - startedMs;
  const ledger: PageLedger = {
    finished: false,
    isPartial: false,
    targetRows: null,
    rowsProcessed: 0,
    done: [],
    claim: () => {},
    reopen: () => ledger,
    begin: (nowMs) => nowMs,
    keepOnly: () => {},
    remaining: () => [WHOLE_KEY_SPACE],
    finishPage: (_, rows) => void pages.push({ rows, finishedMs: sinceStart() }),
    finishPartition: () => {},
  };
  await runBackfill(
    options,
    { monthly: new Map([["observations", ledger]]), openExperiments: null },
    (event) => {
      if (event.kind === "planned") startedMs = performance.now();
      if (event.kind === "rows" && event.rows > 0) seen.firstRowsMs ||= sinceStart();
      if (event.kind !== "traces" || event.loaded === seen.traces) return;
      Object.assign(seen, { traces: event.loaded, bytes: event.bytes, lastTraceMs: sinceStart() });
    },
    new AbortController().signal,
  );
  return {
    tracesLoaded: seen.traces,
    traceBytes: seen.bytes,
    lastTraceMs: seen.lastTraceMs,
    firstRowsMs: seen.firstRowsMs,
    pages,
  };
}
