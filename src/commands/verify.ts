import { writeFileSync } from "node:fs";
import { comparisonPaths, openComparisonFile } from "../checkpoint/comparison-file.ts";
import { acquireLock } from "../checkpoint/lock.ts";
import { ensureStateDirectory } from "../checkpoint/paths.ts";
import { CheckpointError, DifferencesError, UsageError } from "../errors.ts";
import { describeDifferences, renderVerifyJson, renderVerifyText } from "../report/verify-report.ts";
import { type ComparisonLedger, NO_COMPARISON_LEDGER } from "../verify/comparison-ledger.ts";
import { rangeToJson } from "../verify/differing-range.ts";
import { type VerifyResult, verify } from "../verify/verify.ts";
import type { Host } from "./host.ts";
import { backfillOf, monthsOfCommand, openSession, type Session, showWork } from "./session.ts";

/**
 * The command `verify`: compares the months' sources with the target, one after another, and prints what was found.
 * @throws {DifferencesError} where they differ, and any other error that decides the exit code.
 */
export async function verifyCommand(flags: ReadonlyMap<string, string>, host: Host): Promise<void> {
  const session = openSession("verify", flags, host);
  const { backfill, verification } = session.config;
  const { quick, ignoreNewer, maxExamples, reportPath, asJson } = verification;
  const isJson = asJson || session.config.logFormat === "json";
  if (reportPath !== null) writeReport(reportPath, "", "w");
  const notice =
    "the comparison is stopped; the same command goes on with it. A second signal ends the program at once.";
  const results = await showWork(session, notice, async (surface) => {
    const months = await monthsOfCommand(session, surface);
    const compared: MonthDifferences[] = [];
    for (const { partition } of months) {
      surface.emit({ kind: "month", partition, isOneOfSeveral: months.length > 1 });
      const { ledger, release } = openComparison(session, partition);
      const compare = { quick, ignoreNewer, examples: maxExamples, only: null, ledger };
      const options = { backfill: backfillOf(session, partition), ...compare };
      const result = await verify(options, surface.emit, surface.stop);
      release();
      const subject = { partition, target: backfill.tables.target, quick, isPartial: false };
      // Months that follow may take hours.
      host.stdout.write(isJson ? renderVerifyJson(result, subject) : renderVerifyText(result, subject));
      if (reportPath !== null) writeReport(reportPath, rangeLines({ partition, result }), "a");
      compared.push({ partition, result });
    }
    return compared;
  });
  const differing = results.flatMap(({ partition, result }) => {
    const differences = describeDifferences(result.counts);
    return differences === null ? [] : [results.length === 1 ? differences : `${partition}: ${differences}`];
  });
  if (differing.length > 0) {
    throw new DifferencesError(`${backfill.tables.target} differs from its sources: ${differing.join("; ")}`);
  }
}

/**
 * The ledger of a month's comparison, under a lock. Where the state directory takes no files, or another comparison of the month goes on,
 * this one keeps nothing, and says so: it only reads, and is not refused.
 */
function openComparison(
  session: Session,
  partition: string,
): { ledger: ComparisonLedger; release: () => void } {
  const { config, host, logger } = session;
  const { cursorStateDir: directory, restart } = config;
  const paths = comparisonPaths(directory, partition);
  const listener = {
    onNotice: (message: string) => logger.info(message),
    onFailure: (message: string) => logger.warn(message),
  };
  try {
    ensureStateDirectory(directory);
    const { notice, release } = acquireLock(paths.lock);
    host.onExit(release);
    if (notice !== null) logger.info(notice);
    return { ledger: openComparisonFile(paths.state, partition, restart, listener), release };
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    const [reason] = error.message.split("\n");
    logger.warn(`Nothing is kept for a later comparison to go on with: ${reason}`);
    return { ledger: NO_COMPARISON_LEDGER, release: () => {} };
  }
}

interface MonthDifferences {
  readonly partition: string;
  readonly result: VerifyResult;
}

/** The parts of a month that differ, as JSON lines. */
function rangeLines({ partition, result }: MonthDifferences): string {
  return result.differingRanges
    .map((range) => `${JSON.stringify({ partition, ...rangeToJson(range) })}\n`)
    .join("");
}

function writeReport(path: string, text: string, flag: "w" | "a"): void {
  try {
    writeFileSync(path, text, { flag });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--report ${JSON.stringify(path)}: expected a file that can be written: ${reason}`);
  }
}
