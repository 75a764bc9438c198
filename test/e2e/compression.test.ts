import { describe, expect, test } from "bun:test";
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { Encoding } from "../../src/clickhouse/compression.ts";
import { readStderr, reportedCount } from "../support/cli.ts";
import { ONE_BY_ONE, Scenario, SMALL } from "../support/cli-scenario.ts";
import { exceptionText, type Fault } from "../support/fault-proxy-faults.ts";
import type { Match } from "../support/fault-proxy-rules.ts";
import { headerOf, setHeader } from "../support/fault-proxy-wire.ts";
import { sampled } from "../support/sampled.ts";

const ENCODINGS: readonly Encoding[] = ["zstd", "gzip"];
const MEMORY_LIMIT = exceptionText(241, "Memory limit (total) exceeded", "MEMORY_LIMIT_EXCEEDED");
const ALL = Number.MAX_SAFE_INTEGER;
const PAGE: Match = { on: "page", nth: 2 };
const INSERT: Match = { on: "insert", nth: 3 };

/** A response with another content, well-formed as HTTP. */
function content(change: (body: Buffer) => Buffer): Fault {
  return { kind: "edit", body: change };
}

type Case = readonly [name: string, match: Match, fault: Fault, reported: RegExp];

const BROKEN = /The response broke off/;
const DAMAGED = /cannot be decompressed/;

/** The server's exception after that many bytes of the content. */
function exception(style: "tagged" | "plain", afterBytes: number): Case {
  const fault: Fault = { kind: "exception", afterBytes, style, text: MEMORY_LIMIT };
  const place = afterBytes === ALL ? "all blocks" : `${afterBytes} bytes`;
  return [`with a ${style} exception after ${place}`, PAGE, fault, /Code: 241\. DB::Exception: Memory limit/];
}

const FAULTS: readonly Case[] = [
  ["cut", PAGE, { kind: "cutResponse", afterBytes: 2000, framing: "chunked" }, BROKEN],
  [
    "without a length, cut",
    PAGE,
    { kind: "cutResponse", afterBytes: 2000, framing: "close" },
    /neither Content-Length/,
  ],
  ["shortened by a proxy", PAGE, content((body) => body.subarray(0, body.length >> 1)), DAMAGED],
  ["shortened by one byte", PAGE, content((body) => body.subarray(0, -1)), DAMAGED],
  ["with garbage at the end", PAGE, content((body) => Buffer.concat([body, Buffer.from("<html>")])), DAMAGED],
  [
    "in an encoding that was not requested",
    PAGE,
    { kind: "edit", head: (head) => setHeader(head, "Content-Encoding", "br") },
    /Content-Encoding: br, which was not requested; is there a proxy in between\?/,
  ],
  exception("tagged", 0),
  exception("tagged", 5000),
  exception("tagged", ALL),
  exception("plain", 0),
  exception("plain", 5000),
  exception("plain", ALL),
  ["of traces, shortened", { on: "traces" }, content((body) => body.subarray(0, body.length >> 1)), DAMAGED],
];

/** What depends on the encoding: where the decompressor finds the end, and the exception after it. */
const IN_GZIP: readonly Case[] = [
  ["shortened by one byte", PAGE, content((body) => body.subarray(0, -1)), DAMAGED],
  ["with garbage at the end", PAGE, content((body) => Buffer.concat([body, Buffer.from("<html>")])), DAMAGED],
  exception("tagged", 5000),
  exception("plain", ALL),
];

describe.each([
  ["zstd", sampled(FAULTS, 2)],
  ["gzip", sampled(IN_GZIP, 1)],
] as const)("a response in %s is requested again:", (encoding, faults) => {
  test.concurrent.each(faults)("%s", async (_, match, fault, reported) => {
    await using scenario = await Scenario.open();
    const rule = scenario.proxy.on(match, fault);
    const outcome = await scenario.run([...SMALL, `--compression=${encoding}`]);
    expect(outcome).toMatchObject({ code: 0 });
    expect(rule.applied).toBe(1);
    expect(readStderr(outcome).log.join("\n")).toMatch(reported);
    expect(readStderr(outcome).log.join("\n")).toContain("retry 1 of 3");
    expect(reportedCount(outcome, "Events inserted")).toBe(scenario.fixture.events);
    await scenario.expectEvents("set");
  });
});

const INSERT_FAULTS: readonly (readonly [string, Fault])[] = [
  ["the connection is reset within the data", { kind: "reset", at: { bodyBytes: 1000 } }],
  ["the data ends early", { kind: "shortenBody", toBytes: 1000 }],
  ["the data ends within the first bytes", { kind: "shortenBody", toBytes: 5 }],
  ["there is no data", { kind: "shortenBody", toBytes: 0 }],
];

