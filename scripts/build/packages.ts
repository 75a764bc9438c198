import { readdirSync } from "node:fs";
import { join } from "node:path";

/** An npm package, as a lockfile has it. */
export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  /** `sha512-` and the base64 of the digest of its tarball. */
  readonly integrity: string;
  /** The names of the packages that it needs, optional ones included, peers not. */
  readonly dependencies: readonly string[];
}

/** A package that is part of the binary. */
export interface BundledPackage extends LockedPackage {
  /** The SPDX expression that its package.json states. */
  readonly license: string;
  readonly licenseText: string;
}

interface LockFile {
  readonly workspaces: Readonly<Record<string, Requirements>>;
  /** By the name that they are found under: name@version, where from if not the default registry, what it needs, digest. */
  readonly packages: Readonly<Record<string, readonly [string, string, Requirements, string]>>;
}

interface Requirements {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/**
 * What a lockfile's project needs at run time, also by way of other packages; sorted by name. With development
 * dependencies left out this is what a binary carries of npm.
 * @throws when the lockfile lacks a package that another needs.
 */
export async function runtimePackages(lockPath: string): Promise<LockedPackage[]> {
  const lock = Bun.JSONC.parse(await Bun.file(lockPath).text()) as LockFile;
  const found = new Map<string, LockedPackage>();
  const waiting = neededBy(lock.workspaces[""] ?? {});
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue;
    const entry = lock.packages[name];
    if (entry === undefined) throw new Error(`${lockPath} has no ${name}`);
    const [identity, , requirements, integrity] = entry;
    const dependencies = neededBy(requirements);
    found.set(name, { name, version: identity.slice(name.length + 1), integrity, dependencies });
    waiting.push(...dependencies);
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The npm packages that a checkout's binary carries, with their licences from node_modules. */
export async function bundledPackages(root: string): Promise<BundledPackage[]> {
  const packages = await runtimePackages(join(root, "bun.lock"));
  return await Promise.all(
    packages.map((locked) => withLicense(locked, join(root, "node_modules", locked.name))),
  );
}

async function withLicense(locked: LockedPackage, directory: string): Promise<BundledPackage> {
  const { version, license } = (await Bun.file(join(directory, "package.json")).json()) as {
    version: string;
    license?: string;
  };
  if (version !== locked.version) {
    throw new Error(`${directory} is ${version}, the lockfile says ${locked.version}: run bun install`);
  }
  const file = readdirSync(directory).find((name) => /^licen[cs]e(\.\w+)?$/i.test(name));
  if (license === undefined || file === undefined)
    throw new Error(`${directory} names no licence or has no text of it`);
  return { ...locked, license, licenseText: await Bun.file(join(directory, file)).text() };
}

function neededBy({ dependencies = {}, optionalDependencies = {} }: Requirements): string[] {
  return [...Object.keys(dependencies), ...Object.keys(optionalDependencies)];
}
