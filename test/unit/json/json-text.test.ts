import { expect, test } from "bun:test";
import { ByteWriter } from "../../../src/bytes/byte-writer.ts";
import { appendText, unescapeTo } from "../../../src/json/json-text.ts";
import { withSeed } from "../../support/property.ts";

const PIECES = [
  "a",
  "é",
  "🙂",
  "\\u0000",
  "\\u007f",
  "\\u0080",
  "\\u07FF",
  "\\u0800",
  "\\uffff",
  "\\ud7ff",
].concat(
  ["\\ue000", "\\uD83D\\uDE00", "\\udbff\\udfff", "\\n", "\\r", "\\t", "\\b", "\\f", "\\/", "\\\\", '\\"'],
  ["a longer text without any escapes in it, "],
);

test("a JSON string is decoded as JSON.parse decodes it", () => {
  const out = new ByteWriter(16);
  withSeed(2000, (random) => {
    const inside = Array.from({ length: random.below(8) }, () => random.pick(PIECES)).join("");
    const bytes = Buffer.from(`"${inside}"`);
    out.reset();
    unescapeTo(out, bytes, 1, bytes.length - 1);
    expect(out.written().toString()).toBe(JSON.parse(`"${inside}"`));
  });
});

test("a text is preceded by its length", () => {
  const out = new ByteWriter(16);
  for (const length of [0, 1, 127, 128, 16_000]) {
    const text = Buffer.alloc(length, "x");
    out.reset();
    appendText(out, text, 0, length);
    const lengthBytes = length < 128 ? [length] : [(length & 127) | 128, length >> 7];
    expect(out.written()).toEqual(Buffer.concat([Buffer.from(lengthBytes), text]));
  }
});
