import { expect, test } from "bun:test";
import { join } from "node:path";
import { packageManager } from "../../../package.json";
import { runtimePackages } from "../../../scripts/build/packages.ts";
import { TARGETS } from "../../../scripts/build/targets.ts";

test("released binaries carry the version of Bun that they were tested with", async () => {
  const locked = await runtimePackages(join(import.meta.dir, "../../../scripts/build/runtimes/bun.lock"));
  expect(locked.map(({ name }) => name)).toEqual(TARGETS.map(({ runtimePackage }) => runtimePackage).sort());
  for (const { name, version, integrity } of locked) {
    expect(`bun@${version}`, name).toBe(packageManager);
    expect(integrity, name).toMatch(/^sha512-[A-Za-z0-9+/]{86}==$/);
  }
});
