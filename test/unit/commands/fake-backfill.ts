// A core that copies nothing: FAKE says how it behaves. Type imports only, since it is loaded in another place.

import type { RunLedgers } from "../../../src/run/backfill.ts";
import type { BackfillOptions } from "../../../src/run/backfill-options.ts";
import type { BackfillEvent } from "../../../src/run/events.ts";
import type { BackfillReport } from "../../../src/run/report.ts";

const spent = { readingMs: 0, enrichingMs: 0, insertingMs: 0, throttledMs: 0 };
const KEY = { projectId: "p", type: "SPAN", date: "2025-01-15", id: "x" };

export async function runBackfill(
  options: BackfillOptions,
  ledgers: RunLedgers,
  emit: (event: BackfillEvent) => void,
  stop: AbortSignal,
): Promise<BackfillReport> {
  const report: BackfillReport = {
    outcome: options.dryRun ? "dry-run" : "done",
    phases: [
      {
        phase: "observations",
        rows: 3,
        leftOut: 0,
        superseded: 0,
        withoutTrace: 1,
        bytes: 3_000_000,
        skipped: 0,
      },
    ],
    observationsRead: 3,
    eventsInserted: options.dryRun ? 0 : 3,
    tracesLoaded: 2,
    observationsWithoutTrace: 1,
    retries: 0,
    rowsSkipped: 0,
    batchesHalved: 0,
    waitedMs: 0,
    lateRows: 0,
    rewrittenRows: 0,
    durationMs: 1500,
    bytesRead: 3_000_000,
    warnings: [],
    months: [],
  };
  const ledger = ledgers.monthly.get("observations");
  if (ledger === undefined) throw new Error("The fake copies observations");
  if (ledger.finished) return { ...report, outcome: "already-finished" };
  emit({ kind: "connected", serverVersion: "24.8.1", url: options.connection.url });
  emit({ kind: "planned", phase: "observations", totalRows: 6, doneRows: ledger.rowsProcessed });
  emit({ kind: "rows", phase: "observations", rows: 0, bytes: 0, keptRows: 0, insertedRows: 0, spent });
  switch (process.env["FAKE"]) {
    case "options": {
      // Letter by letter: written whole, the password would be hidden.
      const connection = { ...options.connection, password: [...options.connection.password] };
      emit({ kind: "notice", message: JSON.stringify({ ...options, connection }) });
      break;
    }
    case "leak": {
      const { url, user, password } = options.connection;
      const headers = { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
      const cause = Object.assign(new Error(`${url}?password=${encodeURIComponent(password)}`), { headers });
      setTimeout(() => {
        throw new Error(`No way to ${JSON.stringify({ password, headers })}`, { cause });
      }, 1);
      await new Promise(() => {});
      break;
    }
    case "quote":
      throw new Error(`The server quotes ${options.connection.password}`);
    case "throw-later":
      setTimeout(() => {
        throw new Error("a stray failure");
      }, 1);
      await new Promise(() => {});
      break;
    case "graceful":
      await new Promise((resolve) => stop.addEventListener("abort", resolve));
      ledger.finishPage({ after: null, upTo: KEY }, 3);
      throw stop.reason;
    case "stubborn":
      await new Promise(() => {});
      break;
    case "chatty":
      for (let line = 0; line < 50; line += 1) {
        emit({ kind: "notice", message: "x".repeat(2000) });
        await Bun.sleep(2);
      }
      break;
  }
  for (const range of ledger.remaining()) ledger.finishPage(range, 3);
  ledger.finishPartition(KEY, 3, null);
  emit({
    kind: "rows",
    phase: "observations",
    rows: 3,
    bytes: 3_000_000,
    keptRows: 3,
    insertedRows: 3,
    spent,
  });
  return report;
}
