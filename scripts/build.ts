/**
 * Builds the standalone binary: for this platform, or for released ones together with the files of a release.
 *
 * Usage:   bun run build [--outfile <path>]
 *          bun run build --target linux-x64|linux-arm64|linux-x64-musl|linux-arm64-musl|darwin-x64|darwin-arm64|all
 * Output:  dist/clickhouse-backfill
 *          dist/clickhouse-backfill-<target>, its .tar.gz, dist/clickhouse-backfill.cdx.json, dist/SHA256SUMS
 *
 * With --target Bun's runtimes come from the npm registry: one package @oven/bun-<platform> each, 30 to 40 MB, checked
 * against scripts/build/runtimes/bun.lock. Exit codes: 0 built, 1 failed, 2 usage.
 */
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildBinary } from "./build/binary.ts";
import { CHECKSUMS, writeReleaseFiles } from "./build/release-files.ts";
import { binaryName, TARGET_NAMES, type Target, targetsNamed } from "./build/targets.ts";

const DIST = resolve(import.meta.dir, "../dist");

const { target, outfile } = readFlags();
try {
  if (target === undefined) await buildHere(outfile ?? "dist/clickhouse-backfill");
  else await buildRelease(target);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}

async function buildHere(path: string): Promise<void> {
  const built = await buildBinary(path);
  console.log(`${built.path} (${megabytes(built.bytes)}), version ${built.version}, commit ${built.commit}`);
}

async function buildRelease(targets: readonly Target[]): Promise<void> {
  // Old digests must not stand beside new files when a build fails.
  rmSync(join(DIST, CHECKSUMS), { force: true });
  for (const one of targets) {
    const path = join(DIST, binaryName(one));
    const { bytes, version, commit } = await buildBinary(path, { target: one });
    console.log(`${path} (${megabytes(bytes)}), version ${version}, commit ${commit}`);
  }
  const names = await writeReleaseFiles(targets, DIST);
  console.log(`${join(DIST, CHECKSUMS)}: ${names.length} files`);
}

function readFlags(): { target: readonly Target[] | undefined; outfile: string | undefined } {
  try {
    const { values } = parseArgs({ options: { target: { type: "string" }, outfile: { type: "string" } } });
    if (values.target === undefined) return { target: undefined, outfile: values.outfile };
    if (values.outfile !== undefined)
      throw new Error("--outfile with --target: released files have fixed names");
    const targets = targetsNamed(values.target);
    if (targets !== null) return { target: targets, outfile: undefined };
    throw new Error(`--target ${values.target}: expected one of ${TARGET_NAMES.join(", ")}, all`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
