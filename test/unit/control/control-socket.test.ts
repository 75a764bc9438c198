import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeadSocket, readLiveRun, sendOrder } from "../../../src/control/control-client.ts";
import type { ControlOrder } from "../../../src/control/control-protocol.ts";
import { serveControl } from "../../../src/control/control-server.ts";
import { bindablePath, controlSocketPath, controlSocketsIn } from "../../../src/control/control-socket.ts";
import { directoryStatus } from "../../../src/control/directory-status.ts";
import type { LiveRunJson } from "../../../src/control/status-json.ts";

const root = mkdtempSync(join(tmpdir(), "control-"));
afterAll(() => rmSync(root, { recursive: true }));

const RUN: LiveRunJson = {
  pid: 7,
  host: "h",
  since: "2025-01-01T00:00:00.000Z",
  months: ["202501"],
  server: "http://localhost:8123",
  database: "default",
  target: "events",
  engine: "client",
  version: "0.2.0",
  memory_bytes: 1,
  done_percent: 0,
  phases: [],
  errors: [],
  ended: null,
  progress: {
    month: "202501",
    phase: null,
    kept_rows: null,
    read_rows: null,
    total_rows: null,
    percent: null,
    rows_per_second: null,
    bytes_per_second: null,
    eta_seconds: null,
    state: "starting",
    reason: "starting",
    max_rate: null,
    workers: null,
    retries: 0,
    last_error: null,
    months: null,
  },
};

function directory(): string {
  return mkdtempSync(join(root, "state-"));
}

/** Leaves a socket behind as a killed process does. */
async function deadSocket(path: string): Promise<void> {
  const script = `Bun.serve({ unix: ${JSON.stringify(path)}, fetch: () => new Response("") }); console.log("up"); await Bun.sleep(60_000);`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  await child.stdout.getReader().read();
  child.kill("SIGKILL");
  await child.exited;
}

test("a run says how it is, and takes orders", async () => {
  const state = directory();
  const orders: ControlOrder[] = [];
  const server = await serveControl(state, {
    status: () => RUN,
    carryOut: (order) => {
      orders.push(order);
      return "done so";
    },
  });
  const [socket = ""] = controlSocketsIn(state);
  expect(socket).toBe(controlSocketPath(state));
  expect(await readLiveRun(socket)).toEqual(RUN);
  expect(await sendOrder(socket, ["set", "workers=3"])).toBe("done so");
  expect(orders).toEqual([{ order: "set", name: "workers", workers: 3 }]);
  await expect(sendOrder(socket, ["dance"])).rejects.toThrow('The run refused: "dance": expected pause');
  server.close();
  expect(existsSync(socket)).toBe(false);
  expect(await readLiveRun(socket)).toBeNull();
  await expect(sendOrder(socket, ["pause"])).rejects.toThrow("is gone");
});

test("only its owner may use the socket", async () => {
  const state = directory();
  const server = await serveControl(state, { status: () => RUN, carryOut: () => "" });
  expect(statSync(controlSocketPath(state)).mode & 0o777).toBe(0o600);
  server.close();
});

test("sockets that dead runs left are removed, and live ones stay", async () => {
  const state = directory();
  const dead = controlSocketPath(state, 4_000_001);
  await deadSocket(dead);
  expect(await isDeadSocket(dead)).toBe(true);
  // What only looks like a socket is nobody's to remove.
  const file = controlSocketPath(state, 4_000_002);
  writeFileSync(file, "");
  const server = await serveControl(state, { status: () => RUN, carryOut: () => "" });
  expect(existsSync(dead)).toBe(false);
  expect(await isDeadSocket(controlSocketPath(state))).toBe(false);
  server.close();
});

test("a path that is too long is refused by name, unless it is short from where the run works", async () => {
  const long = join(root, "x".repeat(120));
  const path = controlSocketPath(long);
  expect(bindablePath(path, root)).toBeNull();
  expect(bindablePath(path, long)).toBe(path.slice(long.length + 1));
  await expect(serveControl(long, { status: () => RUN, carryOut: () => "" })).rejects.toThrow(
    /is too long for a socket; a shorter --cursor-state-dir/,
  );
});

test("the status of a directory distinguishes live, finished and stopped months, and those of other machines", async () => {
  const state = directory();
  const file = (name: string, finished: boolean): void =>
    writeFileSync(
      join(state, `cursor_state_${name}.json`),
      JSON.stringify({
        partition: name,
        cursor: null,
        rows_processed: 5,
        last_updated: "2025-01-20T10:11:12.000Z",
        ...(finished
          ? {
              format_version: 1,
              finished,
              pages_beyond_cursor: [],
              fingerprint: {
                server: "http://localhost:8123",
                database: "default",
                source_table: "observations",
                traces_table: "traces",
                target_table: "events",
                trace_window_days: 2,
                layout: "events",
              },
            }
          : {}),
      }),
    );
  file("202501", false);
  file("202502", true);
  writeFileSync(join(state, "cursor_state_202503.json"), "{");
  const lock = (name: string, host: string): void => {
    const nowhere = { process_start: "1", boot_id: "b", machine_id: "m", pid_namespace: "n" };
    const owner = { pid: 42, host, started_at: "2025-01-20T10:00:00.000Z", ...nowhere };
    writeFileSync(join(state, `cursor_state_${name}.lock`), JSON.stringify(owner));
  };
  // A month that another machine works on, and that has no finished page yet.
  lock("202504", "another-machine");
  const server = await serveControl(state, { status: () => RUN, carryOut: () => "" });
  const status = await directoryStatus(state, "all");
  expect(status.runs).toEqual([RUN]);
  expect(status.checkpoints.map(({ month, state: is, rows }) => [month, is, rows])).toEqual([
    ["202504", "elsewhere", null],
    ["202503", "unreadable", null],
    ["202502", "finished", 5],
    ["202501", "stopped", 5],
  ]);
  expect(status.checkpoints[0]).toMatchObject({
    pid: 42,
    host: "another-machine",
    since: "2025-01-20T10:00:00.000Z",
  });
  const chosen = await directoryStatus(state, ["202502"]);
  expect(chosen.runs).toEqual([]);
  expect(chosen.checkpoints.map(({ month }) => month)).toEqual(["202502"]);
  server.close();
});
