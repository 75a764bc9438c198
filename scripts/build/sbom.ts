import { join } from "node:path";
import { bundledPackages, runtimePackages } from "./packages.ts";
import { sourceOf } from "./source.ts";

/**
 * The bill of materials in CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/): the npm packages in the binary and Bun's
 * runtimes, with the digests that the lockfiles pin. Without time and serial number, so that a commit has one.
 */
export async function sbom(root: string): Promise<string> {
  const { version, commit } = await sourceOf(root);
  const packages = await bundledPackages(root);
  const runtimes = await runtimePackages(join(root, "scripts/build/runtimes/bun.lock"));
  const self = packageUrl("clickhouse-backfill", version);
  const document = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: {
        type: "application",
        "bom-ref": self,
        name: "clickhouse-backfill",
        version,
        licenses: [{ license: { id: "MIT" } }],
        properties: [{ name: "commit", value: commit }],
      },
    },
    components: [
      ...packages.map((npm) => ({
        ...component(npm, "library"),
        licenses: [{ license: { id: npm.license } }],
      })),
      // Each binary carries the one of its platform.
      ...runtimes.map((runtime) => ({
        ...component(runtime, "platform"),
        licenses: [{ license: { id: "MIT" } }],
      })),
    ],
    dependencies: [
      { ref: self, dependsOn: [...packages, ...runtimes].map((npm) => packageUrl(npm.name, npm.version)) },
      ...[...packages, ...runtimes].map(({ name, version: of, dependencies }) => ({
        ref: packageUrl(name, of),
        dependsOn: packages
          .filter((npm) => dependencies.includes(npm.name))
          .map((npm) => packageUrl(npm.name, npm.version)),
      })),
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function component(
  { name, version, integrity }: { name: string; version: string; integrity: string },
  type: "library" | "platform",
): Record<string, unknown> {
  const purl = packageUrl(name, version);
  return { type, "bom-ref": purl, name, version, purl, hashes: [sha512(integrity)] };
}

/** A purl, https://github.com/package-url/purl-spec: the scope's @ is percent-encoded. */
function packageUrl(name: string, version: string): string {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

function sha512(integrity: string): { alg: string; content: string } {
  const [algorithm, digest] = integrity.split("-", 2);
  if (algorithm !== "sha512" || digest === undefined)
    throw new Error(`${integrity}: expected sha512-<base64>`);
  return { alg: "SHA-512", content: Buffer.from(digest, "base64").toString("hex") };
}
