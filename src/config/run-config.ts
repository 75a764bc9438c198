import type { ProxySettings, TlsCertificates } from "../clickhouse/connection.ts";
import type { MonthSelection } from "../plan/months.ts";
import type { BackfillOptions } from "../run/backfill-options.ts";
import type { Rate } from "../throttle/rate.ts";
import type { LogLevel } from "./log-level.ts";
import type { Settings } from "./options.ts";
import type { StatusPage } from "./status-page.ts";

/** The settings in the shape in which the parts of a command take them. */
export interface RunConfig {
  readonly backfill: Omit<BackfillOptions, "partition" | "workerUrl" | "cores">;
  readonly months: {
    readonly selection: MonthSelection;
    /** Whether `all` takes the current month as well. */
    readonly includeCurrent: boolean;
    readonly oldestFirst: boolean;
    /** Go on with the other months when one fails. */
    readonly keepGoing: boolean;
  };
  readonly throttle: {
    readonly maxRate: Rate | null;
    /** A SELECT; the run pauses while it returns 1. */
    readonly pauseWhen: string | null;
    /** Of the target, in the month. */
    readonly maxActiveParts: number | null;
  };
  readonly cursorStateDir: string;
  /** Set an existing checkpoint aside and copy the month from the start. */
  readonly restart: boolean;
  /** The file of skipped rows; `null`: a row that cannot be inserted ends the run. */
  readonly skipBadRowsPath: string | null;
  readonly logLevel: LogLevel;
  readonly logFormat: "text" | "json";
  /** Print warnings and errors alone. */
  readonly quiet: boolean;
  /** The file for the final report as JSON; `null`: none is written. */
  readonly summaryPath: string | null;
  /** `null`: none is served. */
  readonly statusPage: StatusPage | null;
  /** Print the status again and again. */
  readonly watch: boolean;
  readonly verification: {
    readonly quick: boolean;
    readonly ignoreNewer: boolean;
    /** Of each kind of difference. */
    readonly maxExamples: number;
    /** The file for the parts of the month that differ; `null`: none is written. */
    readonly reportPath: string | null;
    readonly asJson: boolean;
  };
}

/** Sorts the settings by who needs them. */
export function toRunConfig(
  settings: Settings,
  {
    tls,
    proxy,
    statusPage,
  }: {
    readonly tls: TlsCertificates | null;
    readonly proxy: ProxySettings | null;
    readonly statusPage: StatusPage | null;
  },
): RunConfig {
  return {
    backfill: {
      connection: {
        url: settings.clickhouseUrl,
        user: settings.clickhouseUser,
        password: settings.clickhousePassword,
        database: settings.clickhouseDb,
        compression: settings.compression,
        ...(tls === null ? {} : { tls }),
        ...(proxy === null ? {} : { proxy }),
      },
      tables: {
        source: settings.sourceTable,
        traces: settings.tracesTable,
        target: settings.targetTable,
      },
      datasetRunItemsTable: settings.datasetRunItemsTable,
      layout: settings.layout,
      only: settings.only,
      allowMissingView: settings.allowMissingView,
      engine: settings.engine,
      serverMemoryBytes: settings.serverMemory,
      batchSizeRows: settings.batchSize,
      insertRows: settings.insertRows,
      streamBlockSizeRows: settings.streamBlockSize,
      dryRun: settings.dryRun,
      maxRetries: settings.maxRetries,
      maxWaitMs: settings.maxWaitMinutes * 60_000,
      parallelWorkers: settings.parallelWorkers,
      traceWindowDays: settings.traceWindowDays,
      ignoreTtl: settings.ignoreTtl,
    },
    months: {
      selection: settings.partition,
      includeCurrent: settings.includeCurrent,
      oldestFirst: settings.oldestFirst,
      keepGoing: settings.keepGoing,
    },
    throttle: {
      maxRate: settings.maxRate,
      pauseWhen: settings.pauseWhen,
      maxActiveParts: settings.maxActiveParts,
    },
    cursorStateDir: settings.cursorStateDir,
    restart: settings.restart,
    skipBadRowsPath: settings.skipBadRows,
    logLevel: settings.quiet && settings.logLevel !== "error" ? "warn" : settings.logLevel,
    logFormat: settings.logFormat,
    quiet: settings.quiet,
    summaryPath: settings.summaryFile,
    statusPage,
    watch: settings.watch,
    verification: {
      quick: settings.quick,
      ignoreNewer: settings.ignoreNewer,
      maxExamples: settings.examples,
      reportPath: settings.report,
      asJson: settings.json,
    },
  };
}
