import { join, resolve } from "node:path";
import { SHELLS, type Shell } from "../../src/commands/commands.ts";
import { completionScript } from "../../src/commands/completion.ts";
import { manualPage } from "../../src/commands/man.ts";

/** A text file that belongs into every archive. */
export interface ExtraFile {
  /** Within the archive, with `/` between folders. */
  readonly path: string;
  readonly contents: string;
}

/** The names under which each shell finds a completion script by itself. */
const COMPLETION_NAMES: Readonly<Record<Shell, string>> = {
  bash: "clickhouse-backfill",
  zsh: "_clickhouse-backfill",
  fish: "clickhouse-backfill.fish",
};

/** The manual page and the completion scripts, made from the program's list of options; the same on every platform. */
export async function releaseExtras(root = resolve(import.meta.dir, "../..")): Promise<ExtraFile[]> {
  const { version } = (await Bun.file(join(root, "package.json")).json()) as { version: string };
  return [
    { path: "clickhouse-backfill.1", contents: manualPage(version) },
    ...SHELLS.map((shell) => ({
      path: `completions/${shell}/${COMPLETION_NAMES[shell]}`,
      contents: completionScript(shell),
    })),
  ];
}
