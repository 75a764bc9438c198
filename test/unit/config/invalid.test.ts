import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseDotenv, readDotenv } from "../../../src/config/dotenv.ts";
import { OPTION_LIST } from "../../../src/config/options.ts";
import { resolveSettings } from "../../../src/config/resolve-settings.ts";
import { UsageError } from "../../../src/errors.ts";
import { messageOf, settingsFrom } from "./settings.ts";

const WHOLE = "expected a whole number from";
const NOT_NUMBERS = [
  "-1",
  "+5",
  "1.5",
  "1e3",
  "0x10",
  "1_000",
  "1,000",
  " 5",
  "5 ",
  "NaN",
  "",
  "ten",
  "9".repeat(30),
];

const INVALID: readonly (readonly [flag: string, values: readonly string[], accepted: string])[] = [
  [
    "partition",
    [
      "202513",
      "202500",
      "2025",
      "2025-01",
      "20250",
      "2025011",
      "000001",
      "189912",
      "299901",
      "",
      " 202501",
      "latest",
      "٢٠٢٥٠١",
      "202503..202501",
      "202501..",
      "202501..202502..202503",
      "202501,",
      "202501, 202502",
      "all,202501",
    ],
    "expected a month as YYYYMM from 190001 to 229912, such as 202501, a range",
  ],
  ["batch-size", ["0", "1000001", ...NOT_NUMBERS], `${WHOLE} 1 to 1000000`],
  ["stream-block-size", ["0", "10000001", ...NOT_NUMBERS], `${WHOLE} 1 to 10000000`],
  ["max-retries", ["101", ...NOT_NUMBERS], `${WHOLE} 0 to 100`],
  ["parallel-workers", ["0", "257", ...NOT_NUMBERS], `${WHOLE} 1 to 256`],
  [
    "max-rate",
    ["20", "MB", "-5MB", "999rows", "0.9MB", "5 000rows", "20MiB", "fast"],
    "expected bytes or rows a second, at least 1MB or 1000rows, such as 20MB",
  ],
  ["max-active-parts", ["0", "1000001", "x"], "expected nothing, or a whole number from 1 to 1000000"],
  ["log-format", ["", "yaml"], "expected text or json"],
  ["compression", ["", "lz4", "zstd ", "true", "1"], "expected none, zstd or gzip"],
  ["trace-window-days", ["32", ...NOT_NUMBERS], `${WHOLE} 0 to 31`],
  ["dry-run", ["", "yes", "no", "2", "on"], "expected true, false, 1 or 0"],
  [
    "clickhouse-url",
    [
      "",
      "localhost:8123",
      "localhost",
      "//localhost",
      "ftp://h",
      "tcp://h:9000",
      "http://",
      "http:/h",
      "http:h",
      "http://?x",
    ],
    "expected a URL that begins with http:// or https://",
  ],
  ["clickhouse-url", ["http://h:99999", "http://h:x", "http://[::1"], "expected a valid URL"],
  [
    "clickhouse-url",
    ["http://h/db", "http://h?x=1", "http://h/?password=p", "http://h#x"],
    "expected protocol, host and port only",
  ],
  ["clickhouse-user", [""], "expected a name that is not empty"],
  ["clickhouse-db", [""], "expected a name that is not empty"],
  ["source-table", [""], "expected a name that is not empty"],
  ["traces-table", [""], "expected a name that is not empty"],
  ["target-table", [""], "expected a name that is not empty"],
  ["cursor-state-dir", [""], "expected a path that is not empty"],
];

describe.each(INVALID)("--%s", (flag, values, accepted) => {
  test.each(values)("%p is refused in one line that names flag, value and what is accepted", (value) => {
    const attempt = (): unknown => settingsFrom({ flags: { [flag]: value } });
    expect(attempt).toThrow(UsageError);
    const message = messageOf(attempt);
    expect(message).toStartWith(`--${flag} "`);
    expect(message).toContain(accepted);
    expect(message).not.toContain("\n");
    if (flag !== "clickhouse-url" && value.length < 80) expect(message).toContain(JSON.stringify(value));
  });

  test.each(values.filter((value) => value.trim() === value && value !== ""))(
    "%p is refused from a variable, which is named",
    (value) => {
      const name = OPTION_LIST.find(([, spec]) => spec.flag === flag)?.[1].variable ?? "";
      const flags = flag === "partition" ? new Map() : new Map([["partition", "202501"]]);
      const dotenv = parseDotenv("");
      expect(messageOf(() => resolveSettings({ flags, environment: { [name]: value }, dotenv }))).toStartWith(
        `${name} "`,
      );
    },
  );
});

