import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { acquireLock } from "../../../src/checkpoint/lock.ts";
import { lockPath } from "../../../src/checkpoint/paths.ts";
import {
  currentProcess,
  livenessOf,
  type ProcessIdentity,
  processStart,
} from "../../../src/checkpoint/process-identity.ts";
import { CheckpointError } from "../../../src/errors.ts";

let directory = "";
let path = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "lock-"));
  path = lockPath(directory, "202501");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const ME = currentProcess();
/** Beyond the greatest pid that Linux (2^22) or macOS (99999) gives. */
const NO_SUCH_PID = 2 ** 30;
const DEAD: ProcessIdentity = { ...ME, pid: NO_SUCH_PID };

function writeLock(owner: ProcessIdentity, at = path): void {
  writeFileSync(at, JSON.stringify({ ...owner, started_at: "2025-02-01T00:00:00.000Z" }));
}

describe("acquireLock", () => {
  test("records its owner, readable by the owner only", () => {
    const lock = acquireLock(path);
    expect(lock.notice).toBeNull();
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ pid: process.pid, host: ME.host });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(["cursor_state_202501.lock"]);
  });

  test("refuses while the owner lives, naming it, and touches nothing", () => {
    const first = acquireLock(path);
    const before = readFileSync(path, "utf8");
    expect(() => acquireLock(path)).toThrow(CheckpointError);
    expect(() => acquireLock(path)).toThrow(`process ${process.pid}`);
    expect(readFileSync(path, "utf8")).toBe(before);
    first.release();
    expect(acquireLock(path).notice).toBeNull();
  });

  test("takes over from a dead owner and says so", () => {
    writeLock(DEAD);
    expect(acquireLock(path).notice).toContain(`process ${NO_SUCH_PID}, which is gone`);
    expect(JSON.parse(readFileSync(path, "utf8")).pid).toBe(process.pid);
    expect(readdirSync(directory)).toEqual(["cursor_state_202501.lock"]);
  });

  test.skipIf(ME.process_start === null)(
    "takes over from a process that has ended and is a zombie",
    async () => {
      // What execs waits for no child of the shell that it was.
      const parent = Bun.spawn(["bash", "-c", "sleep 0.05 & echo $!; exec sleep 60"], { stdout: "pipe" });
      const { value } = await parent.stdout.getReader().read();
      const pid = Number(Buffer.from(value ?? []).toString());
      const start = processStart(pid);
      while (!/ Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))) await Bun.sleep(10);
      writeLock({ ...ME, pid, process_start: start });
      expect(acquireLock(path).notice).toContain(`process ${pid}, which is gone`);
      parent.kill();
    },
  );

  test("removes temporary files whose writing was interrupted, once nobody can be writing them", () => {
    const [old, young] = [`${path}.takeover.${NO_SUCH_PID}.abc.2.tmp`, `${path}.${NO_SUCH_PID}.abc.1.tmp`];
    for (const file of [old, young]) writeFileSync(file, "");
    utimesSync(old, new Date(), new Date(Date.now() - 120_000));
    acquireLock(path).release();
    expect(readdirSync(directory)).toEqual([basename(young)]);
  });

  test("takes over from a dead owner after another process died while doing so", () => {
    writeLock(DEAD);
    writeLock(DEAD, `${path}.takeover`);
    writeLock(DEAD, `${path}.${NO_SUCH_PID}.abc.1.tmp`);
    acquireLock(path);
    expect(readdirSync(directory)).toEqual(["cursor_state_202501.lock"]);
  });

  test("refuses while another process takes over", () => {
    writeLock(DEAD);
    writeLock(ME, `${path}.takeover`);
    expect(() => acquireLock(path)).toThrow(CheckpointError);
    expect(JSON.parse(readFileSync(path, "utf8")).pid).toBe(NO_SUCH_PID);
  });

  test("takes over from a dead owner of an earlier version, which does not record the machine", () => {
    writeLock({ ...DEAD, machine_id: undefined } as unknown as ProcessIdentity);
    expect(acquireLock(path).notice).toContain("which is gone");
  });

  test("refuses another machine's lock and says how to remove it", () => {
    writeLock({ ...DEAD, host: "elsewhere" });
    expect(() => acquireLock(path)).toThrow(/on elsewhere .*\nIf you are sure .* delete/s);
  });

  test.each(["", "{", "[]", '{"pid":"x"}', '{"pid":0}'])(
    "refuses a lock that does not name an owner: %p",
    (text) => {
      writeFileSync(path, text);
      expect(() => acquireLock(path)).toThrow("does not say who holds it");
      expect(readFileSync(path, "utf8")).toBe(text);
    },
  );

  test("says that the directory takes no files", () => {
    expect(() => acquireLock(lockPath(join(directory, "missing"), "202501"))).toThrow(CheckpointError);
  });

  test("of processes that find a dead owner's lock at once, exactly one takes it over", async () => {
    writeLock(DEAD);
    const contenders = Array.from({ length: 6 }, () =>
      Bun.spawn([process.execPath, join(import.meta.dir, "lock-contender.ts"), path], {
        stdin: "pipe",
        stdout: "pipe",
      }),
    );
    const outputs = contenders.map(({ stdout }) => linesOf(stdout));
    for (const output of outputs) expect(await output.next()).toBe("ready");
    writeFileSync(`${path}.go`, "");
    const results: string[] = [];
    for (const output of outputs) results.push(await output.next());
    for (const contender of contenders) contender.stdin.end();
    await Promise.all(contenders.map(({ exited }) => exited));
    expect(results.sort()).toEqual([...Array(5).fill("CheckpointError"), "acquired by take-over"]);
  });
});

