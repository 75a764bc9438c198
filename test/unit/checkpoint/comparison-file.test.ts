import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openComparisonFile } from "../../../src/checkpoint/comparison-file.ts";
import type { ComparisonState } from "../../../src/verify/comparison-ledger.ts";

const root = mkdtempSync(join(tmpdir(), "comparison-"));
afterAll(() => rmSync(root, { recursive: true }));

const STATE: ComparisonState = {
  ranges: [
    {
      side: "expected",
      phase: "observations",
      after: null,
      upTo: ["p", "SPAN", "2025-01-02", "x"],
      rows: 5,
      isDone: true,
    },
    { side: "actual", phase: null, after: ["p\u0000'", "2025-01-01"], upTo: null, rows: 7, isDone: false },
  ],
  cells: [
    {
      projectHex: "70",
      dayMicros: "0",
      expected: { rows: 5, sum: 2n ** 128n - 1n },
      actual: { rows: 0, sum: 0n },
    },
  ],
};

function open(path: string, { restart = false, clock = { ms: 0 } } = {}) {
  const said: string[] = [];
  const listener = {
    onNotice: (message: string) => void said.push(message),
    onFailure: (message: string) => void said.push(`failed: ${message}`),
  };
  return { ledger: openComparisonFile(path, "202501", restart, listener, () => clock.ms), said, clock };
}

/** A file that a comparison has left. */
function left(name: string): string {
  const path = join(root, name);
  const { ledger, clock } = open(path);
  clock.ms = 5_000;
  ledger.save("this", () => STATE);
  return path;
}

test("what a comparison has read is what a later one goes on with", () => {
  const { ledger, said } = open(left("round-trip"));
  expect(ledger.load("this")).toEqual(STATE);
  expect(said.join()).toMatch(/^Going on with the comparison of \S+: 1 of 2 ranges are read$/);
});

test("a comparison of something else, and --restart, begin from the start", () => {
  const path = left("other");
  const other = open(path);
  expect(other.ledger.load("that")).toBeNull();
  expect(other.said.join()).toMatch(
    /^The comparison of \S+ in .* was of something else: this one starts over$/,
  );
  const restarted = open(path, { restart: true });
  expect(restarted.ledger.load("this")).toBeNull();
  expect(restarted.said).toEqual([]);
});

test.each([
  ["no JSON", "{"],
  ["another version", JSON.stringify({ format_version: 2 })],
  ["a sum that is no number", "bad sum"],
])("a file with %s is no state to go on with", (_, content) => {
  const path = left("corrupt");
  const text = content === "bad sum" ? readFileSync(path, "utf8").replace(/"\d{30,}"/, '"-1"') : content;
  writeFileSync(path, text);
  const { ledger, said } = open(path);
  expect(ledger.load("this")).toBeNull();
  expect(said).toEqual([`${path} holds no state of a comparison: this one starts over`]);
});

test("the file is written now and then, and removed at the end", () => {
  const path = join(root, "interval");
  const { ledger, clock } = open(path);
  let written = 0;
  const save = (atMs: number): void => {
    clock.ms = atMs;
    ledger.save("this", () => {
      written += 1;
      return STATE;
    });
  };
  for (const atMs of [0, 1_999, 2_000, 2_500, 3_999, 4_000]) save(atMs);
  expect(written).toBe(2);
  expect(existsSync(path)).toBe(true);
  ledger.finish();
  expect(existsSync(path)).toBe(false);
  ledger.finish();
});

test("a file that cannot be written is said once, and the comparison goes on", () => {
  const { ledger, said, clock } = open(join(root, "none", "state.json"));
  for (const atMs of [5_000, 10_000]) {
    clock.ms = atMs;
    ledger.save("this", () => STATE);
  }
  expect(said).toHaveLength(1);
  expect(said[0]).toMatch(/^failed: .* cannot be written, so that this comparison would start over: ENOENT/);
});

test("a file that cannot be read is an error, and not nothing", () => {
  const file = join(root, "file");
  writeFileSync(file, "");
  expect(() => open(join(file, "state.json")).ledger.load("this")).toThrow(/ENOTDIR/);
});
