import { expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { outputOf } from "../../scripts/build/command.ts";
import { CHECKSUMS } from "../../scripts/build/release-files.ts";
import { ROOT, release } from "./machine.ts";

test("another checkout at another path gives the same bytes, for all targets", async () => {
  const dist = await release();
  const folder = mkdtempSync(join(tmpdir(), "clickhouse-backfill-copy-"));
  const copy = join(folder, "a/path of/another length");
  const listed = await outputOf(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: ROOT,
  });
  for (const path of listed.split("\0").filter((path) => path !== "" && existsSync(join(ROOT, path)))) {
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    cpSync(join(ROOT, path), join(copy, path));
  }
  // For the commit, which is part of the binary.
  cpSync(join(ROOT, ".git"), join(copy, ".git"), { recursive: true });
  await outputOf([process.execPath, "install", "--frozen-lockfile"], { cwd: copy });
  await outputOf([process.execPath, "scripts/build.ts", "--target", "all"], { cwd: copy });
  expect(await Bun.file(join(copy, "dist", CHECKSUMS)).text()).toBe(
    await Bun.file(join(dist, CHECKSUMS)).text(),
  );
  rmSync(folder, { recursive: true });
});
