import { describe, expect, test } from "bun:test";
import { EMBED, embedOf } from "../../../src/json/json-string.ts";
import { JSON_COLUMN_KEEPS, type KeptJson, LEAST_KEPT, STRING_KEEPS } from "../../../src/json/kept-json.ts";

const TARGETS = { string: STRING_KEEPS, column: JSON_COLUMN_KEEPS, least: LEAST_KEPT } as const;

function isKept(value: string, kept: KeptJson): boolean {
  const bytes = Buffer.from(value);
  return embedOf(bytes, 0, bytes.length, kept) === EMBED.asJson;
}

/** For which targets the values are embedded as JSON. */
const CASES: readonly (readonly [
  what: string,
  targets: readonly (keyof typeof TARGETS)[],
  values: string[],
])[] = [
  [
    "a large integer in an array is kept by a column of text only",
    ["string"],
    [
      "[1.5,9007199254740993]",
      "[18446744073709551615,-1]",
      "[-9007199254740993]",
      '{"a":[[{"b":[ 9007199254740993 ]}]]}',
      '["x",{"a":[1]},9223372036854775808]',
    ],
  ],
  [
    "a large integer outside of arrays is kept by the JSON columns of newer servers",
    ["string", "column"],
    ["9007199254740993", "-9007199254740993", '{"a":18446744073709551615}', '[{"a":-9223372036854775808}]'],
  ],
  [
    "an array of several kinds, or of arrays, is kept by the JSON columns of newer servers",
    ["string", "column"],
    ['[1,"a",null,{}]', '["1",1.5]', "[[1]]", "[true,null,1]", '[{},"a"]', '{"x":[{"y":["a",0]}]}'],
  ],
  [
    "everything else is kept by all",
    ["string", "column", "least"],
    [
      "[9007199254740992,-9007199254740992,1e300,1.5]",
      "123456789012345.5",
      '["9007199254740993"]',
      '[{"a":1}]',
      '[{"a":[1]},{"b":["x",null]},null]',
      '{"a":["x"],"b":[1,null]}',
      "[true,null,false]",
      "[1.5,-0]",
    ],
  ],
];

describe("of valid JSON", () => {
  for (const [what, targets, values] of CASES) {
    test(what, () => {
      for (const value of values) {
        const keeping = Object.entries(TARGETS).filter(([, kept]) => isKept(value, kept));
        expect({ value, keeping: keeping.map(([name]) => name) }).toEqual({ value, keeping: [...targets] });
      }
    });
  }
});
