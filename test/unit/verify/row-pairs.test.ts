import { expect, test } from "bun:test";
import { classify, type Verdict } from "../../../src/verify/classify.ts";
import { type RowDigest, rowPair } from "../../../src/verify/row-pairs.ts";

function digest(changes: Partial<RowDigest> = {}): RowDigest {
  const all = changes.all ?? "A";
  return { all, withoutJson: all, versionMicros: 10n, isCertain: true, ...changes };
}

const OTHER = { all: "B" };
const CASES: readonly [string, RowDigest[], RowDigest[], boolean, Verdict][] = [
  ["the same", [digest()], [digest()], false, "equal"],
  ["lacking in the target", [digest()], [], false, "missing"],
  ["lacking in the sources", [], [digest()], false, "unexpected"],
  ["there twice", [digest()], [digest(), digest()], false, "differing"],
  ["of other values", [digest()], [digest(OTHER)], false, "differing"],
  ["older in the target", [digest()], [digest({ ...OTHER, versionMicros: 9n })], false, "stale"],
  ["newer in the target", [digest()], [digest({ ...OTHER, versionMicros: 11n })], false, "differing"],
  [
    "newer in the target, which may be",
    [digest()],
    [digest({ ...OTHER, versionMicros: 11n })],
    true,
    "newer",
  ],
  [
    "older in the target, in spite of newer ones",
    [digest()],
    [digest({ ...OTHER, versionMicros: 9n })],
    true,
    "stale",
  ],
  ["of others, which may be", [], [digest({ isCertain: false })], true, "newer"],
  ["of a run, which may not be", [], [digest()], true, "unexpected"],
  [
    "of uncertain JSON",
    [digest({ isCertain: false, withoutJson: "W" })],
    [digest({ ...OTHER, withoutJson: "W" })],
    false,
    "json",
  ],
  [
    "of uncertain JSON and other values",
    [digest({ isCertain: false, withoutJson: "W" })],
    [digest({ ...OTHER, withoutJson: "V" })],
    false,
    "differing",
  ],
  ["one of two equally new ones", [digest(), digest(OTHER)], [digest(OTHER)], false, "equal"],
  [
    "the older of two",
    [digest(), digest({ ...OTHER, versionMicros: 9n })],
    [digest({ ...OTHER, versionMicros: 9n })],
    false,
    "stale",
  ],
];

test.each(CASES)("a row that is %s", (_, expected, actual, ignoreNewer, verdict) => {
  expect(classify({ key: "k", cell: "41 0", expected, actual }, ignoreNewer)).toBe(verdict);
});

test("a row of a response holds the rows of both sides", () => {
  const rows = [
    ["0", "A", "W", "-5", "0"],
    ["1", "B", "B", "10", "1"],
    ["1", "C", "C", "11", "1"],
  ];
  expect(rowPair(["K", "41 0", rows])).toEqual({
    key: "K",
    cell: "41 0",
    expected: [digest({ all: "B" }), digest({ all: "C", versionMicros: 11n })],
    actual: [digest({ withoutJson: "W", versionMicros: -5n, isCertain: false })],
  });
});

test("a row of a response that is no digest is an error that is retried", () => {
  const row = ["1", "A", "W", "5", "1"];
  for (const response of [
    [],
    ["K", "41 0"],
    ["K", 41, [row]],
    ["K", "41 0", ["A"]],
    ["K", "41 0", [row.with(3, "x")]],
    ["K", "41 0", [row.slice(0, 4)]],
  ]) {
    expect(() => rowPair(response)).toThrow("No digest came back");
  }
});
