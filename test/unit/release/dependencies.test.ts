import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { dependencies, devDependencies, version } from "../../../package.json";
import { bundledPackages } from "../../../scripts/build/packages.ts";
import { sbom } from "../../../scripts/build/sbom.ts";
import { TARGETS } from "../../../scripts/build/targets.ts";

const ROOT = resolve(import.meta.dir, "../../..");
const LOCKFILES = ["bun.lock", "scripts/build/runtimes/bun.lock"];

/** All that the binary carries of npm. Whoever adds one has looked at what it is and who makes it. */
const BUNDLED = ["@clickhouse/client", "citty", "consola", "valibot"];
const PERMISSIVE = ["MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "0BSD"];

test("the binary carries the intended packages, each under a permissive licence", async () => {
  const bundled = await bundledPackages(ROOT);
  expect(bundled.map(({ name }) => name)).toEqual(BUNDLED);
  for (const { name, license, licenseText } of bundled) {
    expect(PERMISSIVE, name).toContain(license);
    expect(licenseText.length, name).toBeGreaterThan(500);
  }
});

test("versions are exact", () => {
  const versions = Object.entries({ ...dependencies, ...devDependencies });
  expect(versions.length).toBeGreaterThan(BUNDLED.length);
  for (const [name, of] of versions) expect(of, name).toMatch(/^\d+\.\d+\.\d+$/);
});

test.each(LOCKFILES)("%s has a digest for every package, and no address", (path) => {
  const text = readFileSync(join(ROOT, path), "utf8");
  expect(text).not.toMatch(/https?:/);
  const { packages } = Bun.JSONC.parse(text) as {
    packages: Record<string, [string, string, object, string]>;
  };
  expect(Object.keys(packages).length).toBeGreaterThan(3);
  for (const [name, [, registry, , integrity]] of Object.entries(packages)) {
    expect(registry, name).toBe("");
    expect(integrity, name).toStartWith("sha512-");
  }
});

test("the bill of materials names the program, its packages and the runtimes", async () => {
  const { metadata, components, dependencies: graph } = JSON.parse(await sbom(ROOT));
  const names: string[] = components.map(({ name }: { name: string }) => name);
  expect(metadata.component).toMatchObject({ name: "clickhouse-backfill", version });
  expect(names.slice(0, BUNDLED.length)).toEqual(BUNDLED);
  expect(names.slice(BUNDLED.length)).toHaveLength(TARGETS.length);
  const references = [metadata.component, ...components].map((component) => component["bom-ref"]);
  expect(graph.map(({ ref }: { ref: string }) => ref)).toEqual(references);
  for (const { name, purl, hashes } of components) {
    expect(purl, name).toMatch(/^pkg:npm\/(%40[\w-]+\/)?[\w-]+@[\d.]+$/);
    expect(hashes[0].content, name).toMatch(/^[0-9a-f]{128}$/);
  }
});
