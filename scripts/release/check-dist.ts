/**
 * Checks the files in dist/ before they are published: formats, signatures of the macOS binaries, digests.
 *
 * Usage:   bun scripts/release/check-dist.ts
 * Output:  a line for each binary; problems on stderr. Exit codes: 0 fit to publish, 1 not.
 */
import { join, resolve } from "node:path";
import { binaryName, TARGETS } from "../build/targets.ts";
import { checkBinary, checksumProblems, describeSignature, isIntact } from "./check.ts";

const DIST = resolve(import.meta.dir, "../../dist");

const problems = await checksumProblems(DIST);
for (const target of TARGETS) {
  const name = binaryName(target);
  const checked = checkBinary(target, Buffer.from(await Bun.file(join(DIST, name)).bytes()));
  problems.push(...checked.problems.map((problem) => `${name}: ${problem}`));
  const { signature } = checked;
  console.log(signature === null ? name : `${name}: signature ${describeSignature(signature)}`);
  if (signature !== null && !isIntact(signature)) {
    problems.push(`${name}: the signature does not fit: run codesign --force --sign - ${name} on a Mac`);
  }
}
for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 ? 0 : 1);
