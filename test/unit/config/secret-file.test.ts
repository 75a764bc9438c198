import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FileSecret, readSecretFile } from "../../../src/config/secret-file.ts";
import { UsageError } from "../../../src/errors.ts";
import { type Given, messageOf, settingsFrom } from "./settings.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "password-file-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const read = (path: string): FileSecret => readSecretFile("clickhousePasswordFile", path);

function fileOf(content: string | Uint8Array, mode = 0o600): string {
  const path = join(directory, "password");
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

describe("of password and password file", () => {
  const TEXT = "clickhouse-password";
  const FILE = "clickhouse-password-file";
  const byText = (place: keyof Given): Given => at(place, TEXT, "CLICKHOUSE_PASSWORD");
  const byFile = (place: keyof Given): Given => at(place, FILE, "CLICKHOUSE_PASSWORD_FILE");

  function at(place: keyof Given, flag: string, variable: string): Given {
    if (place === "flags") return { flags: { [flag]: place } };
    return place === "environment"
      ? { environment: { [variable]: place } }
      : { dotenv: `${variable}=${place}\n` };
  }

  const PLACES = ["flags", "environment", "dotenv"] as const;
  const pairs = PLACES.flatMap((text, t) => PLACES.map((file, f) => ({ text, file, order: f - t })));

  test.each(pairs)("by $text and by $file", ({ text, file, order }) => {
    const given = merged(byText(text), byFile(file));
    if (order === 0) {
      expect(() => settingsFrom(given)).toThrow(UsageError);
      expect(messageOf(() => settingsFrom(given))).toMatch(
        /^(--clickhouse-password-file|CLICKHOUSE_PASSWORD_FILE.*): set it or (--clickhouse-password|CLICKHOUSE_PASSWORD( \(.env:1\))?), not both$/,
      );
      return;
    }
    expect(settingsFrom(given)).toMatchObject(
      order < 0
        ? { clickhousePassword: "", clickhousePasswordFile: file }
        : { clickhousePassword: text, clickhousePasswordFile: null },
    );
  });

  function merged(a: Given, b: Given): Given {
    return {
      flags: { ...a.flags, ...b.flags },
      environment: { ...a.environment, ...b.environment },
      dotenv: `${a.dotenv ?? ""}${b.dotenv ?? ""}`,
    };
  }

  test("an empty variable is not set, and an empty flag takes away what is weaker", () => {
    const environment = { CLICKHOUSE_PASSWORD: "", CLICKHOUSE_PASSWORD_FILE: "f" };
    expect(settingsFrom({ environment })).toMatchObject({ clickhousePasswordFile: "f" });
    expect(settingsFrom({ environment, flags: { [TEXT]: "" } })).toMatchObject({
      clickhousePassword: "",
      clickhousePasswordFile: null,
    });
  });

  test("the file's flag without a path is refused: it is a variable of a script that was not set", () => {
    expect(messageOf(() => settingsFrom({ flags: { [FILE]: "" } }))).toBe(
      '--clickhouse-password-file "": expected a path that is not empty',
    );
  });
});

describe("a password file", () => {
  test.each([
    ["secret", "secret"],
    ["secret\n", "secret"],
    ["secret\r\n", "secret"],
    ["secret\n\n", "secret\n"],
    [" se cret \n", " se cret "],
    ["'quoted' $x # no comment\n", "'quoted' $x # no comment"],
    ["pässwörd🙂", "pässwörd🙂"],
    ["x".repeat(4096), "x".repeat(4096)],
  ])("with %p gives %p", (content, password) => {
    expect(read(fileOf(content))).toEqual({ secret: password, notice: null });
  });

  test.each<[string, () => string, string]>([
    ["is missing", () => join(directory, "no such file"), "there is no such file"],
    ["lies below a file", () => join(fileOf("x"), "below"), "a part of the path is a file"],
    ["is a directory", () => directory, "it is a directory"],
    ["is empty", () => fileOf(""), "it is empty"],
    ["holds a line break only", () => fileOf("\n"), "it is empty"],
    ["is no text", () => fileOf(new Uint8Array([0x73, 0xff])), "it is not valid UTF-8"],
    ["is too large", () => fileOf("s".repeat(4097)), "it has more than 4096 bytes"],
    ["has no end", () => "/dev/zero", "it has more than 4096 bytes"],
  ])("that %s is refused in one line that names it, and shows none of its content", (_, make, reason) => {
    const path = make();
    const attempt = (): unknown => read(path);
    expect(attempt).toThrow(UsageError);
    expect(messageOf(attempt)).toBe(
      `--clickhouse-password-file (or CLICKHOUSE_PASSWORD_FILE) ${JSON.stringify(path)}: ` +
        `expected a file that holds the password, but ${reason}`,
    );
  });

  test("that every user can read is used, with a notice", () => {
    expect(read(fileOf("secret", 0o640)).notice).toBeNull();
    const { secret: password, notice } = read(fileOf("secret", 0o644));
    expect(password).toBe("secret");
    expect(notice).toContain("can be read by every user");
    expect(notice).not.toContain("secret");
  });
});
