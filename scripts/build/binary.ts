import { mkdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");

/** A binary that was built. */
export interface BuiltBinary {
  readonly path: string;
  readonly bytes: number;
  readonly version: string;
  readonly commit: string;
}

/**
 * Compiles the program with Bun's runtime into one executable file for this platform.
 * Throws with the bundler's own words when that fails.
 */
export async function buildBinary(outfile: string): Promise<BuiltBinary> {
  const path = resolve(outfile);
  const { version } = (await Bun.file(join(ROOT, "package.json")).json()) as { version: string };
  const commit = await currentCommit();
  mkdirSync(dirname(path), { recursive: true });
  const child = Bun.spawn(
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
      `--outfile=${path}`,
      // The first entry point is the program, so the worker must come second.
      "src/main.ts",
      "src/worker.ts",
    ],
    { cwd: ROOT, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  );
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`bun build failed with exit code ${code}:\n${output}${errors}`);
  return { path, bytes: statSync(path).size, version, commit };
}

/** The abbreviated commit of the sources, with `-dirty` when they differ from it; "unknown" outside a git checkout. */
async function currentCommit(): Promise<string> {
  const git = Bun.spawn(["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  const text = (await new Response(git.stdout).text()).trim();
  return (await git.exited) === 0 && text !== "" ? text : "unknown";
}
