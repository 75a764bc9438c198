import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { outputOf } from "./command.ts";
import type { Target } from "./targets.ts";

const MANIFESTS = join(import.meta.dir, "runtimes");

/** Bun's runtime for a target: what `--compile-executable-path` takes, and the version that it is. */
export interface Runtime {
  readonly path: string;
  readonly version: string;
}

/**
 * Fetches Bun's runtime for a target from the npm registry, unless package manager's cache or an earlier build has it.
 * It is the file that `bun build --target` would download; installed by the lockfile beside this module, its sha512 is checked.
 * Throws when it can't be had, or when the running Bun is of another version: bytecode runs only on the version that made it.
 */
export async function runtimeFor(target: Target, root: string): Promise<Runtime> {
  const version = await lockedVersion(target);
  if (version !== Bun.version) {
    throw new Error(
      `This is Bun ${Bun.version}, and the runtimes in ${join(MANIFESTS, "bun.lock")} are ${version}: build with npx bun@${version}`,
    );
  }
  const directory = join(root, ".local/runtimes", target.name);
  mkdirSync(directory, { recursive: true });
  for (const file of ["package.json", "bun.lock"]) copyFileSync(join(MANIFESTS, file), join(directory, file));
  try {
    await outputOf(
      [
        process.execPath,
        "install",
        "--frozen-lockfile",
        `--os=${target.os}`,
        `--cpu=${target.cpu}`,
        "--libc=glibc",
      ],
      { cwd: directory },
    );
  } catch (error) {
    throw unavailable(target, version, error instanceof Error ? error.message : String(error));
  }
  const path = join(directory, "node_modules", target.runtimePackage, "bin/bun");
  if (!(await Bun.file(path).exists())) throw unavailable(target, version, `${path} was not installed`);
  return { path, version };
}

function unavailable(target: Target, version: string, why: string): Error {
  return new Error(
    `Bun's runtime for ${target.name} can't be had: npm package ${target.runtimePackage}@${version}.\n${why}\n` +
      "Check that the npm registry is within reach, or build without --target for this platform alone.",
  );
}

async function lockedVersion(target: Target): Promise<string> {
  const { optionalDependencies } = (await Bun.file(join(MANIFESTS, "package.json")).json()) as {
    optionalDependencies: Record<string, string>;
  };
  const version = optionalDependencies[target.runtimePackage];
  if (version === undefined)
    throw new Error(`${MANIFESTS}/package.json does not list ${target.runtimePackage}`);
  return version;
}
