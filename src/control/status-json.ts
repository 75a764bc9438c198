import * as v from "valibot";

const count = v.pipe(v.number(), v.minValue(0));
const nullable = { text: v.nullable(v.string()), count: v.nullable(count) };

const progressSchema = v.object({
  month: nullable.text,
  phase: nullable.text,
  kept_rows: nullable.count,
  read_rows: nullable.count,
  total_rows: nullable.count,
  percent: nullable.count,
  rows_per_second: nullable.count,
  bytes_per_second: nullable.count,
  eta_seconds: nullable.count,
  state: v.string(),
  reason: v.string(),
  max_rate: nullable.text,
  workers: nullable.count,
  retries: count,
  last_error: nullable.text,
  months: v.nullable(
    v.object({
      ended: count,
      total: count,
      percent: count,
      eta_seconds: nullable.count,
      list: v.pipe(
        v.array(
          v.object({
            month: v.string(),
            outcome: v.string(),
            source_rows: count,
            copied_rows: count,
            seconds: count,
          }),
        ),
        v.readonly(),
      ),
    }),
  ),
});

/** What a live run says of itself. Names are documented and stay as they are. */
export const liveRunSchema = v.object({
  pid: count,
  host: v.string(),
  /** ISO 8601, UTC. */
  since: v.string(),
  months: v.pipe(v.array(v.string()), v.readonly()),
  server: v.string(),
  database: v.string(),
  target: v.string(),
  engine: v.string(),
  version: v.string(),
  memory_bytes: count,
  /** Of all months' observations; 0 to 100. */
  done_percent: count,
  progress: progressSchema,
  /** Of all months, in the order in which they began; rows and bytes of this run, kept rows of all. */
  phases: v.pipe(
    v.array(
      v.object({
        month: nullable.text,
        phase: v.string(),
        read_rows: count,
        read_bytes: count,
        inserted_rows: count,
        kept_rows: count,
        total_rows: count,
      }),
    ),
    v.readonly(),
  ),
  /** Retries and warnings, the newest first. */
  errors: v.pipe(v.array(v.object({ at: v.string(), message: v.string() })), v.readonly()),
  /** Null while the run goes on. */
  ended: v.nullable(
    v.object({ outcome: v.picklist(["finished", "failed", "stopped"]), message: v.string() }),
  ),
});

export type LiveRunJson = v.InferOutput<typeof liveRunSchema>;

/** What is known of a checkpoint, and of the run that holds it. */
export interface CheckpointStatus {
  /** Null: it is of no month, as that of the experiments. */
  readonly month: string | null;
  readonly phase: string;
  /**
   * `running`: a live run of this machine holds it. `elsewhere`: one of another machine, dead or alive. `interrupted`: the run that held
   * it died. `stopped`: it ended before the work did. `unreadable`: the file is none that this program knows.
   */
  readonly state: "running" | "elsewhere" | "interrupted" | "stopped" | "finished" | "unreadable";
  readonly rows: number | null;
  readonly updated: string | null;
  /** Who holds the lock. */
  readonly pid: number | null;
  readonly host: string | null;
  readonly since: string | null;
}

/** The status of a state directory, as `status --json` prints it. */
export interface DirectoryStatus {
  readonly directory: string;
  readonly runs: readonly LiveRunJson[];
  readonly checkpoints: readonly CheckpointStatus[];
}
