import type { ProxySettings, TlsCertificates } from "../clickhouse/connection.ts";
import type { BackfillOptions } from "../run/backfill-options.ts";
import type { LogLevel } from "./log-level.ts";
import type { Settings } from "./options.ts";

/** The settings in the shape in which the parts of a command take them. */
export interface RunConfig {
  readonly backfill: Omit<BackfillOptions, "workerUrl" | "cores">;
  readonly cursorStateDir: string;
  /** Set an existing checkpoint aside and copy the month from the start. */
  readonly restart: boolean;
  /** The file of skipped rows; `null`: a row that cannot be inserted ends the run. */
  readonly skipBadRowsPath: string | null;
  readonly logLevel: LogLevel;
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
  { tls, proxy }: { readonly tls: TlsCertificates | null; readonly proxy: ProxySettings | null },
): RunConfig {
  return {
    backfill: {
      partition: settings.partition,
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
    cursorStateDir: settings.cursorStateDir,
    restart: settings.restart,
    skipBadRowsPath: settings.skipBadRows,
    logLevel: settings.logLevel,
    verification: {
      quick: settings.quick,
      ignoreNewer: settings.ignoreNewer,
      maxExamples: settings.examples,
      reportPath: settings.report,
      asJson: settings.json,
    },
  };
}
