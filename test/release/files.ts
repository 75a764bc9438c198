import { beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { archiveFiles } from "../../scripts/build/archive-files.ts";
import { outputOf } from "../../scripts/build/command.ts";
import { CHECKSUMS } from "../../scripts/build/release-files.ts";
import { archiveName, binaryName, TARGETS } from "../../scripts/build/targets.ts";
import { checkBinary, checksumProblems, describeSignature, isIntact } from "../../scripts/release/check.ts";
import { neededGlibc } from "../../scripts/release/elf.ts";
import { readMachO } from "../../scripts/release/mach-o.ts";
import { ROOT, release } from "./machine.ts";

const MIB = 2 ** 20;

let dist: string;
beforeAll(async () => {
  dist = await release();
});

describe.each(TARGETS)("$name", (target) => {
  test("is an executable of that system and processor, of the usual size", () => {
    const file = readFileSync(join(dist, binaryName(target)));
    expect(checkBinary(target, file).problems).toEqual([]);
    expect(statSync(join(dist, binaryName(target))).mode & 0o777).toBe(0o755);
    expect(file.length).toBeGreaterThan(80 * MIB);
    expect(file.length).toBeLessThan(130 * MIB);
    expect(statSync(join(dist, archiveName(target))).size).toBeLessThan(60 * MIB);
  });

  test("runs on the systems that the documentation names", () => {
    const file = readFileSync(join(dist, binaryName(target)));
    if (target.libc === null) expect(readMachO(file).minimumOs).toBe("13.0");
    else expect(neededGlibc(file)).toEqual(target.libc === "glibc" ? [2, 17] : [2, 0]);
  });

  test("is in its archive, with the texts", async () => {
    const folder = mkdtempSync(join(tmpdir(), "clickhouse-backfill-archive-"));
    await outputOf(["tar", "-xzf", join(dist, archiveName(target)), "-C", folder], { cwd: ROOT });
    const inside = join(folder, binaryName(target));
    const texts = await archiveFiles(ROOT);
    const found = [...new Bun.Glob("**").scanSync({ cwd: inside, dot: true })].sort();
    expect(found).toEqual(["clickhouse-backfill", ...texts.map(({ path }) => path)].sort());
    expect(
      readFileSync(join(inside, "clickhouse-backfill")).equals(readFileSync(join(dist, binaryName(target)))),
    ).toBeTrue();
    expect(statSync(join(inside, "clickhouse-backfill")).mode & 0o777).toBe(0o755);
    for (const { path, contents } of texts) expect(readFileSync(join(inside, path), "utf8")).toBe(contents);
    rmSync(folder, { recursive: true });
  });
});

// As Bun 1.4.5 leaves them. When this fails for darwin-x64, it has become right, and docs/releases.md is out of date.
test.each([
  ["darwin-arm64", true],
  ["darwin-x64", false],
] as const)("the signature of %s fits: %p", (name, fits) => {
  const { signature } = readMachO(readFileSync(join(dist, binaryName({ name }))));
  if (signature === null) throw new Error("there is no signature");
  expect(isIntact(signature), describeSignature(signature)).toBe(fits);
});

test("a signature does not fit a file with one bit changed", () => {
  const file = readFileSync(join(dist, binaryName({ name: "darwin-arm64" })));
  file.writeUInt8(file.readUInt8(50 * MIB) ^ 1, 50 * MIB);
  expect(readMachO(file).signature).toMatchObject({ wrongPages: 1, bytesNotCovered: 0 });
});

test("SHA256SUMS lists what it should, and sha256sum agrees", async () => {
  expect(await checksumProblems(dist)).toEqual([]);
  const command = Bun.which("sha256sum") === null ? ["shasum", "-a", "256"] : ["sha256sum"];
  expect(await outputOf([...command, "-c", CHECKSUMS], { cwd: dist })).not.toContain("FAILED");
});
