import { qualifiedTable } from "../clickhouse/sql.ts";
import { RunError } from "../errors.ts";
import type { PageLedger } from "./page-ledger.ts";
import type { RunContext } from "./run-context.ts";

/**
 * Throws a RunError when the server rejected every row: the cause is then the target, and no single row. What this run
 * has skipped is no longer done.
 */
export function refuseIfAllRejected({ options, progress }: RunContext, ledger: PageLedger): void {
  const done = progress.ofPhase();
  const skipped = done?.skipped ?? 0;
  const rows = done === null ? 0 : done.rows - done.leftOut - done.superseded;
  if (skipped === 0 || skipped < rows || ledger.done.length > 0) return;
  ledger.keepOnly([]);
  const target = qualifiedTable(options.connection.database, options.tables.target);
  throw new RunError(
    `Inserting into ${target}: the server rejected all ${rows} rows, so that nothing was inserted\nThe file of --skip-bad-rows names the rows and the server's reasons. Correct what is in their way; then run the same command again.`,
  );
}
