import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { renderReference } from "../../../scripts/reference/render.ts";
import { helpText } from "../../../src/commands/help.ts";
import { parseDotenv } from "../../../src/config/dotenv.ts";
import { OPTION_LIST } from "../../../src/config/options.ts";
import { resolveSettings } from "../../../src/config/resolve-settings.ts";
import { settingsFrom } from "./settings.ts";

const ROOT = join(import.meta.dir, "../../..");
const EXAMPLE = readFileSync(join(ROOT, ".env.example"), "utf8");
const HELP = helpText();

describe(".env.example", () => {
  test("sets every variable of the table to its default, and no other", () => {
    const defaults = Object.fromEntries(OPTION_LIST.map(([, spec]) => [spec.variable, spec.default ?? ""]));
    expect({ ...parseDotenv(EXAMPLE).values }).toEqual(defaults);
  });

  test("copied as it is changes nothing", () => {
    expect(settingsFrom({ dotenv: EXAMPLE })).toEqual(settingsFrom({}));
  });

  test("needs only the partition to be a working file", () => {
    const dotenv = parseDotenv(EXAMPLE.replace("PARTITION=", "PARTITION=202501"));
    expect(resolveSettings({ flags: new Map(), environment: {}, dotenv }).partition).toEqual(["202501"]);
  });
});

describe("--help", () => {
  test.each(OPTION_LIST.map(([name, spec]) => [name, spec] as const))("describes %s in full", (_, spec) => {
    if (spec.flag !== null)
      expect(HELP).toContain(`  --${spec.flag}${spec.placeholder === null ? " " : " <"}`);
    for (const variable of [spec.variable, spec.borrowed?.name ?? spec.variable]) {
      expect(HELP).toMatch(new RegExp(`\\b${variable}\\b`));
    }
    expect(HELP).toContain(`, ${spec.default === null ? "required" : spec.default || "empty"}`);
  });

  test("fits 80 columns", () => {
    for (const line of HELP.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });

  test("has no flag that the table lacks", () => {
    const flags = [...HELP.matchAll(/^ {2}(?:-[hV], | {4})?--([a-z-]+)/gm)].map(([, flag]) => flag);
    const known = OPTION_LIST.flatMap(([, { flag }]) => (flag === null ? [] : [flag]));
    expect(flags).toEqual([...known, "help", "version"]);
  });
});

test("docs/reference.md is what the definitions make: bun run reference writes it", () => {
  expect(readFileSync(join(ROOT, "docs/reference.md"), "utf8")).toBe(renderReference());
});

test("the README is short enough to be read", () => {
  const words = readFileSync(join(ROOT, "README.md"), "utf8")
    .split(/\s+/)
    .filter((word) => /\w/.test(word));
  expect(words.length).toBeLessThanOrEqual(900);
});

const PAGES = [
  ...new Bun.Glob("*.md").scanSync({ cwd: ROOT }),
  ...new Bun.Glob("docs/**/*.md").scanSync({ cwd: ROOT }),
];

/** A heading as GitHub makes an anchor of it. */
function anchorOf(heading: string): string {
  const text = heading
    .replaceAll(/[`*]|\[|\]\([^)]*\)/g, "")
    .trim()
    .toLowerCase();
  return text.replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
}

test.each(PAGES)("the links of %s lead somewhere", (page) => {
  const text = readFileSync(join(ROOT, page), "utf8").replaceAll(/^```[\s\S]*?^```/gm, "");
  for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [path = "", anchor] = target.split("#");
    const file = path === "" ? join(ROOT, page) : join(ROOT, page, "..", path);
    if (!existsSync(file)) throw new Error(`${page}: there is no ${target}`);
    if (anchor === undefined) continue;
    const anchors = [...readFileSync(file, "utf8").matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
      anchorOf(heading),
    );
    if (!anchors.includes(anchor)) throw new Error(`${page}: ${target} has no such heading`);
  }
});

test.each([
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  ...new Bun.Glob("docs/**/*.md").scanSync({ cwd: ROOT }),
])("%s names files that are there", (document) => {
  const text = readFileSync(join(ROOT, document), "utf8");
  const named = [...text.matchAll(/\b(?:src|test|scripts)\/[\w./-]+\.(?:ts|py)\b/g)].map(([path]) => path);
  expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});
