import { describeRange } from "../plan/key-range.ts";
import type { MissedRange, ProofResult } from "./partition-proof.ts";

/** More ranges would push the first lines out of sight. */
const MAX_RANGES_TOLD = 20;

/** The message of a run that has missed rows. */
export function describeMissed(table: string, missed: readonly MissedRange[], dryRun: boolean): string {
  const rows = missed.reduce((sum, { sourceRows, copiedRows }) => sum + sourceRows - copiedRows, 0);
  const told = missed
    .slice(0, MAX_RANGES_TOLD)
    .map(
      ({ range, sourceRows, copiedRows }) =>
        `${describeRange(range)}: ${sourceRows} rows in the source, ${copiedRows} read`,
    );
  const untold = missed.length - told.length;
  return [
    `Comparing ${table} with what was read: ${rows} ${rows === 1 ? "row was" : "rows were"} missed`,
    ...told,
    ...(untold > 0 ? [`and ${untold} more ranges`] : []),
    "Rows that were written with an earlier time than that of their arrival look the same.",
    dryRun
      ? "A run would end with exit code 1 and not mark the partition as finished."
      : "These ranges do not count as done any more: run the same command again to copy them once more.",
  ].join("\n");
}

/** What the user should know of rows that came or went while the partition was copied; empty: nothing. */
export function describeUnsettled(table: string, { lateRows, goneRows }: ProofResult): string[] {
  const notices: string[] = [];
  if (lateRows > 0) {
    notices.push(
      `${count(lateRows)} of ${table} carry a time later than the reading of their page: they are not copied, or not as ` +
        "they are now. To copy them, delete the checkpoint and run again when the partition is no longer written to.",
    );
  }
  if (goneRows > 0) {
    notices.push(
      `${count(goneRows)} that were copied are no longer in ${table}: they were deleted meanwhile, and the target has them.`,
    );
  }
  return notices;
}

function count(rows: number): string {
  return rows === 1 ? "1 row" : `${rows} rows`;
}
