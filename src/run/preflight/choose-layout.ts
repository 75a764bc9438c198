import type { RetryPolicy } from "../../clickhouse/retry.ts";
import type { Server } from "../../clickhouse/server.ts";
import { type ChosenLayout, layoutFor } from "../../mapping/layouts.ts";
import type { BackfillOptions } from "../backfill-options.ts";
import { describeTable } from "./tables.ts";

/**
 * Chooses the layout of a run: the one that was asked for, or the one that the target's columns call for. Rejects with an
 * OperationError where the server cannot be queried; of a target that cannot be read the checks of the tables say why.
 */
export async function chooseLayout(
  server: Server,
  { layout, connection: { database }, tables: { target } }: BackfillOptions,
  retry: RetryPolicy,
): Promise<ChosenLayout> {
  if (layout !== "auto") return { name: layout, reason: "as --layout says" };
  const shape = await describeTable(server, database, target, retry);
  return layoutFor(target, "columns" in shape ? shape.columns : []);
}
