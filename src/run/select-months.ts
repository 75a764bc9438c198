import type { RetryPolicy } from "../clickhouse/retry.ts";
import { Server } from "../clickhouse/server.ts";
import { RunError } from "../errors.ts";
import type { MonthSelection } from "../plan/months.ts";
import type { BackfillOptions } from "./backfill-options.ts";
import { connect } from "./preflight/connect.ts";
import { type Month, monthsOf } from "./preflight/months.ts";
import { asRunError } from "./run-error.ts";

/** Which months are wanted. */
export interface MonthsWanted {
  readonly selection: MonthSelection;
  /** Whether `all` takes the current month as well. */
  readonly includeCurrent: boolean;
  readonly oldestFirst: boolean;
}

/** The months that were chosen, and those that were left out. */
export interface ChosenMonths {
  /** In the order in which they are to be copied, with the rows of their observations, old versions included. */
  readonly months: readonly Month[];
  /** The current month, where `all` leaves it out; null: it does not. */
  readonly withoutCurrent: string | null;
}

/** As `toYYYYMM` partitions them; a table of another partition key has no months. */
const MONTH = /^\d{6}$/;

/**
 * Chooses the months of a command: those that it names, or all that the source or, in Langfuse v4, the traces have. Rejects with a
 * RunError, or with the reason of the policy's signal.
 */
export async function selectMonths(
  options: Pick<BackfillOptions, "connection" | "tables" | "layout" | "dryRun">,
  wanted: MonthsWanted,
  retry: RetryPolicy,
): Promise<ChosenMonths> {
  const server = new Server(options.connection);
  try {
    return await select(server, options, wanted, retry);
  } catch (error) {
    retry.signal.throwIfAborted();
    throw asRunError(error);
  } finally {
    server.close();
  }
}

async function select(
  server: Server,
  options: Pick<BackfillOptions, "connection" | "tables" | "layout" | "dryRun">,
  { selection, includeCurrent, oldestFirst }: MonthsWanted,
  retry: RetryPolicy,
): Promise<ChosenMonths> {
  const { connection, tables, layout } = options;
  await connect(server, options, retry);
  const listed = await monthsOf(server, connection.database, tables.source, retry);
  const rowsOf = new Map(listed.map(({ partition, rows }) => [partition, rows]));
  const withRows = new Set(rowsOf.keys());
  // A month of traces without observations has root rows.
  if (layout !== "events") {
    for (const { partition } of await monthsOf(server, connection.database, tables.traces, retry)) {
      withRows.add(partition);
    }
  }
  const found = [...withRows].filter((partition) => MONTH.test(partition)).sort();
  const current = await currentMonth(server, retry);
  const leavesOut = selection === "all" && !includeCurrent && found.includes(current);
  const chosen = selection === "all" ? found.filter((month) => !leavesOut || month !== current) : selection;
  if (chosen.length === 0) {
    throw new RunError(
      leavesOut
        ? `${tables.source} has rows of the current month alone, ${current}: --include-current takes it as well`
        : `${tables.source} is empty: there is no month to copy`,
    );
  }
  const inOrder = oldestFirst ? [...chosen] : [...chosen].reverse();
  return {
    months: inOrder.map((partition) => ({ partition, rows: rowsOf.get(partition) ?? 0 })),
    withoutCurrent: leavesOut ? current : null,
  };
}

/** By the server's clock and time zone, in which it partitions. */
async function currentMonth(server: Server, retry: RetryPolicy): Promise<string> {
  const sql = "SELECT toString(toYYYYMM(now()))";
  const [row] = await server.query("Reading the server's clock", { sql }, retry);
  return String(row?.[0]);
}
