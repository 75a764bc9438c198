import { expect, test } from "bun:test";
import { describeTraceRange } from "../../../src/traces/queries.ts";

test("a range of traces is described in words", () => {
  expect(describeTraceRange({ after: null, upTo: null })).toBe("keys from the first key to the last key");
  expect(describeTraceRange({ after: ["p\n", "2025-11-03"], upTo: ["q", "2025-11-04"] })).toBe(
    'keys after ("p\\n", 2025-11-03) up to ("q", 2025-11-04)',
  );
});
