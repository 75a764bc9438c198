import { renderFinalReport } from "../report/final-report.ts";
import { renderMonthsTable } from "../report/months-table.ts";
import { type MonthResult, reportJson } from "../report/report-json.ts";
import { Throttler } from "../throttle/throttler.ts";
import { copyMonths } from "./copy-months.ts";
import type { Host } from "./host.ts";
import { openSession, type Session, showWork } from "./session.ts";
import { GRACE_PERIOD_MS } from "./stop-signals.ts";
import { createSummaryFile } from "./summary-file.ts";
import { version } from "./version.ts";
import { watched } from "./watched-run.ts";

const STOP_NOTICE =
  `no new pages are begun, open INSERTs end after the block in flight (at most ${GRACE_PERIOD_MS / 1000} s). ` +
  "A second signal stops at once; nothing is lost by it.";

/**
 * The command `run`: configuration, then lock, checkpoint and backfill of each month, and the final report.
 * @throws the error that decides the exit code.
 */
export async function run(flags: ReadonlyMap<string, string>, host: Host): Promise<void> {
  const session = openSession("run", flags, host);
  const { config } = session;
  const summary = createSummaryFile(config.summaryPath);
  const throttler = new Throttler();
  if (config.throttle.maxRate !== null) throttler.setRate(config.throttle.maxRate);
  const { results, notBegun, failure } = await showWork(session, STOP_NOTICE, (surface) =>
    watched(session, surface, () => copyMonths(session, throttler, surface)),
  );
  // Messages of servers and libraries may quote what they were sent.
  const report = host.secrets.redactTexts(
    reportJson(results, notBegun, {
      tables: config.backfill.tables,
      database: config.backfill.connection.database,
      server: config.backfill.connection.url,
      version: version(),
    }),
  );
  const json = `${JSON.stringify(report)}\n`;
  summary.write(json);
  if (!config.quiet) printReport(session, results, notBegun, json);
  if (failure !== null) throw failure.error;
}

function printReport(
  { config, host }: Session,
  results: readonly MonthResult[],
  notBegun: readonly string[],
  json: string,
): void {
  const { stdout } = host;
  if (config.logFormat === "json") {
    stdout.write(json);
    return;
  }
  if (results.length + notBegun.length > 1) {
    stdout.write(renderMonthsTable(results, notBegun));
    return;
  }
  const [only] = results;
  if (only?.report == null) return;
  const { tables } = config.backfill;
  const subject = { partition: only.partition, tables, skipFilePath: config.skipBadRowsPath };
  stdout.write(renderFinalReport(only.report, subject));
}
