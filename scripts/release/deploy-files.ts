import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type TarFile, tar } from "../build/tar.ts";

/** The folder in the archive of deploy/, and the archive's name without its suffix. */
export const DEPLOY_FOLDER = "clickhouse-backfill-deploy";

/** What the files of deploy/ leave to the release. */
export interface Addresses {
  /** Where the releases are: https://github.com/<owner>/<repository>/releases. */
  readonly baseUrl: string;
  /** The image's name, with its tag. */
  readonly image: string;
}

/**
 * The files of deploy/ of a checkout, with the addresses in the place of the words in at signs. Throws when a file has
 * another such word.
 */
export async function deployFiles(root: string, { baseUrl, image }: Addresses): Promise<TarFile[]> {
  const directory = join(root, "deploy");
  const files: TarFile[] = [];
  for (const name of readdirSync(directory).sort()) {
    const text = (await Bun.file(join(directory, name)).text())
      .replaceAll("@BASE_URL@", baseUrl)
      .replaceAll("@IMAGE@", image);
    const [unknown] = /@[A-Z_]+@/.exec(text) ?? [];
    if (unknown !== undefined) throw new Error(`deploy/${name}: a release has nothing for ${unknown}`);
    files.push({
      name: `${DEPLOY_FOLDER}/${name}`,
      mode: name.endsWith(".sh") ? 0o755 : 0o644,
      content: Buffer.from(text),
    });
  }
  return files;
}

/** The archive of these files, as gzip; the same files give the same bytes. */
export function deployArchive(files: readonly TarFile[], modifiedAtSeconds: number): Uint8Array<ArrayBuffer> {
  return Bun.gzipSync(tar(files, modifiedAtSeconds), { library: "libdeflate", level: 6 });
}
