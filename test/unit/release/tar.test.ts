import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { outputOf } from "../../../scripts/build/command.ts";
import { tar } from "../../../scripts/build/tar.ts";

const TEXT = Buffer.from("größer\n");
const FILES = [
  { name: "folder/program", mode: 0o755, content: Buffer.alloc(1000, 7) },
  { name: "folder/one/block", mode: 0o644, content: Buffer.alloc(512, 1) },
  { name: "folder/empty", mode: 0o644, content: Buffer.alloc(0) },
  { name: "folder/text", mode: 0o644, content: TEXT },
];
const DATE_SECONDS = 1_700_000_000;

test("the system's tar unpacks contents, modes and dates", async () => {
  const directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-tar-"));
  writeFileSync(join(directory, "it.tar"), tar(FILES, DATE_SECONDS));
  await outputOf(["tar", "-xf", "it.tar"], { cwd: directory });
  for (const { name, mode, content } of FILES) {
    const { mode: actual, mtimeMs } = statSync(join(directory, name));
    expect(readFileSync(join(directory, name)).equals(content)).toBeTrue();
    expect(actual & 0o777, name).toBe(mode);
    expect(mtimeMs).toBe(DATE_SECONDS * 1000);
  }
  expect(await outputOf(["tar", "-tf", "it.tar"], { cwd: directory })).toBe(
    FILES.map(({ name }) => `${name}\n`).join(""),
  );
  rmSync(directory, { recursive: true });
});

test("the same files are the same bytes, whole records of 512", () => {
  const bytes = tar(FILES, DATE_SECONDS);
  expect(bytes).toEqual(tar(FILES, DATE_SECONDS));
  expect(bytes.length % 512).toBe(0);
});

test.each(["", "ä", "x".repeat(101)])("a name of %j is refused", (name) => {
  expect(() => tar([{ name, mode: 0o644, content: TEXT }], 0)).toThrow("expected a name");
});

test("a number that its field does not hold is refused", () => {
  expect(() => tar([{ name: "x", mode: 0o644, content: TEXT }], 8 ** 11)).toThrow("octal digits");
});
