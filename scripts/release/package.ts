/**
 * Makes the archives, the bill of materials and SHA256SUMS of the binaries in dist/, once the macOS ones are signed,
 * and what knows the address of the releases: an install.sh, and the archive of deploy/.
 *
 * Usage:   bun scripts/release/package.ts --base-url https://github.com/<owner>/<repository>/releases --image <name>:<tag>
 * Output:  dist/*.tar.gz, dist/clickhouse-backfill.cdx.json, dist/SHA256SUMS, dist/install.sh. Exit codes: 0 made, 1 failed.
 */
import { chmodSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { writeReleaseFiles } from "../build/release-files.ts";
import { sourceOf } from "../build/source.ts";
import { binaryName, TARGETS } from "../build/targets.ts";
import { DEPLOY_FOLDER, deployArchive, deployFiles } from "./deploy-files.ts";

const ROOT = resolve(import.meta.dir, "../..");
const DIST = join(ROOT, "dist");
/** Where install.sh has the address. */
const PLACEHOLDER = ":-@BASE_URL@}";

const { values } = parseArgs({ options: { "base-url": { type: "string" }, image: { type: "string" } } });
const baseUrl = values["base-url"] ?? "";
if (!/^https:\/\/[\w.-]+(\/[\w.-]+)+$/.test(baseUrl)) {
  throw new Error(`--base-url ${JSON.stringify(baseUrl)}: expected the https address of the releases`);
}
const image = values.image ?? "";
if (!/^[a-z\d./_-]+:[\w.-]+$/.test(image)) {
  throw new Error(`--image ${JSON.stringify(image)}: expected the name of an image with its tag`);
}

// Artifacts of workflows lose the modes of their files.
for (const target of TARGETS) chmodSync(join(DIST, binaryName(target)), 0o755);
for (const name of await writeReleaseFiles(TARGETS, DIST)) console.log(name);

const installer = await Bun.file(join(ROOT, "scripts/install.sh")).text();
if (installer.split(PLACEHOLDER).length !== 2) {
  throw new Error(
    `scripts/install.sh: expected ${PLACEHOLDER} once, where it has the address of the releases`,
  );
}
await Bun.write(join(DIST, "install.sh"), installer.replace(PLACEHOLDER, `:-${baseUrl}}`));
console.log("install.sh");

const deploy = await deployFiles(ROOT, { baseUrl, image });
const { committedAtSeconds } = await sourceOf(ROOT);
await Bun.write(join(DIST, `${DEPLOY_FOLDER}.tar.gz`), deployArchive(deploy, committedAtSeconds));
console.log(`${DEPLOY_FOLDER}.tar.gz`);
