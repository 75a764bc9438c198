import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatStatusAddress, isLoopback, parseStatusAddress } from "../../../src/config/status-address.ts";
import { readStatusPage, type StatusPage } from "../../../src/config/status-page.ts";
import { UsageError } from "../../../src/errors.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "status-page-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function tokenFile(content: string): string {
  const path = join(directory, "token");
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

function pageAt(address: string, file: string | null = null): StatusPage | null {
  return readStatusPage({ statusAddress: parseStatusAddress(address), statusTokenFile: file });
}

test.each(["127.0.0.1:9363", "[::1]:9363", "0.0.0.0:0", "localhost:65535", "[2001:db8::1]:80"])(
  "%s is read as it is written",
  (text) => {
    const address = parseStatusAddress(text);
    expect(address).not.toBeNull();
    if (address !== null) expect(formatStatusAddress(address)).toBe(text);
  },
);

test.each([
  "",
  "9363",
  ":9363",
  "localhost",
  "localhost:",
  "localhost:65536",
  "http://localhost:1",
  "::1:80",
  "a b:1",
  "[::1]",
])("%p is no address", (text) => {
  expect(parseStatusAddress(text)).toBeNull();
});

test.each([
  ["localhost", true],
  ["127.0.0.1", true],
  ["127.9.9.9", true],
  ["::1", true],
  ["0.0.0.0", false],
  ["::", false],
  ["128.0.0.1", false],
  ["127.0.0.1.example.com", false],
])("%s is loopback: %p", (host, is) => {
  expect(isLoopback(host)).toBe(is);
});

test("on loopback no token is asked for, and one may be", () => {
  expect(pageAt("127.0.0.1:9363")).toMatchObject({ token: null });
  expect(pageAt("localhost:1", tokenFile("0123456789abcdef\n"))).toMatchObject({
    token: "0123456789abcdef",
    notice: null,
  });
  expect(readStatusPage({ statusAddress: null, statusTokenFile: null })).toBeNull();
});

test.each([
  ["an address that others reach", () => pageAt("0.0.0.0:9363"), '"0.0.0.0:9363": others reach this address'],
  [
    "a token without an address",
    () => readStatusPage({ statusAddress: null, statusTokenFile: "t" }),
    "is given without --status-address",
  ],
  [
    "a short token",
    () => pageAt("0.0.0.0:1", tokenFile("0123456789abcde")),
    "expected a token of at least 16",
  ],
  [
    "a token that no header can hold",
    () => pageAt("0.0.0.0:1", tokenFile("0123456789 abcdef")),
    "expected a token of at least 16",
  ],
  ["an empty file", () => pageAt("0.0.0.0:1", tokenFile("")), "it is empty"],
  [
    "a file that is missing",
    () => pageAt("0.0.0.0:1", join(directory, "none")),
    "expected a file that holds the token",
  ],
])("%s is refused", (_, read, words) => {
  expect(read).toThrow(UsageError);
  expect(read).toThrow(words);
});
