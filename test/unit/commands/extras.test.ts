import { expect, test } from "bun:test";
import { releaseExtras } from "../../../scripts/build/extras.ts";
import { SHELLS } from "../../../src/commands/commands.ts";
import { completionScript } from "../../../src/commands/completion.ts";
import { manualPage } from "../../../src/commands/man.ts";

test("the archives get the manual page of their version and a completion script for every shell", async () => {
  const { version } = (await Bun.file("package.json").json()) as { version: string };
  const [page, ...scripts] = await releaseExtras();
  expect(page).toEqual({ path: "clickhouse-backfill.1", contents: manualPage(version) });
  expect(scripts.map(({ path }) => path)).toEqual([
    "completions/bash/clickhouse-backfill",
    "completions/zsh/_clickhouse-backfill",
    "completions/fish/clickhouse-backfill.fish",
  ]);
  expect(scripts.map(({ contents }) => contents)).toEqual(SHELLS.map(completionScript));
});
