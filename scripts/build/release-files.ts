import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import { archiveFiles } from "./archive-files.ts";
import { sbom } from "./sbom.ts";
import { sourceOf } from "./source.ts";
import { tar } from "./tar.ts";
import { archiveName, binaryName, type Target } from "./targets.ts";

/** The file that lists the digests of the others, as `sha256sum -c` and `shasum -a 256 -c` read it. */
export const CHECKSUMS = "SHA256SUMS";
/** The bill of materials. */
export const SBOM = "clickhouse-backfill.cdx.json";

/**
 * Makes the archives of the targets' binaries in `directory`, the bill of materials, and SHA256SUMS over all of these.
 * The same binaries of the same commit give the same bytes. Returns the names of the files, in SHA256SUMS' order.
 */
export async function writeReleaseFiles(
  targets: readonly Target[],
  directory: string,
  root = resolve(import.meta.dir, "../.."),
): Promise<string[]> {
  const { committedAtSeconds } = await sourceOf(root);
  const texts = await archiveFiles(root);
  const names: string[] = [];
  for (const target of targets) {
    const binary = binaryName(target);
    const files = [
      {
        name: `${binary}/clickhouse-backfill`,
        mode: 0o755,
        content: await Bun.file(join(directory, binary)).bytes(),
      },
      ...texts.map(({ path, contents }) => ({
        name: `${binary}/${path}`,
        mode: 0o644,
        content: Buffer.from(contents),
      })),
    ];
    // Of the two compressors the one that puts neither a time nor this platform's number into the header.
    const archive = Bun.gzipSync(tar(files, committedAtSeconds), { library: "libdeflate", level: 6 });
    await Bun.write(join(directory, archiveName(target)), archive);
    names.push(binary, archiveName(target));
  }
  await Bun.write(join(directory, SBOM), await sbom(root));
  names.push(SBOM);
  const lines = await Promise.all(
    names.map(async (name) => `${await sha256(join(directory, name))}  ${name}\n`),
  );
  await Bun.write(join(directory, CHECKSUMS), lines.join(""));
  return names;
}

/** The hexadecimal SHA-256 of a file. */
export async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of Bun.file(path).stream()) hash.update(chunk);
  return hash.digest("hex");
}