test("an invalid value from .env is reported with its line", () => {
  const dotenv = "# sizes\r\nBATCH_SIZE=5\r\n\r\nexport BATCH_SIZE = 0 # none\r\n";
  expect(messageOf(() => settingsFrom({ dotenv }))).toBe(
    'BATCH_SIZE (.env:4) "0": expected a whole number from 1 to 1000000',
  );
});

test("a value that a slip in .env has extended to the password is not shown", () => {
  for (const dotenv of [
    "BATCH_SIZE='5\nCLICKHOUSE_PASSWORD=topsecret\nMAX_RETRIES='3'",
    "CLICKHOUSE_URL:\nexport CLICKHOUSE_PASSWORD = 'topsecret'",
    'BATCH_SIZE=\'CLICKHOUSE_PASSWORD"="topsecret"\'',
  ]) {
    const message = messageOf(() => settingsFrom({ dotenv }));
    expect(message).toContain("CLICKHOUSE_PASSWORD");
    expect(message).not.toContain("topsecret");
  }
});

test("a missing partition is reported with what is expected", () => {
  const attempt = (): unknown =>
    resolveSettings({ flags: new Map(), environment: { PARTITION: "" }, dotenv: parseDotenv("PARTITION=") });
  expect(attempt).toThrow(UsageError);
  expect(messageOf(attempt)).toBe(
    "--partition (or PARTITION) is missing: expected a month as YYYYMM from 190001 to 229912, such as 202501, a range such as 202401..202411, several separated by commas, or all",
  );
});

test("a log level that does not exist is refused", () => {
  expect(messageOf(() => settingsFrom({ environment: { LOG_LEVEL: "loud" } }))).toBe(
    'LOG_LEVEL "loud": expected trace, debug, info, warn or error',
  );
});

test("one table for two purposes is refused", () => {
  expect(messageOf(() => settingsFrom({ environment: { TARGET_TABLE: "observations" } }))).toBe(
    'TARGET_TABLE "observations": expected another table than --source-table',
  );
  expect(messageOf(() => settingsFrom({ flags: { "traces-table": "events" } }))).toContain(
    "than --traces-table",
  );
});

test("control characters and long values stay within one short line", () => {
  const message = messageOf(() =>
    settingsFrom({ flags: { partition: `2025\n01\u001b[31m${"x".repeat(500)}` } }),
  );
  expect(message).toContain("2025\\n01\\u001b[31m");
  expect(message).toMatch(/^[ -~…]{1,250}$/);
});

describe("credentials in a URL", () => {
  test.each([
    "http://user:topsecret@host:8123",
    "http://user:top/topsecret@host",
    "http://user:12/topsecret@host:8123",
    "user:topsecret@host:8123",
    "ftp://user:topsecret@host",
    "http://user:topsecret@",
    "http://host/?user=u&password=topsecret",
    "http://host#topsecret",
    "http://host:x?password=topsecret",
  ])("are refused and never shown: %s", (url) => {
    const message = messageOf(() => settingsFrom({ flags: { "clickhouse-url": url } }));
    expect(message).toStartWith('--clickhouse-url "');
    expect(message).not.toContain("topsecret");
  });

  test("are pointed to the options for them", () => {
    expect(messageOf(() => settingsFrom({ flags: { "clickhouse-url": "https://u:p@h" } }))).toBe(
      '--clickhouse-url "https://***@h": expected a URL without credentials; give them with --clickhouse-user and ' +
        "--clickhouse-password (or their variables)",
    );
  });
});

describe("readDotenv", () => {
  test("no file, a directory of that name, a file with a byte order mark and CRLF", () => {
    const directory = mkdtempSync(join(tmpdir(), "dotenv-"));
    const path = join(directory, ".env");
    try {
      expect(readDotenv(directory).values).toEqual({});
      mkdirSync(path);
      expect(readDotenv(directory).values).toEqual({});
      rmSync(path, { recursive: true });
      writeFileSync(path, "\ufeffPARTITION=202502\r\nCLICKHOUSE_PASSWORD='a # b'\r\n");
      expect(readDotenv(directory).values).toEqual({ PARTITION: "202502", CLICKHOUSE_PASSWORD: "a # b" });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
