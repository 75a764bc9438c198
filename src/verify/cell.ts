/** The rows of one project and day, by UTC: what is compared at once. */
export interface CellKey {
  /** The bytes of the project's id, in hexadecimal: not every id is UTF-8. */
  readonly projectHex: string;
  /** Microseconds since 1970, as text. */
  readonly dayMicros: string;
}

/** The number of rows, and the sum of their digests modulo 2^128. */
export interface Fingerprint {
  readonly rows: number;
  readonly sum: bigint;
}

/** What is compared: what the sources call for, and what the target holds. */
export type Side = "expected" | "actual";

/** The fingerprints of both sides of a cell. */
export interface ComparedCell extends CellKey {
  readonly expected: Fingerprint;
  readonly actual: Fingerprint;
}
