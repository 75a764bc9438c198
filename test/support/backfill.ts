import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fingerprintOf } from "../../src/checkpoint/fingerprint.ts";
import { openLedger } from "../../src/checkpoint/ledger.ts";
import { checkpointName } from "../../src/checkpoint/paths.ts";
import { MONTHLY_PHASES } from "../../src/plan/phases.ts";
import { runBackfill } from "../../src/run/backfill.ts";
import type { BackfillOptions } from "../../src/run/backfill-options.ts";
import type { BackfillEvent } from "../../src/run/events.ts";
import type { BackfillReport } from "../../src/run/report.ts";

/** A run in this process, with a checkpoint in a directory of its own. */
export interface RunOutcome {
  readonly report: BackfillReport;
  readonly events: readonly BackfillEvent[];
}

/** Runs a backfill from a fresh checkpoint; `onEvent` is called with its events as they come, `stop` ends it as a signal does. */
export async function backfill(
  options: BackfillOptions,
  onEvent: (event: BackfillEvent) => void = () => {},
  stop: AbortSignal = new AbortController().signal,
): Promise<RunOutcome> {
  const directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-state-"));
  try {
    const ledgers = new Map(
      MONTHLY_PHASES.filter((phase) => options.only.includes(phase)).map((phase) => [
        phase,
        openLedger({
          directory,
          partition: checkpointName(options.partition, phase),
          fingerprint: fingerprintOf(options),
        }),
      ]),
    );
    const events: BackfillEvent[] = [];
    const emit = (event: BackfillEvent): void => {
      events.push(event);
      onEvent(event);
    };
    const report = await runBackfill(options, ledgers, emit, stop);
    return { report, events };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
