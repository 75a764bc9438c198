import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import Ajv from "ajv/dist/2020.js";
import { METRIC_NAMES } from "../../src/report/metrics.ts";
import { ONE_BY_ONE, Scenario, SMALL } from "../support/cli-scenario.ts";
import { serverError } from "../support/fault-proxy-faults.ts";
import { readMetrics } from "../support/metrics.ts";
import { freePort, WatchedRun } from "../support/watched.ts";

const SCHEMA = join(import.meta.dir, "../../docs/schemas/status.schema.json");
const TOKEN = "0123456789abcdef-token";

/** A run that waits before its third page, and its status page. */
async function heldRun(
  scenario: Scenario,
  flags: readonly string[] = [],
  headers: Readonly<Record<string, string>> = {},
): Promise<{
  watched: WatchedRun;
  outcome: ReturnType<Scenario["run"]>;
  release: () => void;
  stop: () => void;
}> {
  const port = await freePort();
  const held = scenario.proxy.on({ on: "page", nth: 3 }, { kind: "hold", at: "request" });
  const running = await scenario.startUntil(held, [
    ...ONE_BY_ONE,
    `--status-address=127.0.0.1:${port}`,
    ...flags,
  ]);
  return {
    watched: new WatchedRun(port, headers),
    outcome: running.outcome,
    release: () => held.release(),
    stop: () => running.kill("SIGTERM"),
  };
}

/** Sends bytes over a connection of their own; resolves to it once it is there. */
async function rawConnection(url: string, bytes: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  // How it ends is not this side's matter.
  socket.on("error", () => {});
  socket.write(bytes);
  return socket;
}

