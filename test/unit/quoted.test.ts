import { expect, test } from "bun:test";
import { quoted } from "../../src/quoted.ts";

test.each([
  ["plain", '"plain"'],
  ['a "quote" and a \\', '"a \\"quote\\" and a \\\\"'],
  ["\x1b[31m\x9b31m\n", '"\\u001b[31m\\u009b31m\\n"'],
  ["a\u2028b\u202ec\ufeff\x7f", '"a\\u2028b\\u202ec\\ufeff\\u007f"'],
  ["é🙂", '"é🙂"'],
  ["\ud800", '"\\ud800"'],
])("%j is shown as %s", (text, shown) => {
  expect(quoted(text)).toBe(shown);
  expect(JSON.parse(shown)).toBe(text);
});
