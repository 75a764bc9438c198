import { afterAll, expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildBinary } from "../../scripts/build/binary.ts";
import { runtimePackages } from "../../scripts/build/packages.ts";
import { sha256 } from "../../scripts/build/release-files.ts";

const ROOT = resolve(import.meta.dir, "../..");

const folder = mkdtempSync(join(tmpdir(), "clickhouse-backfill-reproducible-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("two checkouts at different paths give the same binary", async () => {
  const packages = await runtimePackages(join(ROOT, "bun.lock"));
  const digests: string[] = [];
  for (const place of ["one", "another/place of/a longer name"]) {
    const root = join(folder, place);
    for (const path of ["src", "package.json", "tsconfig.json"])
      cpSync(join(ROOT, path), join(root, path), { recursive: true });
    for (const { name } of packages) {
      cpSync(join(ROOT, "node_modules", name), join(root, "node_modules", name), { recursive: true });
    }
    const { path, commit } = await buildBinary(join(root, "dist/program"), { root });
    expect(commit).toBe("unknown");
    digests.push(await sha256(path));
  }
  expect(digests[0]).toBe(digests[1] as string);
});
