import { expect, test } from "bun:test";
import { bringsToken, namesLoopback } from "../../../src/monitor/access.ts";

test.each([
  ["localhost", true],
  ["LocalHost:9363", true],
  ["127.0.0.1", true],
  ["127.255.0.3:1", true],
  ["[::1]:9363", true],
  [null, false],
  ["", false],
  ["evil.example", false],
  ["localhost.evil.example", false],
  ["evil.example#localhost", false],
  ["localhost@evil.example", false],
  ["127.0.0.1.evil.example:9363", false],
  ["[::2]", false],
  ["10.0.0.1", false],
])("the Host header %p names this machine: %p", (header, names) => {
  expect(namesLoopback(header)).toBe(names);
});

const TOKEN = "0123456789abcdef";

test.each([
  [`Bearer ${TOKEN}`, true],
  [`bearer  ${TOKEN}`, true],
  [null, false],
  ["", false],
  ["Bearer", false],
  ["Bearer ", false],
  [TOKEN, false],
  [`Basic ${TOKEN}`, false],
  [`Bearer ${TOKEN}x`, false],
  [`Bearer ${TOKEN.slice(1)}`, false],
  [`Bearer ${TOKEN.toUpperCase()}`, false],
  [`Bearer ${TOKEN} ${TOKEN}`, false],
])("the Authorization header %p brings the token: %p", (header, brings) => {
  expect(bringsToken(header, TOKEN)).toBe(brings);
});
