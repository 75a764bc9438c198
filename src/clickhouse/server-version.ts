/** Major and minor of a version of ClickHouse. */
export type MajorMinor = readonly [major: number, minor: number];

/** Whether a version as `SELECT version()` returns it, like 25.8.1.5101, is this one or a later one; false for other texts. */
export function isAtLeast(version: string, [oldestMajor, oldestMinor]: MajorMinor): boolean {
  const [major = Number.NaN, minor = Number.NaN] = version.split(".").map(Number);
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
}
