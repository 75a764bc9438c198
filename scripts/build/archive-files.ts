import { join } from "node:path";
import { releaseExtras } from "./extras.ts";
import { bundledPackages } from "./packages.ts";

/** A text file that every archive holds beside the binary. */
export interface ArchiveFile {
  readonly path: string;
  readonly contents: string;
}

/** What every archive of a checkout holds beside the binary, sorted by path. */
export async function archiveFiles(root: string): Promise<ArchiveFile[]> {
  const files = [
    { path: "LICENSE", contents: await Bun.file(join(root, "LICENSE")).text() },
    { path: "LICENSES-THIRD-PARTY.txt", contents: await thirdPartyLicenses(root) },
    { path: "README.md", contents: await Bun.file(join(root, "README.md")).text() },
    ...(await releaseExtras(root)),
  ];
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function thirdPartyLicenses(root: string): Promise<string> {
  const sections = (await bundledPackages(root)).map(
    ({ name, version, license, licenseText }) => `${name} ${version} (${license})\n\n${licenseText.trim()}\n`,
  );
  return [
    "clickhouse-backfill carries these npm packages, each under its own licence:\n",
    ...sections,
    `Bun ${Bun.version}, the runtime, is under the MIT licence; it carries JavaScriptCore (LGPL-2.0) and other libraries.\n` +
      "Their licences: https://bun.com/docs/project/licensing\n",
  ].join(`\n${"-".repeat(80)}\n\n`);
}
