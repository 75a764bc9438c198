import { RunError } from "../errors.ts";
import { type CopiedRange, inKeyOrder, type VerificationResult, verifyCounts } from "./count-verification.ts";
import type { PhaseRun } from "./phase-run.ts";
import type { RunContext } from "./run-context.ts";
import { describeMissing, describeUnsettled } from "./verification-report.ts";

/** Counting queries at a time: the server runs each with several threads. */
const MAX_COUNT_QUERIES = 4;
/** Rows that each counts: seconds of work. FINAL merges as it reads, so that its memory does not grow with them. */
const COUNT_QUERY_ROWS = 4_000_000;

/**
 * Counts the source and compares it with what was read, now and by earlier runs. Throws a RunError when rows are missing; the ledger
 * then keeps only the ranges without missing rows.
 */
export async function verifySource(
  { options, emit, throttler, stop }: RunContext,
  { scope, mapping, ledger }: PhaseRun,
  copied: readonly CopiedRange[],
): Promise<VerificationResult> {
  const startedMs = performance.now();
  emit({ kind: "notice", message: `Counting ${scope.table} to compare it with what was read` });
  const totalRows = copied.reduce((sum, { rows }) => sum + rows, 0);
  let verifiedRows = 0;
  emit({ kind: "verified", rows: 0, totalRows });
  const isCopied = (name: string): boolean => mapping.copied.some((column) => column.name === name);
  const verification = await verifyCounts(
    {
      ...scope,
      // The engine's version column is there in any case, the others where they are copied.
      timeColumns: ["event_ts", ...["created_at", "updated_at"].filter(isCopied)],
      parallelQueries: Math.min(options.parallelWorkers, MAX_COUNT_QUERIES),
      queryRows: COUNT_QUERY_ROWS,
      throttling: { throttler, stop },
      onVerified: (rows) => {
        verifiedRows += rows;
        emit({ kind: "verified", rows: verifiedRows, totalRows });
      },
    },
    copied,
  );
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  if (verification.missing.length > 0) {
    const missing = new Set(verification.missing.map(({ range }) => range));
    if (!options.dryRun) ledger.keepOnly(inKeyOrder(copied).filter(({ range }) => !missing.has(range)));
    throw new RunError(describeMissing(scope.table, verification.missing, options.dryRun));
  }
  emit({ kind: "notice", message: `Nothing is missing, as counted in ${seconds} s` });
  for (const message of describeUnsettled(scope.table, verification)) emit({ kind: "notice", message });
  return verification;
}
