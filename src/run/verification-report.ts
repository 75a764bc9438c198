import { describeRange } from "../plan/key-range.ts";
import type { MissingRange, VerificationResult } from "./count-verification.ts";

/** More ranges would push the first lines out of sight. */
const MAX_RANGES_SHOWN = 20;

/** The message of a run that has not read all rows. */
export function describeMissing(table: string, missing: readonly MissingRange[], dryRun: boolean): string {
  const rows = missing.reduce((sum, { sourceRows, copiedRows }) => sum + sourceRows - copiedRows, 0);
  const shown = missing
    .slice(0, MAX_RANGES_SHOWN)
    .map(
      ({ range, sourceRows, copiedRows }) =>
        `${describeRange(range)}: ${sourceRows} rows in the source, ${copiedRows} read`,
    );
  const hidden = missing.length - shown.length;
  return [
    `Comparing ${table} with what was read: ${rows} ${rows === 1 ? "row is" : "rows are"} missing`,
    ...shown,
    ...(hidden > 0 ? [`and ${hidden} more ranges`] : []),
    "Rows that were written with an earlier time than that of their arrival look the same.",
    dryRun
      ? "A run would end with exit code 1 and not mark the partition as finished."
      : "These ranges no longer count as done: run the same command again to copy them once more.",
  ].join("\n");
}

/** What the user should know of rows that came, changed or went while the partition was copied; empty: nothing. */
export function describeUnsettled(
  table: string,
  { lateRows, rewrittenRows, goneRows }: VerificationResult,
): string[] {
  const again =
    "To copy them as they are now, run with --restart when the partition is no longer written to.";
  const notices: string[] = [];
  if (lateRows > 0) {
    notices.push(
      `${count(lateRows)} of ${table} were written after their page was read, and are not copied. ${again}`,
    );
  }
  if (rewrittenRows > 0) {
    notices.push(
      `${count(rewrittenRows)} of ${table} were written again after their page was read: the target may have them as they were. ${again}`,
    );
  }
  if (goneRows > 0) {
    notices.push(
      `${count(goneRows)} that were copied are no longer in ${table}: they were deleted during the run, and the target has them.`,
    );
  }
  return notices;
}

function count(rows: number): string {
  return rows === 1 ? "1 row" : `${rows} rows`;
}
