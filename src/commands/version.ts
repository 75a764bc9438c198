declare const BUILD_VERSION: string | undefined;
declare const BUILD_COMMIT: string | undefined;

/** The program's name in help and messages. */
export const PROGRAM = "clickhouse-backfill";

/** The version that the build stamped. */
export function version(): string {
  return typeof BUILD_VERSION === "string" ? BUILD_VERSION : "0.0.0-dev";
}

/** Whether this is a binary that was built, and not the sources. */
export function isBuilt(): boolean {
  return typeof BUILD_VERSION === "string";
}

/** `clickhouse-backfill <version> (<commit>)`, as the build stamped it; from source there is none. */
export function versionLine(): string {
  const commit = typeof BUILD_COMMIT === "string" ? BUILD_COMMIT : "source";
  return `${PROGRAM} ${version()} (${commit})`;
}
