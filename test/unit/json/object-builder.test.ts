import { describe, expect, test } from "bun:test";
import { ByteWriter } from "../../../src/bytes/byte-writer.ts";
import { embedOf, needsEscape } from "../../../src/json/json-string.ts";
import { JsonObjectBuilder } from "../../../src/json/object-builder.ts";

const builder = new JsonObjectBuilder();

/** The object built from members; keys and values are surrounded by other bytes. */
function objectOf(members: Readonly<Record<string, string>>): string {
  const out = new ByteWriter(8);
  builder.reset();
  for (const [keyText, valueText] of Object.entries(members)) {
    const key = Buffer.from(`<${keyText}>`);
    const value = Buffer.from(`"${valueText}"`);
    const [keyEnd, valueEnd] = [key.length - 1, value.length - 1];
    const embed = embedOf(value, 1, valueEnd);
    builder.add(key, 1, keyEnd, needsEscape(key, 1, keyEnd), value, 1, valueEnd, embed);
  }
  builder.write(out);
  return out.written().toString();
}

describe("an object of metadata", () => {
  for (const [what, members, expected] of [
    ["nothing", {}, "{}"],
    ["text", { a: "plain", b: "" }, '{"a":"plain","b":""}'],
    ["JSON as it is", { a: ' {"x" : 1}\n', b: "[1, 2]", c: "1.0" }, '{"a": {"x" : 1}\n,"b":[1, 2],"c":1.0}'],
    ["text that needs escapes", { 'k"\n': "a\\b\0\u001f" }, '{"k\\"\\n":"a\\\\b\\u0000\\u001f"}'],
    ["a scalar and a path below it", { a: "1", "a.b": "2" }, '{"a":1,"a.b":2}'],
    ["an object and another path below it", { a: '{"c":1}', "a.b": "2" }, '{"a":{"c":1},"a.b":2}'],
    ["an object and its own path", { a: '{"b":2}', "a.b": "1" }, '{"a":"{\\"b\\":2}","a.b":1}'],
    ["an own path before the object", { "a.b": "1", a: '{"b":2}' }, '{"a.b":1,"a":"{\\"b\\":2}"}'],
    ["space before an object", { a: ' {"b":2}', "a.b": "1" }, '{"a":" {\\"b\\":2}","a.b":1}'],
    ["a path further down", { a: '{"b":{"c":1}}', "a.b.c": "1" }, '{"a":"{\\"b\\":{\\"c\\":1}}","a.b.c":1}'],
    [
      "a path above one of the object",
      { a: '{"b":{"c":1}}', "a.b": "x" },
      '{"a":"{\\"b\\":{\\"c\\":1}}","a.b":"x"}',
    ],
    ["a dotted name within", { a: '{"b.c":1}', "a.b": '{"c":2}' }, '{"a":"{\\"b.c\\":1}","a.b":{"c":2}}'],
    ["a name that begins alike", { a: '{"bc":1}', "a.b": "2" }, '{"a":{"bc":1},"a.b":2}'],
    ["an array with the same path within", { a: '[{"b":1}]', "a.b": "2" }, '{"a":[{"b":1}],"a.b":2}'],
    ["a null at the path", { a: '{"b":null}', "a.b": "2" }, '{"a":{"b":null},"a.b":2}'],
    ["an empty object at the path", { a: '{"b":{}}', "a.b": "2" }, '{"a":{"b":{}},"a.b":2}'],
    ["an empty name within", { a: '{"":{"b":1}}', "a.b": "2" }, '{"a":{"":{"b":1}},"a.b":2}'],
    [
      "an empty name within, twice",
      { a: '{"":{"b":1}}', "a..b": "2" },
      '{"a":"{\\"\\":{\\"b\\":1}}","a..b":2}',
    ],
    ["an empty key", { "": '{"b":1}', ".b": "2" }, '{"":"{\\"b\\":1}",".b":2}'],
    ["a key that ends in a dot", { a: '{"":1}', "a.": "2" }, '{"a":"{\\"\\":1}","a.":2}'],
  ] as const) {
    test(`holds ${what}`, () => expect(objectOf(members as Record<string, string>)).toBe(expected));
  }

  test("holds hundreds of members", () => {
    const members = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`key ${i}`, `${i}`]));
    expect(JSON.parse(objectOf(members))).toEqual(
      Object.fromEntries(Object.entries(members).map(([key, value]) => [key, Number(value)])),
    );
  });
});
