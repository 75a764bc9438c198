import { pause } from "../abortable.ts";
import { directoryStatus } from "../control/directory-status.ts";
import type { DirectoryStatus } from "../control/status-json.ts";
import { InterruptedError } from "../errors.ts";
import { formatCount, formatMoment } from "../report/format.ts";
import { renderLiveRun } from "../report/status-report.ts";
import { renderTable } from "../report/table.ts";
import type { Host } from "./host.ts";
import { openSession } from "./session.ts";
import { listenForStop } from "./stop-signals.ts";

const WATCH_INTERVAL_MS = 2_000;
/** Control sequences of ECMA-48: cursor home, erase below. */
const CLEAR_SCREEN = "\u001B[H\u001B[J";

/**
 * The command `status`: what is known of the runs of a state directory.
 * @throws {RunError} where the directory cannot be read, or a run cannot be asked.
 */
export async function statusCommand(flags: ReadonlyMap<string, string>, host: Host): Promise<void> {
  const { config } = openSession("status", flags, host);
  const { asJson } = config.verification;
  const print = async (clear: string): Promise<void> => {
    const status = await directoryStatus(config.cursorStateDir, config.months.selection);
    host.stdout.write(clear + (asJson ? `${JSON.stringify(status)}\n` : renderStatus(status)));
  };
  if (!config.watch) {
    await print("");
    return;
  }
  const stop = listenForStop(host.signals, () => {});
  const clear = host.stdout.isTTY && !asJson ? CLEAR_SCREEN : "";
  try {
    for (;;) {
      await print(clear);
      await pause(WATCH_INTERVAL_MS, stop.graceful);
    }
  } catch (error) {
    // Ctrl-C is how watching ends.
    if (!(error instanceof InterruptedError)) throw error;
  } finally {
    stop.dispose();
  }
}

const STATES = {
  running: "running",
  elsewhere: "held elsewhere",
  interrupted: "interrupted",
  stopped: "stopped",
  finished: "finished",
  unreadable: "unreadable",
} as const;

/** The status for people, newline included. */
export function renderStatus({ directory, runs, checkpoints }: DirectoryStatus): string {
  if (runs.length === 0 && checkpoints.length === 0) {
    return `${directory} has no checkpoints, and no run uses it.\n`;
  }
  const head = ["Month", "Phase", "State", "Rows kept", "Updated (UTC)", "Process"];
  const rows = checkpoints.map(({ month, phase, state, rows, updated, pid, host }) => [
    month ?? "all",
    phase,
    STATES[state],
    rows === null ? "" : formatCount(rows),
    updated === null ? "" : formatMoment(updated),
    pid === null ? "" : `${pid} on ${host}`,
  ]);
  const live =
    runs.length === 0 ? ["No run is live here.", ""] : runs.flatMap((run) => [...renderLiveRun(run), ""]);
  const table = rows.length === 0 ? [] : renderTable([head, ...rows], [3]);
  return `${[...live, ...table].join("\n").trimEnd()}\n`;
}