describe("the status page", () => {
  test.concurrent("says what the run does, and how it ended", async () => {
    await using scenario = await Scenario.open();
    const { watched, outcome, release } = await heldRun(scenario);
    const status = await watched.status();
    const validate = new Ajv().compile(JSON.parse(readFileSync(SCHEMA, "utf8")));
    expect([validate(status), validate.errors]).toEqual([true, null]);
    const [run] = status.runs;
    const { partition } = scenario.fixture;
    expect(run).toMatchObject({ months: [partition], target: scenario.target, errors: [], ended: null });
    expect(run?.phases.map(({ month, phase }) => `${month} ${phase}`)).toEqual([
      `${partition} traces`,
      `${partition} observations`,
    ]);
    expect(status.checkpoints).toMatchObject([{ month: partition, state: "running" }]);
    const history = await (await watched.get("/api/history")).json();
    expect(history).toMatchObject({ spacing_seconds: 1, points: expect.any(Array) });
    expect(await (await watched.get("/healthz")).text()).toBe("ok\n");
    const page = await watched.get("/");
    const html = await page.text();
    expect(html).toStartWith("<!doctype html>");
    expect(html.length).toBeLessThan(60_000);
    expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'none'; .*script-src 'sha256-/);
    const ended = watched.end();
    release();
    expect(await ended).toEqual({ outcome: "finished", message: "The run has finished" });
    expect((await outcome).stderr).toContain(`The run can be watched at ${watched.url}/`);
    await scenario.expectEvents("multiset");
  });

  test.concurrent("has metrics that say what is in the target", async () => {
    await using scenario = await Scenario.open();
    const { watched, outcome, release } = await heldRun(scenario);
    const response = await watched.get("/metrics");
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const values = readMetrics(await response.text());
    const figure = (name: string, labels: Readonly<Record<string, string>> = {}): number | undefined =>
      values.find(
        (one) =>
          one.name === name && Object.entries(labels).every(([label, value]) => one.labels[label] === value),
      )?.value;
    const phase = { partition: scenario.fixture.partition, phase: "observations" };
    const inserted = figure(METRIC_NAMES.rowsInserted, phase);
    expect(inserted).toBeGreaterThan(0);
    expect(inserted).toBe(scenario.checkpoint()?.rows_processed);
    // The next page is read while the last rows of a page arrive.
    expect(inserted).toBeLessThanOrEqual(await scenario.targetRows());
    expect(figure(METRIC_NAMES.rowsPlanned, phase)).toBeGreaterThan(inserted ?? 0);
    expect(figure(METRIC_NAMES.bytesRead, phase)).toBeGreaterThan(0);
    expect(figure(METRIC_NAMES.months, { outcome: "running" })).toBe(1);
    expect(values.filter(({ name, value }) => name === METRIC_NAMES.state && value === 1)).toHaveLength(1);
    expect(figure(METRIC_NAMES.started)).toBeLessThan(figure(METRIC_NAMES.lastProgress) ?? 0);
    expect(Math.abs(Date.now() / 1000 - (figure(METRIC_NAMES.lastProgress) ?? 0))).toBeLessThan(600);
    const names = new Set(values.map(({ name }) => name));
    const { remaining, ...always } = METRIC_NAMES;
    expect(names.size).toBeGreaterThanOrEqual(Object.keys(always).length);
    expect([...names].filter((name) => !Object.values<string>(METRIC_NAMES).includes(name))).toEqual([]);
    for (const [name, type] of new Map(values.map((one) => [one.name, one.type]))) {
      expect([name, name.endsWith("_total")]).toEqual([name, type === "COUNTER"]);
    }
    expect(remaining).toEndWith("_seconds");
    release();
    expect(await outcome).toMatchObject({ code: 0 });
  });

  test.concurrent("shows those who watch that the run failed, or was stopped", async () => {
    await using scenario = await Scenario.open();
    const failing = await heldRun(scenario, ["--max-retries=0"]);
    scenario.proxy.on(
      { on: "insert", nth: "every" },
      serverError(500, 999, "out of luck", "UNKNOWN_EXCEPTION"),
    );
    const end = failing.watched.end();
    failing.release();
    expect(await end).toMatchObject({ outcome: "failed", message: expect.stringContaining("out of luck") });
    expect(await failing.outcome).toMatchObject({ code: 1 });

    await using other = await Scenario.open();
    const stopped = await heldRun(other);
    const ended = stopped.watched.end();
    stopped.stop();
    stopped.release();
    expect(await ended).toMatchObject({ outcome: "stopped" });
    expect(await stopped.outcome).toMatchObject({ signal: "SIGTERM" });
  });

  test.concurrent("is read only, and at home under its own name only", async () => {
    await using scenario = await Scenario.open();
    const { watched, outcome, release } = await heldRun(scenario);
    for (const host of [
      "evil.example",
      "127.0.0.1.evil.example",
      "localhost.evil.example:80",
      "10.0.0.1",
      "[::2]",
    ]) {
      expect([host, (await watched.get("/api/status", { host })).status]).toEqual([host, 403]);
    }
    expect((await watched.get("/api/status", { host: "a b" })).status).toBe(400);
    for (const host of ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.1.2.3", "[::1]:9363"]) {
      expect([host, (await watched.get("/healthz", { host })).status]).toEqual([host, 200]);
    }
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      expect((await fetch(`${watched.url}/api/status`, { method })).status).toBe(405);
    }
    for (const path of ["/control", "/api", "/%00", "/../etc/passwd"]) {
      expect((await watched.get(path)).status).toBe(404);
    }
    release();
    expect(await outcome).toMatchObject({ code: 0 });
  });

  test.concurrent("asks for the token, and never says it", async () => {
    await using scenario = await Scenario.open();
    const file = join(scenario.directory, "token");
    writeFileSync(file, `${TOKEN}\n`, { mode: 0o600 });
    const { watched, outcome, release } = await heldRun(scenario, [
      `--status-token-file=${file}`,
      "--log-format=json",
    ]);
    const withToken = (authorization: string): Readonly<Record<string, string>> => ({ authorization });
    for (const path of ["/api/status", "/api/history", "/metrics", "/", "/nothing"]) {
      for (const headers of [
        {},
        withToken(`Bearer ${TOKEN}x`),
        withToken(TOKEN),
        withToken(`Basic ${TOKEN}`),
        withToken("Bearer "),
      ]) {
        const response = await watched.get(path, headers);
        expect([path, headers, response.status]).toEqual([path, headers, 401]);
        expect(response.headers.get("www-authenticate")).toBe("Bearer");
        const body = await response.text();
        expect(body).not.toContain(TOKEN);
        expect(body).not.toContain(scenario.target);
      }
      const right = await watched.get(path, withToken(`Bearer ${TOKEN}`));
      expect([path, right.status]).toEqual([path, path === "/nothing" ? 404 : 200]);
    }
    expect((await watched.get("/healthz")).status).toBe(200);
    release();
    const { code, stderr, stdout } = await outcome;
    expect(code).toBe(0);
    expect(stderr + stdout).not.toContain(TOKEN);
  });

  test.concurrent("of an address that is taken ends the run before it begins", async () => {
    await using scenario = await Scenario.open();
    const taken = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const address = `127.0.0.1:${taken.port}`;
    const outcome = await scenario.run([...SMALL, `--status-address=${address}`]);
    await taken.stop(true);
    expect(outcome).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`--status-address ${address}: `),
    });
    expect(existsSync(scenario.checkpointPath)).toBe(false);
    expect(await scenario.targetRows()).toBe(0);
  });

  test.concurrent("may be asked by many, slowly, or by half, and the run does not notice", async () => {
    await using scenario = await Scenario.open();
    const { watched, outcome, release } = await heldRun(scenario);
    const host = "Host: localhost\r\n";
    const stuck = await Promise.all([
      // Requests without an end, and readers that read nothing.
      ...Array.from({ length: 50 }, () => rawConnection(watched.url, `GET / HTTP/1.1\r\n${host}`)),
      ...Array.from({ length: 50 }, async () => {
        const socket = await rawConnection(watched.url, `GET / HTTP/1.1\r\n${host}\r\n`.repeat(50));
        return socket.pause();
      }),
      ...Array.from({ length: 20 }, () => rawConnection(watched.url, "\0\x01 nonsense\r\n\r\n")),
    ]);
    const responses = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        watched.get(["/", "/metrics", "/api/status", "/api/status?wait"][i % 4] ?? ""),
      ),
    );
    expect(responses.map(({ status }) => status)).toEqual(responses.map(() => 200));
    await Promise.all(responses.map((response) => response.arrayBuffer()));
    release();
    expect(await outcome).toMatchObject({ code: 0 });
    for (const socket of stuck) socket.destroy();
    await scenario.expectEvents("multiset");
  });
});
