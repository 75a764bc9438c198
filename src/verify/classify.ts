import type { RowDigest, RowPair } from "./row-pairs.ts";

/** How a row of the target may differ from what the sources call for. */
export const DIFFERENCE_KINDS = ["missing", "unexpected", "stale", "differing", "newer"] as const;

/**
 * `missing`: the target lacks it. `unexpected`: the sources do not explain it. `stale`: the target has an older version. `differing`: it
 * has other values, or several rows of one key. `newer`: Langfuse has written it since; only with `--ignore-newer`.
 */
export type DifferenceKind = (typeof DIFFERENCE_KINDS)[number];

/** The verdict on a row. `json`: alike but for JSON that the server's SQL cannot compare for certain, or that may be equal though stored otherwise. */
export type Verdict = "equal" | "json" | DifferenceKind;

/** Compares the rows of one key. Of several expected ones the newest counts, as in the target, whichever of equally new ones it is. */
export function classify({ expected, actual }: RowPair, ignoreNewer: boolean): Verdict {
  const wanted = newest(expected);
  const [found] = newest(actual);
  if (found === undefined) return "missing";
  const [first] = wanted;
  if (first === undefined) return ignoreNewer && !found.isCertain ? "newer" : "unexpected";
  // Deleting by the key would delete what is right as well.
  if (actual.length > 1) return "differing";
  if (wanted.some(({ all }) => all === found.all)) return "equal";
  if (wanted.some((row) => !row.isCertain && row.withoutJson === found.withoutJson)) return "json";
  if (found.versionMicros < first.versionMicros) return "stale";
  return ignoreNewer && (found.versionMicros > first.versionMicros || !found.isCertain)
    ? "newer"
    : "differing";
}

function newest(rows: readonly RowDigest[]): RowDigest[] {
  const version = rows.reduce<bigint | null>(
    (max, { versionMicros }) => (max === null || versionMicros > max ? versionMicros : max),
    null,
  );
  return rows.filter(({ versionMicros }) => versionMicros === version);
}
