import { writeFileSync } from "node:fs";
import { DifferencesError, UsageError } from "../errors.ts";
import { describeDifferences, renderVerifyJson, renderVerifyText } from "../report/verify-report.ts";
import { rangeToJson } from "../verify/differing-range.ts";
import { type VerifyResult, verify } from "../verify/verify.ts";
import type { Host } from "./host.ts";
import { backfillOf, monthsOfCommand, openSession, showWork } from "./session.ts";

/**
 * The command `verify`: compares the months' sources with the target, one after another, and prints what was found.
 * @throws {DifferencesError} where they differ, and any other error that decides the exit code.
 */
export async function verifyCommand(flags: ReadonlyMap<string, string>, host: Host): Promise<void> {
  const session = openSession("verify", flags, host);
  const { backfill, verification } = session.config;
  const { quick, ignoreNewer, maxExamples, reportPath, asJson } = verification;
  const isJson = asJson || session.config.logFormat === "json";
  if (reportPath !== null) writeReport(reportPath, "");
  const notice = "the comparison is stopped. A second signal ends the program at once.";
  const results = await showWork(session, notice, async (surface) => {
    const months = await monthsOfCommand(session, surface);
    surface.emit({ kind: "months", months });
    const compared: MonthDifferences[] = [];
    for (const { partition } of months) {
      const only = { quick, ignoreNewer, examples: maxExamples, only: null };
      const options = { backfill: backfillOf(session, partition), ...only };
      const result = await verify(options, surface.emit, surface.stop);
      const subject = { partition, target: backfill.tables.target, quick, isPartial: false };
      // Months that follow may take hours.
      host.stdout.write(isJson ? renderVerifyJson(result, subject) : renderVerifyText(result, subject));
      compared.push({ partition, result });
    }
    return compared;
  });
  if (reportPath !== null) writeReport(reportPath, results.map(rangeLines).join(""));
  const differing = results.flatMap(({ partition, result }) => {
    const differences = describeDifferences(result.counts);
    return differences === null ? [] : [results.length === 1 ? differences : `${partition}: ${differences}`];
  });
  if (differing.length > 0) {
    throw new DifferencesError(`${backfill.tables.target} differs from its sources: ${differing.join("; ")}`);
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

function writeReport(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--report ${JSON.stringify(path)}: expected a file that can be written: ${reason}`);
  }
}
