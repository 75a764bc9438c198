import { COMPRESSIONS } from "../clickhouse/connection.ts";
import { PHASES } from "../plan/phases.ts";
import { levelFromRustLog, logLevel } from "./log-level.ts";
import type { AnyOptionSpec, OptionCommand, OptionSpec } from "./option-spec.ts";
import { redactUrl } from "./quote-value.ts";
import * as schema from "./schemas.ts";

/** Lets each option's value type follow from its schema. */
function option<Value>(spec: OptionSpec<Value>): OptionSpec<Value> {
  return spec;
}

/**
 * Every option, in the order of the help text.
 * Flags, variables, validation, `--help` and `.env.example` all come from here or are checked against it.
 */
export const OPTIONS = {
  partition: option({
    flag: "partition",
    variable: "PARTITION",
    default: null,
    description: "The month to backfill",
    placeholder: "YYYYMM",
    schema: schema.partition,
  }),
  clickhouseUrl: option({
    flag: "clickhouse-url",
    variable: "CLICKHOUSE_URL",
    default: "http://localhost:8123",
    description: "ClickHouse server, with protocol (http or https)",
    placeholder: "URL",
    redact: redactUrl,
    schema: schema.serverUrl,
  }),
  clickhouseUser: option({
    flag: "clickhouse-user",
    variable: "CLICKHOUSE_USER",
    default: "default",
    description: "User",
    placeholder: "USER",
    schema: schema.name,
  }),
  clickhousePassword: option({
    flag: "clickhouse-password",
    variable: "CLICKHOUSE_PASSWORD",
    default: "",
    description: "Password; the variable keeps it out of the process list",
    placeholder: "PASS",
    secret: true,
    schema: schema.anyText,
  }),
  clickhousePasswordFile: option({
    flag: "clickhouse-password-file",
    variable: "CLICKHOUSE_PASSWORD_FILE",
    default: "",
    description: "File that holds the password, instead of the above",
    placeholder: "PATH",
    pathOf: "file",
    schema: schema.pathOrNone,
  }),
  clickhouseDb: option({
    flag: "clickhouse-db",
    variable: "CLICKHOUSE_DB",
    default: "default",
    description: "Database that holds the tables",
    placeholder: "DB",
    schema: schema.name,
  }),
  caCert: option({
    flag: "ca-cert",
    variable: "CLICKHOUSE_CA_CERT",
    default: "",
    description: "PEM file of authorities to trust besides those of the system",
    placeholder: "FILE",
    pathOf: "file",
    schema: schema.pathOrNone,
  }),
  clientCert: option({
    flag: "client-cert",
    variable: "CLICKHOUSE_CLIENT_CERT",
    default: "",
    description: "PEM file of the certificate to show to the server",
    placeholder: "FILE",
    pathOf: "file",
    schema: schema.pathOrNone,
  }),
  clientKey: option({
    flag: "client-key",
    variable: "CLICKHOUSE_CLIENT_KEY",
    default: "",
    description: "PEM file of the key to that certificate",
    placeholder: "FILE",
    pathOf: "file",
    schema: schema.pathOrNone,
  }),
  batchSize: option({
    flag: "batch-size",
    variable: "BATCH_SIZE",
    of: ["run", "repair"],
    default: "10000",
    unit: "events",
    description: "Events per block that is sent, at most",
    placeholder: "N",
    schema: schema.wholeNumber(1, 1_000_000),
  }),
  insertRows: option({
    flag: "insert-rows",
    variable: "INSERT_ROWS",
    of: ["run", "repair"],
    default: "250000",
    unit: "rows",
    description: "Rows per INSERT statement, at most: the unit of acknowledgement",
    placeholder: "N",
    schema: schema.wholeNumber(1, 100_000_000),
  }),
  streamBlockSize: option({
    flag: "stream-block-size",
    variable: "STREAM_BLOCK_SIZE",
    of: ["run", "repair"],
    default: "50000",
    unit: "rows",
    description: "Observations fetched per page query",
    placeholder: "N",
    schema: schema.wholeNumber(1, 10_000_000),
  }),
  dryRun: option({
    flag: "dry-run",
    variable: "DRY_RUN",
    of: ["run", "repair"],
    default: "false",
    description: "Read, enrich, validate and report, but insert nothing and write no checkpoint",
    placeholder: null,
    schema: schema.toggle,
  }),
  maxRetries: option({
    flag: "max-retries",
    variable: "MAX_RETRIES",
    default: "3",
    description: "Attempts after the first, per page and per insert",
    placeholder: "N",
    schema: schema.wholeNumber(0, 100),
  }),
  maxWaitMinutes: option({
    flag: "max-wait-minutes",
    variable: "MAX_WAIT_MINUTES",
    default: "30",
    unit: "minutes",
    description: "Wait that long for merges while the target has too many parts (0: not at all)",
    placeholder: "N",
    schema: schema.wholeNumber(0, 10_080),
  }),
  skipBadRows: option({
    flag: "skip-bad-rows",
    variable: "SKIP_BAD_ROWS",
    of: ["run"],
    default: "",
    description: "Append rows that the server rejects to this file, and go on",
    placeholder: "FILE",
    pathOf: "file",
    schema: schema.pathOrNone,
  }),
  ignoreTtl: option({
    flag: "ignore-ttl",
    variable: "IGNORE_TTL",
    of: ["run", "repair"],
    default: "false",
    description: "Go on although a TTL of the target deletes or empties what is inserted",
    placeholder: null,
    schema: schema.toggle,
  }),
  cursorStateDir: option({
    flag: "cursor-state-dir",
    variable: "CURSOR_STATE_DIR",
    of: ["run", "repair"],
    default: ".",
    description: "Directory of the checkpoint; created if missing",
    placeholder: "PATH",
    pathOf: "directory",
    schema: schema.path,
  }),
  restart: option({
    flag: "restart",
    variable: "RESTART",
    of: ["run"],
    default: "false",
    description: "Set the checkpoint aside, if there is one, and copy the month from the start",
    placeholder: null,
    schema: schema.toggle,
  }),
  parallelWorkers: option({
    flag: "parallel-workers",
    variable: "PARALLEL_WORKERS",
    default: "4",
    description: "Pipelines that fetch, enrich and insert at the same time",
    placeholder: "N",
    schema: schema.wholeNumber(1, 256),
  }),
  compression: option({
    flag: "compression",
    variable: "COMPRESSION",
    default: "none",
    description: "Compress what goes to and comes from the server: none, zstd or gzip",
    placeholder: "METHOD",
    schema: schema.oneOf(COMPRESSIONS),
  }),
  traceWindowDays: option({
    flag: "trace-window-days",
    variable: "TRACE_WINDOW_DAYS",
    default: "2",
    unit: "days",
    description: "Also load traces this long before and after the month (0 to 31)",
    placeholder: "DAYS",
    schema: schema.wholeNumber(0, 31),
  }),
  sourceTable: option({
    flag: "source-table",
    variable: "SOURCE_TABLE",
    default: "observations",
    description: "Table to copy from",
    placeholder: "TABLE",
    schema: schema.name,
  }),
  tracesTable: option({
    flag: "traces-table",
    variable: "TRACES_TABLE",
    default: "traces",
    description: "Table of the traces",
    placeholder: "TABLE",
    schema: schema.name,
  }),
  targetTable: option({
    flag: "target-table",
    variable: "TARGET_TABLE",
    default: "events",
    description: "Table to insert into",
    placeholder: "TABLE",
    schema: schema.name,
  }),
  datasetRunItemsTable: option({
    flag: "dataset-run-items-table",
    variable: "DATASET_RUN_ITEMS_TABLE",
    default: "dataset_run_items_rmt",
    description: "Table of the items of dataset runs (layout v4)",
    placeholder: "TABLE",
    schema: schema.name,
  }),
  layout: option({
    flag: "layout",
    variable: "LAYOUT",
    default: "auto",
    description: "What the target is made of: events, v4, or auto: as its columns say",
    placeholder: "LAYOUT",
    schema: schema.oneOf(["auto", "events", "v4"]),
  }),
  only: option({
    flag: "only",
    variable: "ONLY",
    of: ["run"],
    default: PHASES.join(),
    description: "Phases to run, as far as the layout has them",
    placeholder: "PHASES",
    schema: schema.listOf(PHASES),
  }),
  allowMissingView: option({
    flag: "allow-missing-view",
    variable: "ALLOW_MISSING_VIEW",
    of: ["run", "repair"],
    default: "false",
    description: "Go on although no view fills events_core from the target (layout v4)",
    placeholder: null,
    schema: schema.toggle,
  }),
  quick: option({
    flag: "quick",
    variable: "VERIFY_QUICK",
    of: ["verify"],
    default: "false",
    description: "Compare the keys and versions of rows alone",
    placeholder: null,
    schema: schema.toggle,
  }),
  ignoreNewer: option({
    flag: "ignore-newer",
    variable: "VERIFY_IGNORE_NEWER",
    of: ["verify", "repair"],
    default: "false",
    description: "Count rows apart that Langfuse has written into the month since it was copied",
    placeholder: null,
    schema: schema.toggle,
  }),
  examples: option({
    flag: "examples",
    variable: "VERIFY_EXAMPLES",
    of: ["verify", "repair"],
    default: "5",
    unit: "rows",
    description: "Examples of each kind of difference, at most",
    placeholder: "N",
    schema: schema.wholeNumber(0, 1_000),
  }),
  report: option({
    flag: "report",
    variable: "VERIFY_REPORT",
    of: ["verify", "repair"],
    default: "",
    description: "File for the parts of the month that differ: verify writes it, repair reads it",
    placeholder: "FILE",
    pathOf: "file",
    schema: schema.pathOrNone,
  }),
  json: option({
    flag: "json",
    variable: "VERIFY_JSON",
    of: ["verify", "repair"],
    default: "false",
    description: "Print the result as JSON",
    placeholder: null,
    schema: schema.toggle,
  }),
  logLevel: option({
    flag: null,
    variable: "LOG_LEVEL",
    borrowed: { name: "RUST_LOG", read: levelFromRustLog },
    default: "info",
    description: "trace, debug, info, warn or error",
    placeholder: "LEVEL",
    schema: logLevel,
  }),
};

/** The options' names in code. */
export type OptionName = keyof typeof OPTIONS;

/** The validated value of every option. */
export type Settings = {
  readonly [Name in OptionName]: (typeof OPTIONS)[Name] extends OptionSpec<infer Value> ? Value : never;
};

/** Whether a command takes an option. */
export function takesOption(command: OptionCommand, { of }: AnyOptionSpec): boolean {
  return of === undefined || of.includes(command);
}

/** The table as a list, in its order. */
export const OPTION_LIST: readonly (readonly [OptionName, AnyOptionSpec])[] = Object.entries(OPTIONS) as [
  OptionName,
  AnyOptionSpec,
][];
