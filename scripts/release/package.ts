/**
 * Makes the archives, the bill of materials and SHA256SUMS of the four binaries in dist/, once the macOS ones are signed.
 *
 * Usage:   bun scripts/release/package.ts
 * Output:  dist/*.tar.gz, dist/clickhouse-backfill.cdx.json, dist/SHA256SUMS. Exit codes: 0 made, 1 failed.
 */
import { chmodSync } from "node:fs";
import { join, resolve } from "node:path";
import { writeReleaseFiles } from "../build/release-files.ts";
import { binaryName, TARGETS } from "../build/targets.ts";

const DIST = resolve(import.meta.dir, "../../dist");

// Artifacts of workflows lose the modes of their files.
for (const target of TARGETS) chmodSync(join(DIST, binaryName(target)), 0o755);
for (const name of await writeReleaseFiles(TARGETS, DIST)) console.log(name);
