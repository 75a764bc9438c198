import type { Verdict } from "./judge.ts";
import type { Trial } from "./trial.ts";

/** Refusals that are right: what the tool cannot pin, or must not. */
interface Accepted {
  readonly reason: string;
  /** Names of settings, of users or of tables. */
  readonly settings: readonly string[];
  /** Only these values; all where left out. */
  readonly values?: readonly string[];
}

const SMALL = ["0", "0.001", "1", "3"];
const HUGE = ["1e18", "9223372036854775807"];

const ACCEPTED: readonly Accepted[] = [
  {
    reason: "limits on memory protect the server: they are an administrator's to set",
    settings: ["max_memory_usage", "max_bytes_before_external_join"],
    values: SMALL,
  },
  {
    reason: "limits on concurrency protect the server: they are an administrator's to set",
    settings: ["max_concurrent_queries_for_user", "max_concurrent_queries_for_all_users"],
    values: SMALL,
  },
  {
    reason: "free space on the disks is an administrator's to keep",
    settings: ["min_free_disk_bytes_to_perform_insert", "min_free_disk_ratio_to_perform_insert"],
    values: [...HUGE, "1"],
  },
  {
    reason:
      "limits on statements so low that hardly any query passes; the first query cannot know the server's own",
    settings: ["max_parser_backtracks"],
    values: SMALL,
  },
  {
    reason: "inserts wait for merges while a target has too many parts; the sweep gives them no time to",
    settings: ["parts_to_throw_insert", "parts_to_delay_insert", "max_parts_in_total"],
    values: SMALL,
  },
  {
    reason: "load is shed by an administrator's rule",
    settings: ["max_os_cpu_wait_time_ratio_to_throw", "min_os_cpu_wait_time_ratio_to_throw"],
  },
  {
    reason: "this build of the engine cannot read files so, and runs no query with it",
    settings: ["local_filesystem_read_method", "storage_file_read_method"],
    values: ["io_uring"],
  },
  {
    reason: "a table that an administrator made read-only takes no inserts",
    settings: ["table_readonly"],
    values: ["1"],
  },
  {
    reason: "faults that are injected on purpose fail queries at random",
    settings: ["memory_tracker_fault_probability"],
  },
];

/** Why a refusal is right; null: it is not known to be. */
export function acceptedReason({ trial, outcome, message }: Verdict): string | null {
  if (outcome !== "refused") return null;
  const isNoValue = Object.keys(trial.settings).some((name) =>
    new RegExp(`\\b${name}['\`]?,? (should|must|cannot|has to|is too large|maximum)`).test(message),
  );
  return isNoValue
    ? "the engine runs no query at all with this value, and says which ones it takes"
    : reasonOf(trial);
}

/** Whether a refusal of this trial is on the list. */
export function isExpectedRefusal(trial: Trial): boolean {
  return reasonOf(trial) !== null;
}

function reasonOf({ settings, tableSettings }: Trial): string | null {
  const [only, ...others] = Object.entries({ ...settings, ...tableSettings });
  if (only === undefined || others.length > 0) return null;
  const [name, value] = only;
  const rule = ACCEPTED.find(
    (accepted) =>
      accepted.settings.includes(name) && (accepted.values === undefined || accepted.values.includes(value)),
  );
  return rule?.reason ?? null;
}

/** Whether a refusal says what an administrator needs: the setting, or the server's own words with their code. */
export function isClear({ trial, message }: Verdict): boolean {
  return (
    /Code: \d+\. DB::Exception: \S/.test(message) ||
    Object.keys(trial.settings).some((name) => message.includes(name))
  );
}
