import { readFileSync } from "node:fs";
import { DifferencesError, UsageError } from "../errors.ts";
import { formatCount } from "../report/format.ts";
import { describeDifferences, renderVerifyJson, renderVerifyText } from "../report/verify-report.ts";
import { type DifferingRange, parseRanges } from "../verify/differing-range.ts";
import { copyRanges, deleteStatement } from "../verify/repair.ts";
import { type VerifyOptions, type VerifyResult, verify } from "../verify/verify.ts";
import type { Host } from "./host.ts";
import { backfillOf, lock, monthsOfCommand, openSession, type Session, showWork } from "./session.ts";

/**
 * The command `repair`: copies the parts of the months again that differ, and compares them.
 * @throws {DifferencesError} where they still differ, and any other error that decides the exit code.
 */
export async function repairCommand(flags: ReadonlyMap<string, string>, host: Host): Promise<void> {
  const session = openSession("repair", flags, host);
  const months = await showWork(session, COMPARE_NOTICE, (surface) => monthsOfCommand(session, surface));
  const failures: DifferencesError[] = [];
  for (const { partition } of months) {
    try {
      await repairMonth(session, partition);
    } catch (error) {
      if (!(error instanceof DifferencesError)) throw error;
      failures.push(error);
    }
  }
  const [first, ...others] = failures;
  if (first === undefined) return;
  throw others.length === 0 ? first : new DifferencesError(failures.map(({ message }) => message).join("\n"));
}

async function repairMonth(session: Session, partition: string): Promise<void> {
  const { host, config } = session;
  const { backfill, cursorStateDir, verification } = config;
  const options: VerifyOptions = {
    backfill: backfillOf(session, partition),
    quick: false,
    ignoreNewer: verification.ignoreNewer,
    examples: verification.maxExamples,
    only: null,
  };
  const { reportPath } = verification;
  const given = reportPath === null ? null : readRanges(reportPath, partition);
  if (!backfill.dryRun) lock(session, cursorStateDir, partition);
  const ranges = given ?? (await compare(session, options)).differingRanges;
  const toCopy = ranges.filter(({ counts }) => Object.keys(counts).some((kind) => kind !== "newer"));
  if (toCopy.length === 0) {
    host.stdout.write(`Nothing to repair: no part of partition ${partition} differs.\n`);
    return;
  }
  if (backfill.dryRun) {
    host.stdout.write(
      [
        `Would copy ${toCopy.length} parts of partition ${partition} again:`,
        ...toCopy.map(describeRange),
        "",
      ].join("\n"),
    );
    return;
  }
  const { eventsInserted } = await showWork(session, STOP_NOTICE, ({ emit, stop }) =>
    copyRanges(options.backfill, toCopy, emit, stop),
  );
  const parts = toCopy.length === 1 ? "1 part" : `${formatCount(toCopy.length)} parts`;
  session.logger.info(`${formatCount(eventsInserted)} rows of ${parts} were copied again`);
  printResult(session, partition, await compare(session, { ...options, only: toCopy }));
}

const COMPARE_NOTICE = "the comparison is stopped. A second signal ends the program at once.";
const STOP_NOTICE =
  "no new pages are begun; what is copied stays, and repair may be run again. A second signal stops at once.";

async function compare(session: Session, options: VerifyOptions): Promise<VerifyResult> {
  return await showWork(session, COMPARE_NOTICE, ({ emit, stop }) => verify(options, emit, stop));
}

function printResult({ config, host }: Session, partition: string, result: VerifyResult): void {
  const { connection, tables } = config.backfill;
  const subject = { partition, target: tables.target, quick: false, isPartial: true };
  const asJson = config.verification.asJson || config.logFormat === "json";
  host.stdout.write(asJson ? renderVerifyJson(result, subject) : renderVerifyText(result, subject));
  const statement = deleteStatement(connection.database, tables.target, result.examples);
  if (statement !== null && !asJson) {
    host.stdout.write(
      `Nothing was deleted. Look at the unexpected rows; this statement deletes those shown:\n  ${statement}\n`,
    );
  }
  const differences = describeDifferences(result.counts);
  if (differences !== null) {
    throw new DifferencesError(`${subject.target} still differs from its sources: ${differences}`);
  }
}

function describeRange(range: DifferingRange): string {
  const counts = describeDifferences({
    missing: 0,
    unexpected: 0,
    stale: 0,
    differing: 0,
    newer: 0,
    ...range.counts,
  });
  const where =
    range.phase === "month"
      ? `project ${JSON.stringify(Buffer.from(range.projectHex, "hex").toString())}, ${range.day} (UTC)`
      : "traces of dataset runs";
  return `  ${where}: ${counts}`;
}

function readRanges(path: string, partition: string): DifferingRange[] {
  try {
    return parseRanges(readFileSync(path, "utf8"), partition);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--report ${JSON.stringify(path)}: expected a report of verify: ${reason}`);
  }
}
