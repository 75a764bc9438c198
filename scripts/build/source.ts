import { join } from "node:path";

/** What is built. */
export interface Source {
  /** Of package.json. */
  readonly version: string;
  /** Abbreviated, with `-dirty` when the files differ from it; "unknown" outside a git checkout. */
  readonly commit: string;
  /** When the commit was made, in seconds since 1970; 0 outside a git checkout. */
  readonly committedAtSeconds: number;
}

/** Reads version and commit of a checkout. */
export async function sourceOf(root: string): Promise<Source> {
  const { version } = (await Bun.file(join(root, "package.json")).json()) as { version: string };
  const [commit, committedAt] = await Promise.all([
    git(root, "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"),
    git(root, "log", "-1", "--format=%ct"),
  ]);
  return { version, commit: commit ?? "unknown", committedAtSeconds: Number(committedAt ?? 0) };
}

async function git(root: string, ...args: string[]): Promise<string | null> {
  // A folder inside another project's checkout has no commit of its own.
  const environment = { ...process.env, GIT_CEILING_DIRECTORIES: join(root, "..") };
  const child = Bun.spawn(["git", ...args], {
    cwd: root,
    env: environment,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  const text = (await new Response(child.stdout).text()).trim();
  return (await child.exited) === 0 && text !== "" ? text : null;
}
