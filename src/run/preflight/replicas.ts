import { isAccessDenied, type RetryPolicy } from "../../clickhouse/retry.ts";
import type { QuerySettings, Server } from "../../clickhouse/server.ts";
import { literal } from "../../clickhouse/sql.ts";

/** A replica of a table, by its row of system.replicas. */
export interface ReplicaState {
  readonly table: string;
  /** Seconds behind the other replicas. */
  readonly delaySeconds: number;
  /** Inserts of other replicas that are not here yet. */
  readonly insertsInQueue: number;
  /** It lost its session with the keeper, and learns of nothing new. */
  readonly isReadOnly: boolean;
}

/** What a busy cluster catches up with all the time. */
const USUAL_DELAY_SECONDS = 10;

/** The replicas of tables on this server; none for tables that are not replicated, null where the user may not read them. */
export async function replicaStates(
  server: Server,
  database: string,
  tables: readonly string[],
  retry: RetryPolicy,
): Promise<ReplicaState[] | null> {
  const statement = {
    // Columns about the log would ask the keeper.
    sql: `SELECT table, absolute_delay, inserts_in_queue, is_readonly FROM system.replicas
      WHERE database = {database:String} AND table IN (${tables.map(literal).join(", ")})`,
    params: { database },
  };
  try {
    const rows = await server.query("Reading the state of replicas", statement, retry);
    return rows.map(replicaState);
  } catch (error) {
    if (isAccessDenied(error)) return null;
    throw error;
  }
}

/** A row of the query. */
export function replicaState([table, delay, inserts, readOnly]: readonly unknown[]): ReplicaState {
  return {
    table: String(table),
    delaySeconds: Number(delay),
    insertsInQueue: Number(inserts),
    isReadOnly: Number(readOnly) !== 0,
  };
}

/** Why rows that other replicas have may be missing on this one; null: it has caught up. */
export function replicaLag({ table, delaySeconds, insertsInQueue, isReadOnly }: ReplicaState): string | null {
  if (isReadOnly) return `${table}: this replica is read-only and learns of no inserts`;
  if (delaySeconds <= USUAL_DELAY_SECONDS) return null;
  const inserts = insertsInQueue === 1 ? "1 insert" : `${insertsInQueue} inserts`;
  return `${table}: this replica is ${delaySeconds} s behind, with ${inserts} in its queue`;
}

/**
 * Settings with which a query reads all that was acknowledged by other replicas before it, or fails with an error that is retried; none
 * where no engine of a source, as system.tables names it, is replicated: such a server may not know what a quorum is.
 */
export function consistentReads(engines: readonly string[]): QuerySettings {
  return engines.some((engine) => /^(Replicated|Shared)/.test(engine))
    ? { select_sequential_consistency: 1 }
    : {};
}
