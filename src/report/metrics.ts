import { isCheck, type MonthProgress, type PhaseProgress, type RunSnapshot } from "./progress.ts";
import { RUN_STATES, runStateOf } from "./run-state.ts";

/** What the metrics say of the process and the run's settings. */
export interface RunIdentity {
  readonly version: string;
  readonly engine: string;
  readonly database: string;
  readonly target: string;
  readonly isDryRun: boolean;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
}

/** What the process has used. */
export interface ProcessUse {
  readonly residentBytes: number;
  readonly cpuSeconds: number;
}

/** The media type of what `renderMetrics` returns. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly labels?: Labels;
  readonly value: number;
}

interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly samples: readonly Sample[];
}

const PREFIX = "clickhouse_backfill_";

/** The names of the metrics, which dashboards and alerts use. */
export const METRIC_NAMES = {
  buildInfo: `${PREFIX}build_info`,
  dryRun: `${PREFIX}dry_run`,
  started: `${PREFIX}start_time_seconds`,
  lastProgress: `${PREFIX}last_progress_timestamp_seconds`,
  rowsRead: `${PREFIX}rows_read_total`,
  bytesRead: `${PREFIX}read_bytes_total`,
  rowsInserted: `${PREFIX}rows_inserted_total`,
  rowsKept: `${PREFIX}rows_kept`,
  rowsPlanned: `${PREFIX}rows_planned`,
  retries: `${PREFIX}retries_total`,
  state: `${PREFIX}state`,
  months: `${PREFIX}months`,
  done: `${PREFIX}done_ratio`,
  remaining: `${PREFIX}remaining_seconds`,
  memory: "process_resident_memory_bytes",
  cpu: "process_cpu_seconds_total",
} as const;

/** How months are or went, as a label has it. */
export const MONTH_OUTCOMES = [
  "pending",
  "running",
  "done",
  "nothing-to-do",
  "already-finished",
  "dry-run",
  "failed",
  "stopped",
] as const satisfies readonly MonthProgress["outcome"][];

/**
 * The figures of a moment for Prometheus, in its text format
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). `nowMs` is the snapshot's, `wallMs` the same since 1970.
 */
export function renderMetrics(
  snapshot: RunSnapshot,
  run: RunIdentity,
  process: ProcessUse,
  clock: { readonly nowMs: number; readonly wallMs: number },
): string {
  return metricsOf(snapshot, run, process, clock)
    .filter(({ samples }) => samples.length > 0)
    .flatMap(linesOf)
    .join("\n")
    .concat("\n");
}

function metricsOf(
  snapshot: RunSnapshot,
  run: RunIdentity,
  process: ProcessUse,
  { nowMs, wallMs }: { readonly nowMs: number; readonly wallMs: number },
): Metric[] {
  const { movedAtMs, retries, months } = snapshot;
  const phases = snapshot.phases.filter(({ phase }) => !isCheck(phase));
  const { version, engine, database, target, isDryRun } = run;
  const ofPhases = (value: (phase: PhaseProgress) => number): Sample[] =>
    phases.map((phase) => ({ labels: phaseLabels(phase), value: value(phase) }));
  const state = runStateOf(snapshot, 0).name;
  const remainingMs = months === null ? (snapshot.figures?.remainingMs ?? null) : months.remainingMs;
  return [
    gauge(METRIC_NAMES.buildInfo, "What runs, and what it copies into; always 1.", [
      { labels: { version, engine, database, target }, value: 1 },
    ]),
    gauge(METRIC_NAMES.dryRun, "Whether the run inserts nothing.", [{ value: isDryRun ? 1 : 0 }]),
    gauge(METRIC_NAMES.started, "When the run began, since the Unix epoch.", [
      { value: run.startedAtMs / 1000 },
    ]),
    gauge(METRIC_NAMES.lastProgress, "When rows moved last, or the run began, since the Unix epoch.", [
      { value: (movedAtMs === null ? run.startedAtMs : wallMs - (nowMs - movedAtMs)) / 1000 },
    ]),
    counter(
      METRIC_NAMES.rowsRead,
      "Rows that the run has read, by partition and phase.",
      ofPhases(({ readRows }) => readRows),
    ),
    counter(
      METRIC_NAMES.bytesRead,
      "Bytes of rows that the run has read, by partition and phase.",
      ofPhases(({ readBytes }) => readBytes),
    ),
    counter(
      METRIC_NAMES.rowsInserted,
      "Rows that the server has acknowledged and the checkpoint holds, by partition and phase.",
      phases
        .filter(({ phase }) => phase !== "traces")
        .map((phase) => ({ labels: phaseLabels(phase), value: isDryRun ? 0 : phase.insertedRows })),
    ),
    gauge(
      METRIC_NAMES.rowsKept,
      "Rows that need not be read again, those of earlier runs included, by partition and phase.",
      ofPhases(({ position }) => position),
    ),
    gauge(
      METRIC_NAMES.rowsPlanned,
      "Rows of the phase in all, by partition and phase.",
      ofPhases(({ total }) => total),
    ),
    counter(METRIC_NAMES.retries, "Attempts that failed and were made again.", [{ value: retries }]),
    gauge(
      METRIC_NAMES.state,
      "What the run is doing, or is held back by: 1 for the state that it is in.",
      RUN_STATES.map((name) => ({ labels: { state: name }, value: name === state ? 1 : 0 })),
    ),
    gauge(METRIC_NAMES.months, "Months of the run, by how they are or went.", outcomesOf(snapshot)),
    gauge(METRIC_NAMES.done, "Share of all months' observations that is kept, 0 to 1.", [
      { value: snapshot.done },
    ]),
    gauge(
      METRIC_NAMES.remaining,
      "Time left by the rate of the last 30 seconds; absent while nothing moves.",
      remainingMs === null ? [] : [{ value: remainingMs / 1000 }],
    ),
    gauge(METRIC_NAMES.memory, "Resident memory of the process.", [{ value: process.residentBytes }]),
    counter(METRIC_NAMES.cpu, "User and system time of the process.", [{ value: process.cpuSeconds }]),
  ];
}

function phaseLabels({ month, phase }: PhaseProgress): Labels {
  return { partition: month ?? "", phase };
}

function outcomesOf({ allMonths }: RunSnapshot): Sample[] {
  return MONTH_OUTCOMES.map((outcome) => ({
    labels: { outcome },
    value: allMonths.filter((month) => month.outcome === outcome).length,
  }));
}

function gauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name, type: "gauge", help, samples };
}

function counter(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name, type: "counter", help, samples };
}

function linesOf({ name, type, help, samples }: Metric): string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(({ labels = {}, value }) => `${name}${labelText(labels)} ${value}`),
  ];
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