describe("release", () => {
  test("removes the lock, once", () => {
    const lock = acquireLock(path);
    lock.release();
    expect(existsSync(path)).toBe(false);
    writeLock(ME);
    lock.release();
    expect(existsSync(path)).toBe(true);
  });

  test("leaves a lock that another run has taken", () => {
    const lock = acquireLock(path);
    writeLock(DEAD);
    lock.release();
    expect(existsSync(path)).toBe(true);
  });

  test("accepts that the lock is gone", () => {
    const lock = acquireLock(path);
    rmSync(path);
    lock.release();
  });
});

describe("livenessOf", () => {
  /** This process on a system that reports everything. */
  const THIS: ProcessIdentity = {
    ...ME,
    boot_id: ME.boot_id ?? "this",
    machine_id: ME.machine_id ?? "this",
    pid_namespace: ME.pid_namespace ?? "pid:[0]",
  };

  test.each<[string, Partial<ProcessIdentity>, string]>([
    ["this process", {}, "alive"],
    ["a pid that is free", { pid: NO_SUCH_PID }, "dead"],
    ["a pid of before the last boot", { boot_id: "another" }, "dead"],
    ["another machine's pid", { host: "elsewhere", boot_id: "another" }, "elsewhere"],
    [
      "the pid of another machine of the same name",
      { boot_id: "another", machine_id: "another", pid: NO_SUCH_PID },
      "elsewhere",
    ],
    [
      "a pid of another boot, on nobody knows which machine of this name",
      { boot_id: "another", machine_id: null, pid: NO_SUCH_PID },
      "elsewhere",
    ],
    ["a pid that is free, recorded without the machine", { machine_id: null, pid: NO_SUCH_PID }, "dead"],
    ["another container's pid", { pid_namespace: "pid:[1]", pid: NO_SUCH_PID }, "elsewhere"],
    [
      "a process of which only the pid is known",
      { boot_id: null, process_start: null, pid_namespace: null },
      "alive",
    ],
    ["somebody else's process", { pid: 1, process_start: null }, "alive"],
  ])("%s", (_, recorded, expected) => {
    expect(livenessOf({ ...THIS, ...recorded }, THIS)).toBe(expected as never);
  });

  test.skipIf(ME.process_start === null)("a pid that a later process has", () => {
    expect(livenessOf({ ...ME, process_start: "1" }, ME)).toBe("dead");
  });
});

/** Reads a stream line by line. */
function linesOf(stream: ReadableStream<Uint8Array>): { next(): Promise<string> } {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  return {
    next: async () => {
      while (!text.includes("\n")) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`The process ended after ${JSON.stringify(text)}`);
        text += decoder.decode(value, { stream: true });
      }
      const end = text.indexOf("\n");
      const line = text.slice(0, end);
      text = text.slice(end + 1);
      return line;
    },
  };
}
