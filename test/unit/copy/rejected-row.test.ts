import { describe, expect, test } from "bun:test";
import { describeRow, identifyRow } from "../../../src/copy/rejected-row.ts";
import { assembleOne } from "../native/assemble.ts";
import { encodeBlock, fixed, type SlowColumn, wire } from "../native/slow-codec.ts";

const LATE_ON_THE_3RD = Date.UTC(2025, 10, 3, 23, 30);

function columns(startTime: SlowColumn): SlowColumn[] {
  return [
    startTime,
    { name: "project_id", type: "String", values: ["p", "q".repeat(300), wire("ü")] },
    { name: "trace_id", type: "String", values: ["t", "", "\xff\x00"] },
    { name: "span_id", type: "String", values: ["", wire('"7"'), "\xc3("] },
    { name: "type", type: "LowCardinality(String)", values: ["SPAN", "EVENT", "SPAN"] },
  ];
}

function startTimes(type: string, value: string): SlowColumn {
  return { name: "start_time", type, values: [value, value, value] };
}

const MILLISECONDS = startTimes("DateTime64(3)", fixed(LATE_ON_THE_3RD, 8));

test("a row of a block is identified", () => {
  const block = assembleOne(encodeBlock(columns(MILLISECONDS)));
  const text = (value: string, hex: string | null = null) => ({ text: value, hex });
  expect(identifyRow(block, 0, "UTC")).toEqual({
    projectId: text("p"),
    type: text("SPAN"),
    date: "2025-11-03",
    id: text(""),
    traceId: text("t"),
  });
  expect(identifyRow(block, 1, "UTC")).toMatchObject({
    projectId: text("q".repeat(300)),
    type: text("EVENT"),
    id: text('"7"'),
    traceId: text(""),
  });
  const odd = identifyRow(block, 2, "UTC");
  expect(odd).toMatchObject({ id: text("\ufffd(", "c328"), traceId: text("\ufffd\0", "ff00") });
  expect(describeRow(odd)).toBe('("ü", "SPAN", 2025-11-03, "\ufffd(") of trace "\ufffd\\u0000"');
});

test("a type that was not read is omitted", () => {
  const block = assembleOne(encodeBlock(columns(MILLISECONDS).slice(0, -1)));
  const row = identifyRow(block, 0, "UTC");
  expect(row.type).toBeNull();
  expect(describeRow(row)).toBe('("p", ?, 2025-11-03, "") of trace "t"');
});

describe("the day is the one that toDate returns", () => {
  const micros = BigInt(LATE_ON_THE_3RD) * 1000n;
  test.each([
    ["DateTime64(3)", fixed(LATE_ON_THE_3RD, 8), "UTC", "2025-11-03"],
    ["DateTime64(3)", fixed(LATE_ON_THE_3RD, 8), "Europe/Berlin", "2025-11-04"],
    ["DateTime64(6)", fixed(micros, 8), "UTC", "2025-11-03"],
    ["DateTime64(3, 'Asia/Tokyo')", fixed(LATE_ON_THE_3RD, 8), "UTC", "2025-11-04"],
    ["DateTime64(3, 'UTC')", fixed(LATE_ON_THE_3RD, 8), "Asia/Tokyo", "2025-11-03"],
    ["DateTime64(0)", fixed(LATE_ON_THE_3RD / 1000, 8), "UTC", "2025-11-03"],
    ["DateTime", fixed(LATE_ON_THE_3RD / 1000, 4), "UTC", "2025-11-03"],
    ["DateTime('Asia/Tokyo')", fixed(LATE_ON_THE_3RD / 1000, 4), "UTC", "2025-11-04"],
  ])("%s", (type, value, timeZone, expected) => {
    const block = assembleOne(encodeBlock(columns(startTimes(type, value))));
    expect(identifyRow(block, 1, timeZone).date).toBe(expected);
  });
});
