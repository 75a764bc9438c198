import { existsSync } from "node:fs";
import { fingerprintOf } from "../checkpoint/fingerprint.ts";
import { readSpeedRecords } from "../checkpoint/speed-records.ts";
import type { RetryNotice } from "../clickhouse/retry.ts";
import { checkpointStatuses } from "../control/directory-status.ts";
import { forecast } from "../forecast/forecast.ts";
import { renderPlan, renderPlanJson } from "../report/plan-report.ts";
import type { Host } from "./host.ts";
import { backfillOf, openSession, type Session, showWork } from "./session.ts";
import { PROGRAM } from "./version.ts";

/** No month: the forecast looks at several. */
const NO_MONTH = "";

/**
 * The command `plan`: what lies ahead of the months of a command. Reads only, on the server as on the disk.
 * @throws the error that decides the exit code.
 */
export async function planCommand(flags: ReadonlyMap<string, string>, host: Host): Promise<void> {
  const session = openSession("plan", flags, host);
  const { config } = session;
  const { selection } = config.months;
  const backfill = backfillOf(session, NO_MONTH);
  const records = readSpeedRecords(config.cursorStateDir, fingerprintOf(backfill));
  const notice = "the look at what lies ahead is stopped.";
  const found = await showWork(session, notice, async ({ emit, stop }) => {
    const retry = {
      maxRetries: backfill.maxRetries,
      onRetry: (event: RetryNotice) => emit({ kind: "retry", ...event }),
      signal: stop,
    };
    return await forecast({ backfill, months: selection === "all" ? null : selection, records }, retry);
  });
  const words = checkpointWords(session);
  const render = config.verification.asJson ? renderPlanJson : renderPlan;
  host.stdout.write(render(found, (month) => words.get(month) ?? "none", commandFor(flags)));
}

/** A directory that is not there has no checkpoints: the first run makes it. */
function checkpointWords({ config }: Session): Map<string, string> {
  if (!existsSync(config.cursorStateDir)) return new Map();
  const months = checkpointStatuses(config.cursorStateDir).filter(({ phase }) => phase === "observations");
  return new Map(months.map(({ month, state }) => [month ?? "", state]));
}

/** The command that runs what is planned, with the flags that were given; the password stays where it is. */
function commandFor(flags: ReadonlyMap<string, string>): string {
  const given = [...flags].filter(([name]) => name !== "json" && name !== "clickhouse-password");
  const partition = flags.has("partition") ? [] : ["--partition all"];
  const words = given.map(([name, value]) =>
    value === "true" ? `--${name}` : `--${name} ${shellWord(value)}`,
  );
  return [PROGRAM, ...partition, ...words].join(" ");
}

/** The value as a shell takes it. */
function shellWord(value: string): string {
  return /^[\w./:@,=-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}
