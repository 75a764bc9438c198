import { type RetryPolicy, refusalOfServer } from "../../clickhouse/retry.ts";
import type { QuerySettings, Server } from "../../clickhouse/server.ts";

/** Dates stay text, and of a repeated key the first entry counts. */
const TEXT = '{"a":"2024-1-1","b":1,"b":2}';
const STORED = '{"a":"2024-1-1","b":1}';

const READING_JSON =
  /^(input_format_|type_json_|json_type_|schema_inference_|max_dynamic_|allow_simdjson|precise_float)/;

/** Those settings of INSERTs that decide how JSON is read. */
export function jsonReadingSettings({ settings }: Server): QuerySettings {
  return Object.fromEntries(
    Object.entries(settings?.insert ?? {}).filter(([name]) => READING_JSON.test(name)),
  );
}

/**
 * Whether text becomes JSON of type `type` in a SELECT as it does in the data of an INSERT. Servers before 26.3 cast it under settings of
 * their own, and a user may not be allowed to send any. Rejects with an OperationError where the server cannot be queried.
 */
export async function castsJsonLikeData(server: Server, type: string, retry: RetryPolicy): Promise<boolean> {
  const statement = {
    sql: `SELECT toJSONString(CAST(materialize({text:String}) AS ${type}))`,
    params: { text: TEXT },
    settings: jsonReadingSettings(server),
  };
  try {
    const [row] = await server.query("Trying how the server casts text to JSON", statement, retry);
    return row?.[0] === STORED;
  } catch (error) {
    if (refusalOfServer(error) !== null) return false;
    throw error;
  }
}
