/**
 * Checks that a tag may be released, and prints the notes of the release: the section of CHANGELOG.md for that version.
 *
 * Usage:   bun scripts/release/notes.ts <tag>
 * Exit codes: 0 printed; 1 the tag is not v and the version of package.json, or the section is missing or empty.
 */
import { resolve } from "node:path";
import { changelogSection } from "./changelog.ts";

const ROOT = resolve(import.meta.dir, "../..");

const tag = process.argv[2] ?? "";
const { version } = (await Bun.file(resolve(ROOT, "package.json")).json()) as { version: string };
if (tag !== `v${version}`) {
  console.error(`The tag is ${JSON.stringify(tag)} and package.json says ${version}: expected v${version}`);
  process.exit(1);
}
const notes = changelogSection(await Bun.file(resolve(ROOT, "CHANGELOG.md")).text(), version);
if (notes === null) {
  console.error(`CHANGELOG.md has no section "## ${version}", or nothing in it`);
  process.exit(1);
}
console.log(notes);
