import { expect, test } from "bun:test";
import { editDistance, nearest } from "../../../src/commands/nearest.ts";

test.each([
  ["", "", 0],
  ["abc", "abc", 0],
  ["", "abc", 3],
  ["abc", "", 3],
  ["kitten", "sitting", 3],
  ["run", "rum", 1],
])("editDistance(%p, %p)", (a, b, distance) => expect(editDistance(a, b)).toBe(distance));

test("nearest takes the candidate that differs least, and none that differs much", () => {
  const candidates = ["--batch-size", "--partition", "--dry-run"];
  expect(nearest("--batch-sise", candidates)).toBe("--batch-size");
  expect(nearest("--part", candidates)).toBe("--partition");
  expect(nearest("--d", candidates)).toBeNull();
  expect(nearest("--colour", candidates)).toBeNull();
  expect(nearest("x", [])).toBeNull();
});
