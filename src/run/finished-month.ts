import type { Server } from "../clickhouse/server.ts";
import { CheckpointError } from "../errors.ts";
import type { PageLedger } from "./page-ledger.ts";
import type { RunContext } from "./run-context.ts";
import { countTargetRows } from "./target-rows.ts";

/**
 * Checks that the target still has the events of a month that an earlier run finished. Rejects with a CheckpointError when it has
 * fewer.
 */
export async function confirmFinishedMonth(
  server: Server,
  { options, retry }: RunContext,
  ledger: PageLedger,
): Promise<void> {
  const { partition, tables } = options;
  const found = await countTargetRows(server, options, retry);
  // A checkpoint of an earlier version records no rows of the target; then only an empty one is certainly wrong.
  const recorded = ledger.targetRows ?? Math.min(1, ledger.rowsProcessed);
  if (found !== null && found < recorded) {
    const expected = ledger.targetRows ?? ledger.rowsProcessed;
    throw new CheckpointError(
      `Partition ${partition} was finished by an earlier run, but ${tables.target} now has ${found} of the ${expected} rows that it had then\n` +
        "If they were deleted on purpose, nothing is to be done. --restart sets the checkpoint aside and copies the month again.",
    );
  }
}
