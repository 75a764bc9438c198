import { OperationError, type RetryPolicy } from "../../clickhouse/retry.ts";
import type { Server } from "../../clickhouse/server.ts";
import { ServerError } from "../../clickhouse/server-errors.ts";

/** Dates stay text, and of a repeated key the first entry counts. */
const TEXT = '{"a":"2024-1-1","b":1,"b":2}';
const STORED = '{"a":"2024-1-1","b":1}';

/**
 * Whether text becomes JSON of type `type` in a SELECT under the settings of INSERTs as it does in data; servers before 26.3 cast it
 * under settings of their own. Rejects with an OperationError where the server cannot be queried.
 */
export async function castsJsonLikeData(server: Server, type: string, retry: RetryPolicy): Promise<boolean> {
  const { wait_end_of_query: _, ...inserting } = server.settings?.insert ?? {};
  const statement = {
    sql: `SELECT toJSONString(CAST(materialize({text:String}) AS ${type}))`,
    params: { text: TEXT },
    settings: inserting,
  };
  try {
    const [row] = await server.query("Trying how the server casts text to JSON", statement, retry);
    return row?.[0] === STORED;
  } catch (error) {
    if (error instanceof OperationError && error.cause instanceof ServerError) return false;
    throw error;
  }
}
