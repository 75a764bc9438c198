import { expect, test } from "bun:test";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");

/** Words that this project has another one for. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/\banswer(?:s|ed|ing)?\b/i, "response, to respond"],
  [/\bask(?:s|ed|ing)? the server\b/i, "to query"],
  [/\bmade[- ](?:columns?|json)\b/i, "derived"],
  [/\bproofs?\b/i, "verification"],
  [/\bnews\b/i, "event, update"],
  [/\b(?:afresh|anew from)\b/i, "from the start"],
  [/\bheed(?:s|ed|ing)?\b/i, "to honour"],
  [/\bmeanwhile\b/i, "concurrently, in between"],
  [/\bwishes\b/i, "preferred settings"],
  [/\bstep of (?:a|the) retry\b/i, "operation"],
  [/\bspans? of pages\b/i, "page group"],
];

/** What is spoken about, not with: texts of made-up data, and this list. */
const LEFT_OUT = [
  "scripts/demo/data.ts",
  "scripts/bench/data.ts",
  "test/support/data/",
  "test/integration/reference/",
  "test/unit/words.test.ts",
];

test("the project keeps to its words", async () => {
  const listed =
    await Bun.$`git ls-files -z -- ${["src", "scripts", "test", "docs", "deploy", ".github", "*.md"]}`
      .cwd(ROOT)
      .text();
  const files = listed.split("\0").filter((file) => /\.(?:ts|js|sh|md|ya?ml|service|css)$/.test(file));
  expect(files.length).toBeGreaterThan(400);
  const found: string[] = [];
  for (const file of files) {
    if (LEFT_OUT.some((path) => file.startsWith(path))) continue;
    const lines = (await Bun.file(join(ROOT, file)).text()).split("\n");
    for (const [index, line] of lines.entries()) {
      for (const [word, better] of WORDS) {
        if (word.test(line)) found.push(`${file}:${index + 1}: ${word.exec(line)?.[0]}, rather ${better}`);
      }
    }
  }
  expect(found).toEqual([]);
});
