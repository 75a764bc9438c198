import * as v from "valibot";
import type { BackfillOptions } from "../run/backfill-options.ts";

/**
 * What was copied from where to where, as far as it decides the result. A checkpoint of one fingerprint says nothing
 * about another. Page and batch sizes and the number of workers are not part of it.
 */
export const fingerprintSchema = v.strictObject({
  server: v.string(),
  database: v.string(),
  source_table: v.string(),
  traces_table: v.string(),
  target_table: v.string(),
  trace_window_days: v.number(),
  /** Earlier versions knew one. */
  layout: v.optional(v.picklist(["events", "v4"]), "events"),
});

/** What is known of a run before it has seen its target. */
export type RunFingerprint = Omit<Fingerprint, "layout">;

export type Fingerprint = v.InferOutput<typeof fingerprintSchema>;

/** The fingerprint of a run. The server is its URL's origin: no credentials, no trailing slash, no default port. */
export function fingerprintOf(
  options: Pick<BackfillOptions, "connection" | "tables" | "traceWindowDays">,
): RunFingerprint {
  return {
    server: new URL(options.connection.url).origin,
    database: options.connection.database,
    source_table: options.tables.source,
    traces_table: options.tables.traces,
    target_table: options.tables.target,
    trace_window_days: options.traceWindowDays,
  };
}

/** One line for each item that differs; empty when the fingerprints are the same. */
export function describeDifferences(stored: RunFingerprint, current: RunFingerprint): string[] {
  return (Object.keys(current) as (keyof RunFingerprint)[])
    .filter((item) => stored[item] !== current[item])
    .map(
      (item) =>
        `${item}: the checkpoint has ${JSON.stringify(stored[item])}, this run has ${JSON.stringify(current[item])}`,
    );
}
