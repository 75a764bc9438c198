import type { RetryPolicy } from "../../clickhouse/retry.ts";
import type { Server } from "../../clickhouse/server.ts";
import { ERROR_CODE } from "../../clickhouse/server-errors.ts";
import {
  type DerivedColumn,
  MappingError,
  resolveItems,
  type SelectItem,
} from "../../mapping/resolve-mapping.ts";
import type { BackfillOptions } from "../backfill-options.ts";
import { engineProblems, ITEMS_EXPECTATION, readEngines } from "./engines.ts";
import { describeTable } from "./tables.ts";

/** What the check of the table of dataset runs found. */
export type DatasetRunFindings =
  /** There is no such table, and so there are no dataset runs. */
  | { readonly kind: "absent" }
  | { readonly kind: "unusable"; readonly problems: readonly string[] }
  | { readonly kind: "usable"; readonly itemColumns: readonly SelectItem[] };

/**
 * Checks the table of the items of dataset runs; `derived` are the columns that come from it. Rejects with an OperationError where the
 * server cannot be queried.
 */
export async function inspectDatasetRuns(
  server: Server,
  { connection: { database }, datasetRunItemsTable: table }: BackfillOptions,
  derived: readonly DerivedColumn[],
  retry: RetryPolicy,
): Promise<DatasetRunFindings> {
  const shape = await describeTable(server, database, table, retry);
  if ("code" in shape) {
    return shape.code === ERROR_CODE.unknownTable
      ? { kind: "absent" }
      : { kind: "unusable", problems: [shape.problem] };
  }
  const engines = await readEngines(server, database, [table], retry);
  const problems = engineProblems(table, ITEMS_EXPECTATION, engines.get(table));
  try {
    const itemColumns = resolveItems(shape, derived);
    if (problems.length === 0) return { kind: "usable", itemColumns };
  } catch (error) {
    if (!(error instanceof MappingError)) throw error;
    problems.push(...error.problems);
  }
  return { kind: "unusable", problems };
}