describe.each(ENCODINGS)("an insert in %s is sent again and stores nothing in between:", (encoding) => {
  test.concurrent.each(sampled(INSERT_FAULTS, 1))("%s", async (_, fault) => {
    await using scenario = await Scenario.open();
    const rule = scenario.proxy.on(INSERT, fault);
    const outcome = await scenario.run([...ONE_BY_ONE, `--compression=${encoding}`]);
    expect(outcome).toMatchObject({ code: 0 });
    expect(rule.applied).toBe(1);
    expect(reportedCount(outcome, "Retries")).toBe(1);
    await scenario.expectEvents("multiset");
  });
});

test.each(ENCODINGS)(
  "a response that is plain although %s was requested is read as it is",
  async (encoding) => {
    await using scenario = await Scenario.open();
    const decompress = encoding === "gzip" ? gunzipSync : zstdDecompressSync;
    const rule = scenario.proxy.on(
      { on: "page", nth: "every" },
      {
        kind: "edit",
        head: (head) => setHeader(head, "Content-Encoding", null),
        body: (body) => decompress(body),
      },
    );
    const outcome = await scenario.run([...SMALL, `--compression=${encoding}`]);
    expect(outcome).toMatchObject({ code: 0 });
    expect(rule.applied).toBeGreaterThan(1);
    expect(reportedCount(outcome, "Retries")).toBe(0);
    await scenario.expectEvents("multiset");
  },
);

test.each(ENCODINGS)(
  "an error that the server sends in %s is reported in its own words",
  async (encoding) => {
    await using scenario = await Scenario.open();
    const text = Buffer.from(exceptionText(47, "Unknown identifier `a`", "UNKNOWN_IDENTIFIER"));
    scenario.proxy.on(
      { on: "page" },
      {
        kind: "edit",
        head: (head) => {
          head.startLine = "HTTP/1.1 404 Not Found";
          setHeader(head, "X-ClickHouse-Exception-Code", "47");
        },
        body: () => (encoding === "gzip" ? gzipSync(text) : zstdCompressSync(text)),
      },
    );
    const outcome = await scenario.run([...SMALL, `--compression=${encoding}`]);
    expect(outcome).toMatchObject({ code: 1 });
    expect(outcome.stderr).toContain("Code: 47. DB::Exception: Unknown identifier `a`");
  },
);

const MAGIC: Readonly<Record<Encoding, string>> = { zstd: "28b52ffd", gzip: "1f8b" };

test.each(["none", ...ENCODINGS] as const)(
  "--compression %s: the same rows, in that form",
  async (method) => {
    await using scenario = await Scenario.open();
    const encodings = new Set<string>();
    const noteResponse: Fault = {
      kind: "edit",
      head: (head) => void encodings.add(headerOf(head, "content-encoding") ?? "none"),
    };
    for (const on of ["page", "traces"] as const) scenario.proxy.on({ on, nth: "every" }, noteResponse);
    const small = new Set<string>();
    scenario.proxy.on(
      { on: "other", nth: "every" },
      { kind: "edit", head: (head) => void small.add(headerOf(head, "content-encoding") ?? "none") },
    );
    const bodies: Buffer[] = [];
    const isFor = (body: Buffer): boolean => {
      bodies.push(body);
      return false;
    };
    scenario.proxy.on({ on: "insert", nth: "every" }, { kind: "response", status: 500, body: "", isFor });
    const outcome = await scenario.run([...SMALL, `--compression=${method}`]);
    expect(outcome).toMatchObject({ code: 0 });
    await scenario.expectEvents("multiset");
    expect([...encodings]).toEqual([method]);
    expect([...small]).toEqual(["none"]);
    const begin = method === "none" ? /^(?!28b52ffd|1f8b)/ : new RegExp(`^${MAGIC[method]}`);
    expect(bodies.length).toBeGreaterThan(1);
    for (const body of bodies) expect(body.toString("hex", 0, 4)).toMatch(begin);
  },
);

test("a run may go on with another compression", async () => {
  await using scenario = await Scenario.open();
  const rule = scenario.proxy.on({ on: "page", nth: 3 }, { kind: "hold", at: "request" });
  const running = await scenario.startUntil(rule, [...ONE_BY_ONE, "--compression=zstd"]);
  running.kill("SIGKILL");
  await running.outcome;
  scenario.proxy.reset();
  const outcome = await scenario.run([...ONE_BY_ONE, "--compression=gzip"]);
  expect(outcome).toMatchObject({ code: 0 });
  await scenario.expectEvents("set");
});

test("another method is a usage error", async () => {
  await using scenario = await Scenario.open();
  const outcome = await scenario.run([...SMALL, "--compression=lz4"]);
  expect(outcome).toMatchObject({ code: 2 });
  expect(outcome.stderr).toContain("expected none, zstd or gzip");
});
