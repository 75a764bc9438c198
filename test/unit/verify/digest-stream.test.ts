import { expect, test } from "bun:test";
import { classify, type Verdict } from "../../../src/verify/classify.ts";
import { joinDigests, type RowDigest, rowDigest } from "../../../src/verify/digest-stream.ts";
import { withSeed } from "../../support/property.ts";

function digest(key: string, changes: Partial<RowDigest> = {}): RowDigest {
  const all = changes.all ?? "A";
  return { key, all, withoutJson: all, versionMicros: 10n, isCertain: true, cell: "41 0", ...changes };
}

async function* stream(rows: readonly RowDigest[]): AsyncGenerator<RowDigest, void, void> {
  yield* rows;
}

test("rows of both sides meet by their keys, and none is lost", async () => {
  const cases: [string[], string[]][] = [];
  withSeed(200, (random) => {
    const draw = (): string[] =>
      Array.from({ length: random.below(12) }, () => random.pick(["a", "b", "c", "d", "e"])).sort();
    cases.push([draw(), draw()]);
  });
  for (const [left, right] of cases) {
    const of = (keys: string[]): AsyncGenerator<RowDigest> => stream(keys.map((key) => digest(key)));
    const pairs = await Array.fromAsync(joinDigests(of(left), of(right)));
    expect(pairs.flatMap(({ expected }) => expected.map(({ key }) => key))).toEqual(left);
    expect(pairs.flatMap(({ actual }) => actual.map(({ key }) => key))).toEqual(right);
    expect(pairs.map(({ key }) => key)).toEqual([...new Set([...left, ...right])].sort());
  }
});

test("a failure of one side ends the reading of the other", async () => {
  let isClosed = false;
  async function* endless(): AsyncGenerator<RowDigest, void, void> {
    try {
      for (let i = 0; ; i++) yield digest(String(i).padStart(9, "0"));
    } finally {
      isClosed = true;
    }
  }
  async function* broken(): AsyncGenerator<RowDigest, void, void> {
    yield digest("000000003");
    throw new Error("cut");
  }
  await expect(Array.fromAsync(joinDigests(endless(), broken()))).rejects.toThrow("cut");
  expect(isClosed).toBe(true);
});

const OTHER = { all: "B" };
const CASES: readonly [string, RowDigest[], RowDigest[], boolean, Verdict][] = [
  ["the same", [digest("k")], [digest("k")], false, "equal"],
  ["lacking in the target", [digest("k")], [], false, "missing"],
  ["lacking in the sources", [], [digest("k")], false, "unexpected"],
  ["there twice", [digest("k")], [digest("k"), digest("k")], false, "differing"],
  ["of other values", [digest("k")], [digest("k", OTHER)], false, "differing"],
  ["older in the target", [digest("k")], [digest("k", { ...OTHER, versionMicros: 9n })], false, "stale"],
  ["newer in the target", [digest("k")], [digest("k", { ...OTHER, versionMicros: 11n })], false, "differing"],
  [
    "newer in the target, which may be",
    [digest("k")],
    [digest("k", { ...OTHER, versionMicros: 11n })],
    true,
    "newer",
  ],
  [
    "older in the target, in spite of newer ones",
    [digest("k")],
    [digest("k", { ...OTHER, versionMicros: 9n })],
    true,
    "stale",
  ],
  ["of others, which may be", [], [digest("k", { isCertain: false })], true, "newer"],
  ["of a run, which may not be", [], [digest("k")], true, "unexpected"],
  [
    "of uncertain JSON",
    [digest("k", { isCertain: false, withoutJson: "W" })],
    [digest("k", { ...OTHER, withoutJson: "W" })],
    false,
    "json",
  ],
  [
    "of uncertain JSON and other values",
    [digest("k", { isCertain: false, withoutJson: "W" })],
    [digest("k", { ...OTHER, withoutJson: "V" })],
    false,
    "differing",
  ],
  ["one of two equally new ones", [digest("k"), digest("k", OTHER)], [digest("k", OTHER)], false, "equal"],
  [
    "the older of two",
    [digest("k"), digest("k", { ...OTHER, versionMicros: 9n })],
    [digest("k", { ...OTHER, versionMicros: 9n })],
    false,
    "stale",
  ],
];

test.each(CASES)("a row that is %s", (_, expected, actual, ignoreNewer, verdict) => {
  expect(classify({ key: "k", expected, actual }, ignoreNewer)).toBe(verdict);
});

test("a row of a response that is no digest is an error that is retried", () => {
  expect(rowDigest(["K", "A", "W", "-5", 1, "41 0"])).toMatchObject({ versionMicros: -5n, isCertain: true });
  for (const row of [[], ["K"], ["K", "A", "W", "x", 1, "41 0"], ["K", "A", "W", "5", 1]]) {
    expect(() => rowDigest(row)).toThrow("No digest came back");
  }
});
