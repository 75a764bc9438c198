import { sendOrder } from "../control/control-client.ts";
import { parseOrder, UnknownOrderError } from "../control/control-protocol.ts";
import { liveRuns } from "../control/directory-status.ts";
import { RunError, UsageError } from "../errors.ts";
import type { Host } from "./host.ts";
import { openSession } from "./session.ts";

/**
 * The command `control`: gives a live run an order, and prints what it did.
 * @throws {UsageError} for an unknown order, or where several runs could be meant; a RunError where there is none.
 */
export async function controlCommand(
  flags: ReadonlyMap<string, string>,
  words: readonly string[],
  host: Host,
): Promise<void> {
  const { config } = openSession("control", flags, host);
  try {
    parseOrder(words);
  } catch (error) {
    if (error instanceof UnknownOrderError) throw new UsageError(`control: ${error.message}`);
    throw error;
  }
  const { cursorStateDir: directory, months } = config;
  const runs = await liveRuns(directory, months.selection);
  const [only] = runs;
  if (only === undefined) {
    const which = months.selection === "all" ? "" : ` of ${months.selection.join(", ")}`;
    throw new RunError(
      `No live run${which} uses the state directory ${directory}\n` +
        "Give its directory by --cursor-state-dir, on the machine that it runs on; status lists what is there.",
    );
  }
  if (runs.length > 1) {
    const lines = runs.map(({ run }) => `process ${run.pid}: ${run.months.join(", ")}`);
    throw new UsageError(
      `several runs use the state directory ${directory}: choose one by --partition (${lines.join("; ")})`,
    );
  }
  host.stdout.write(`Process ${only.run.pid}: ${await sendOrder(only.socket, words)}.\n`);
}
