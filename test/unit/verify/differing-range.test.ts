import { expect, test } from "bun:test";
import { type DifferingRange, parseRanges, rangeToJson } from "../../../src/verify/differing-range.ts";

const RANGES: readonly DifferingRange[] = [
  { phase: "month", projectHex: "C3A9FF00", day: "2025-11-03", counts: { missing: 2, differing: 1 } },
  {
    phase: "experiments",
    range: { after: null, upTo: { projectId: "p\n", type: "", date: "2025-11-04", id: "t'\u{10FFFF}" } },
    counts: { stale: 3 },
  },
];

const lines = (partition: string): string =>
  RANGES.map((range) => `${JSON.stringify({ partition, ...rangeToJson(range) })}\n`).join("");

test("ranges come back from their lines as they were", () => {
  expect(parseRanges(lines("202511"), "202511")).toEqual([...RANGES]);
  expect(parseRanges("", "202511")).toEqual([]);
});

test.each([
  ["{", "line 1: "],
  ["[]", "line 1: "],
  [
    `${lines("202511")}{"partition":"202511","phase":"month","project_hex":"4","day":"2025-11-01"}`,
    "line 3: ",
  ],
  ['{"partition":"202511","phase":"month","project_hex":"41","day":"tomorrow"}', "line 1: "],
  ['{"partition":"202511","phase":"experiments","after":{"projectId":"p"},"up_to":null}', "line 1: "],
  [lines("202510"), "line 1 is of partition 202510, not of 202511"],
])("a line that is none is named: %s", (text, message) => {
  expect(() => parseRanges(text, "202511")).toThrow(message);
});
