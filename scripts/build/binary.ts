import { mkdirSync, statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { outputOf } from "./command.ts";
import { runtimeFor } from "./runtime.ts";
import { sourceOf } from "./source.ts";
import type { Target } from "./targets.ts";

/** A binary that was built. */
export interface BuiltBinary {
  readonly path: string;
  readonly bytes: number;
  readonly version: string;
  readonly commit: string;
}

export interface BuildOptions {
  /** The platform it is for; this one, with the runtime that runs now, when left out. */
  readonly target?: Target;
  /** The checkout that is built; its path does not reach the binary. */
  readonly root?: string;
}

/**
 * Compiles the program with Bun's runtime into one executable file. The same sources, commit, target and file name give
 * the same bytes. Throws with the bundler's own words when it fails, and when the target's runtime can't be had.
 */
export async function buildBinary(outfile: string, options: BuildOptions = {}): Promise<BuiltBinary> {
  const { target, root = resolve(import.meta.dir, "../..") } = options;
  const path = resolve(outfile);
  const { version, commit } = await sourceOf(root);
  mkdirSync(dirname(path), { recursive: true });
  await outputOf(
    [
      process.execPath,
      "build",
      "--compile",
      // Bytecode halves the time to start; it needs the format named, or top-level await fails.
      "--bytecode",
      "--format=esm",
      "--minify-syntax",
      // A bunfig.toml of the working directory could run code; .env is read by the program itself, by its own rules.
      "--no-compile-autoload-bunfig",
      "--no-compile-autoload-dotenv",
      `--define=BUILD_VERSION=${JSON.stringify(version)}`,
      `--define=BUILD_COMMIT=${JSON.stringify(commit)}`,
      ...(target === undefined ? [] : await crossFlags(target, root)),
      `--outfile=${path}`,
      // The first entry point is the program, so the worker must come second.
      "src/main.ts",
      "src/worker.ts",
    ],
    { cwd: root },
  );
  const { size } = statSync(path, { throwIfNoEntry: false }) ?? { size: 0 };
  if (size === 0) throw new Error(`bun build ended well and left no ${basename(path)}`);
  return { path, bytes: size, version, commit };
}

/** The runtime is named, for Bun would fetch it by itself and not check what it got. */
async function crossFlags(target: Target, root: string): Promise<string[]> {
  const { path, version } = await runtimeFor(target, root);
  return [`--target=${target.bunTarget}-v${version}`, `--compile-executable-path=${path}`];
}
