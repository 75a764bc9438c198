import { writeFileSync } from "node:fs";
import { DifferencesError, UsageError } from "../errors.ts";
import { describeDifferences, renderVerifyJson, renderVerifyText } from "../report/verify-report.ts";
import { rangeToJson } from "../verify/differing-range.ts";
import { type VerifyResult, verify } from "../verify/verify.ts";
import type { Host } from "./host.ts";
import { openSession, showWork } from "./session.ts";

/**
 * The command `verify`: compares the month's sources with the target, and prints what was found.
 * @throws {DifferencesError} where they differ, and any other error that decides the exit code.
 */
export async function verifyCommand(flags: ReadonlyMap<string, string>, host: Host): Promise<void> {
  const session = openSession("verify", flags, host);
  const { backfill, verification } = session.config;
  const { quick, ignoreNewer, maxExamples, reportPath, asJson } = verification;
  if (reportPath !== null) writeReport(reportPath, "");
  const options = {
    backfill: { ...backfill, workerUrl: host.workerUrl, cores: host.cores },
    quick,
    ignoreNewer,
    examples: maxExamples,
    only: null,
  };
  const notice = "the comparison is stopped. A second signal ends the program at once.";
  const result = await showWork(session, notice, (emit, stop) => verify(options, emit, stop));
  const subject = { partition: backfill.partition, target: backfill.tables.target, quick, isPartial: false };
  host.stdout.write(asJson ? renderVerifyJson(result, subject) : renderVerifyText(result, subject));
  if (reportPath !== null) writeReport(reportPath, rangeLines(result, backfill.partition));
  const differences = describeDifferences(result.counts);
  if (differences !== null) {
    throw new DifferencesError(`${subject.target} differs from its sources: ${differences}`);
  }
}

/** The parts of the month that differ, as JSON lines. */
function rangeLines({ differingRanges }: VerifyResult, partition: string): string {
  return differingRanges.map((range) => `${JSON.stringify({ partition, ...rangeToJson(range) })}\n`).join("");
}

function writeReport(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--report ${JSON.stringify(path)}: expected a file that can be written: ${reason}`);
  }
}
