import type { BackfillOptions } from "../../src/run/backfill-options.ts";
import { type VerifyResult, verify } from "../../src/verify/verify.ts";
import { randomFrom } from "../support/data/random.ts";
import { APART, columnTypes, inOrder, KEY, otherValue, Planter, shown } from "../support/planter.ts";
import { TARGET, type World } from "./world.ts";

/** Shown examples of a kind: more than are planted. */
const EXAMPLES = 5;
const NAMED = "SELECT project_id, trace_id FROM dataset_run_items_rmt FINAL";

/** Compares the month with its sources, and returns what was compared and found. Rejects as `verify` does. */
export async function compareMonth(backfill: BackfillOptions, stop: AbortSignal): Promise<VerifyResult> {
  const options = { backfill, quick: false, ignoreNewer: false, examples: EXAMPLES, only: null };
  return await verify(options, () => {}, stop);
}

/** Differences that were planted in a target, or found there, as text. */
export function describeFound({ counts, examples }: Pick<VerifyResult, "counts" | "examples">): string {
  const numbers = Object.entries(counts).filter(([, rows]) => rows > 0);
  const rows = inOrder(shown(examples)).map(({ kind, span, columns }) => `${kind} ${span} ${columns.join()}`);
  return [numbers.map(([kind, count]) => `${count} ${kind}`).join(", "), ...rows].join("; ").trim();
}

/**
 * Changes a value of one row of the target, and takes another row away. Which ones and which column follow from `choice`, of the columns
 * that are compared. Returns what a comparison must find, as `describeFound` writes it.
 */
export async function plantDifferences(
  { server, database, partition, layout, compared }: World,
  choice: number,
): Promise<string> {
  const planter = new Planter(server, { database, target: TARGET, partition, seed: choice });
  const names = compared.filter((name) => !KEY.includes(name) && !APART.includes(name));
  const place = { database, target: TARGET };
  const [name, type] = randomFrom(choice).pick(await columnTypes(server, place, names));
  const isNamed = `(project_id, trace_id) IN (${NAMED})`;
  // Only rows of dataset runs have experiments, and their times are not compared.
  const from = layout === "events" ? "1" : name.startsWith("experiment_") ? isNamed : `NOT (${isNamed})`;
  const changed = await planter.victim(from);
  const missing = await planter.victim("1");
  await planter.insert([{ victim: changed, column: name, sql: otherValue(name, type) }]);
  // A lightweight DELETE: the row stays, under a mask.
  await server.command(`DELETE FROM ${TARGET} WHERE span_id = {span:String}`, {
    database,
    params: { span: missing.span_id },
  });
  return describeFound({
    counts: { missing: 1, unexpected: 0, stale: 0, differing: 1, newer: 0 },
    examples: [
      { kind: "missing", key: { span_id: missing.span_id }, columns: [] },
      { kind: "differing", key: { span_id: changed.span_id }, columns: [name] },
    ],
  });
}
