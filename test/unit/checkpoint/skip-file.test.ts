import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSkipFile } from "../../../src/checkpoint/skip-file.ts";
import type { RejectedRow } from "../../../src/copy/rejected-row.ts";
import { UsageError } from "../../../src/errors.ts";

const SUBJECT = { partition: "202501", database: "default", sourceTable: "observations" };
const NOW = (): Date => new Date("2025-02-03T04:05:06.789Z");

let directory = "";
let path = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "skip-file-"));
  path = join(directory, "skipped.jsonl");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function badRow(id: string, hex: string | null = null): RejectedRow {
  const text = (value: string) => ({ text: value, hex: null });
  return {
    row: {
      projectId: text("p"),
      type: text("SPAN"),
      date: "2025-01-15",
      id: { text: id, hex },
      traceId: text("t"),
    },
    code: 469,
    message: "Code: 469.\nViolated",
  };
}

function ids(): unknown[] {
  const lines = readFileSync(path, "utf8").split("\n");
  expect(lines.pop()).toBe("");
  return lines.map((line) => (JSON.parse(line) as { key: { id: unknown } }).key.id);
}

test("the file of skipped rows has one line for each row, for its owner only", () => {
  openSkipFile(path, SUBJECT, NOW).append([badRow("a"), badRow("\ufffd", "ff")]);
  expect(readFileSync(path, "utf8")).toBe(
    `{"partition":"202501","database":"default","source_table":"observations","key":{"project_id":"p","type":"SPAN","date":"2025-01-15","id":"a"},"trace_id":"t","code":469,"message":"Code: 469.\\nViolated","time":"2025-02-03T04:05:06.789Z"}
{"partition":"202501","database":"default","source_table":"observations","key":{"project_id":"p","type":"SPAN","date":"2025-01-15","id":"\ufffd","id_hex":"ff"},"trace_id":"t","code":469,"message":"Code: 469.\\nViolated","time":"2025-02-03T04:05:06.789Z"}
`,
  );
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("the file of skipped rows names a row once, whoever wrote it, and also rows of other partitions", () => {
  const first = openSkipFile(path, SUBJECT);
  first.append([badRow("a"), badRow("a"), badRow("b")]);
  first.append([badRow("b")]);
  const second = openSkipFile(path, SUBJECT);
  second.append([badRow("b"), badRow("c")]);
  // The text of both is U+FFFD.
  second.append([badRow("\ufffd", "ff"), badRow("\ufffd", "fe")]);
  openSkipFile(path, { ...SUBJECT, partition: "202502" }).append([badRow("a")]);
  expect(ids()).toEqual(["a", "b", "c", "\ufffd", "\ufffd", "a"]);
});

test("the file of skipped rows continues after a line that was cut, which names no row", () => {
  openSkipFile(path, SUBJECT).append([badRow("a")]);
  const line = readFileSync(path, "utf8");
  appendFileSync(path, line.replace('"id":"a"', '"id":"b"').slice(0, -30));
  const reopened = openSkipFile(path, SUBJECT);
  reopened.append([badRow("b")]);
  reopened.append([badRow("c")]);
  const lines = readFileSync(path, "utf8").split("\n");
  expect(lines).toHaveLength(5);
  expect([lines[0], lines[2], lines[3]].map((text) => JSON.parse(text ?? "").key.id)).toEqual([
    "a",
    "b",
    "c",
  ]);
});

test("the other contents of the file of skipped rows stay unchanged", () => {
  writeFileSync(path, 'note\n{"key": 1}\n[1]\nnull\n');
  openSkipFile(path, SUBJECT).append([badRow("a")]);
  expect(readFileSync(path, "utf8")).toStartWith('note\n{"key": 1}\n[1]\nnull\n{"partition"');
});

test("a file of skipped rows that cannot be opened is a usage error that names flag and path", () => {
  for (const wrong of [directory, join(directory, "missing", "file"), "/dev/null", "/dev/full"]) {
    expect(() => openSkipFile(wrong, SUBJECT)).toThrow(UsageError);
    expect(() => openSkipFile(wrong, SUBJECT)).toThrow(
      `--skip-bad-rows ${JSON.stringify(wrong)}: expected a file`,
    );
  }
});
