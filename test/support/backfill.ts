import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fingerprintOf } from "../../src/checkpoint/fingerprint.ts";
import { type CheckpointLedger, openLedger } from "../../src/checkpoint/ledger.ts";
import { checkpointName } from "../../src/checkpoint/paths.ts";
import { MONTHLY_PHASES, type PhaseName } from "../../src/plan/phases.ts";
import { type RunLedgers, runBackfill } from "../../src/run/backfill.ts";
import type { BackfillOptions } from "../../src/run/backfill-options.ts";
import type { BackfillEvent } from "../../src/run/events.ts";
import type { BackfillReport } from "../../src/run/report.ts";

/** A run in this process, with a checkpoint in a directory of its own. */
export interface RunOutcome {
  readonly report: BackfillReport;
  readonly events: readonly BackfillEvent[];
}

/** Runs a backfill, from a fresh checkpoint unless a state directory is given; `onEvent` is called with its events as they come, `stop` ends it as a signal does. */
export async function backfill(
  options: BackfillOptions,
  onEvent: (event: BackfillEvent) => void = () => {},
  stop: AbortSignal = new AbortController().signal,
  stateDirectory: string | null = null,
): Promise<RunOutcome> {
  const directory = stateDirectory ?? mkdtempSync(join(tmpdir(), "clickhouse-backfill-state-"));
  try {
    const fingerprint = fingerprintOf(options);
    const open = (phase: PhaseName): CheckpointLedger =>
      openLedger({ directory, partition: checkpointName(options.partition, phase), fingerprint });
    const phases = MONTHLY_PHASES.filter((phase) => options.only.includes(phase));
    const ledgers: RunLedgers = {
      monthly: new Map(phases.map((phase) => [phase, open(phase)])),
      openExperiments: options.only.includes("experiments") ? () => open("experiments") : null,
    };
    const events: BackfillEvent[] = [];
    const emit = (event: BackfillEvent): void => {
      events.push(event);
      onEvent(event);
    };
    const report = await runBackfill(options, ledgers, emit, stop);
    return { report, events };
  } finally {
    if (stateDirectory === null) rmSync(directory, { recursive: true });
  }
}
