import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { outputOf } from "./command.ts";
import { runtimePackages } from "./packages.ts";
import type { Target } from "./targets.ts";

const MANIFESTS = join(import.meta.dir, "runtimes");
const LOCKFILE = join(MANIFESTS, "bun.lock");

/** Bun's runtime for a target: what `--compile-executable-path` takes, and the version that it is. */
export interface Runtime {
  readonly path: string;
  readonly version: string;
}

/**
 * Fetches Bun's runtime for a target from the npm registry, unless the package manager's cache or an earlier build has it.
 * It is the file that `bun build --target` would download unchecked; installing it checks the download against the lockfile.
 * Throws when it can't be had, or when the running Bun is of another version: bytecode runs only on the version that made it.
 */
export async function runtimeFor(target: Target, root: string): Promise<Runtime> {
  const version = await lockedVersion(target);
  if (version !== Bun.version) {
    throw new Error(
      `This is Bun ${Bun.version}, and the runtimes in ${LOCKFILE} are ${version}: build with npx bun@${version}`,
    );
  }
  const directory = join(root, ".local/runtimes", target.name);
  mkdirSync(directory, { recursive: true });
  for (const file of ["package.json", "bun.lock"]) copyFileSync(join(MANIFESTS, file), join(directory, file));
  let output: string;
  try {
    output = await outputOf(
      [
        process.execPath,
        "install",
        "--frozen-lockfile",
        `--os=${target.os}`,
        `--cpu=${target.cpu}`,
        `--libc=${target.libc ?? "glibc"}`,
      ],
      { cwd: directory },
    );
  } catch (error) {
    throw unavailable(target, version, error instanceof Error ? error.message : String(error));
  }
  const path = join(directory, "node_modules", target.runtimePackage, "bin/bun");
  // The packages are optional ones, for those of other platforms not to matter: a failed download is no failed installation.
  if (!(await Bun.file(path).exists())) {
    throw unavailable(target, version, `${output.trim()}\nThe registry did not deliver it.`);
  }
  return { path, version };
}

function unavailable(target: Target, version: string, why: string): Error {
  return new Error(
    `Bun's runtime for ${target.name} can't be had: npm package ${target.runtimePackage}@${version}.\n${why}\n` +
      "Check that the npm registry is within reach, or build without --target for this platform alone.",
  );
}

async function lockedVersion({ runtimePackage }: Target): Promise<string> {
  const locked = (await runtimePackages(LOCKFILE)).find(({ name }) => name === runtimePackage);
  if (locked === undefined) throw new Error(`${LOCKFILE} has no ${runtimePackage}`);
  return locked.version;
}
