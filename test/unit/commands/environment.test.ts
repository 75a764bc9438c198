import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { currentProcess } from "../../../src/checkpoint/process-identity.ts";
import { boundByPermissions, canMount, UNSHARED } from "../../support/mounting.ts";
import { type Outcome, programCommand, runInShell } from "./program.ts";

const STATE = "cursor_state_202501.json";
const LOCK = "cursor_state_202501.lock";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "environment-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Runs the program in a shell's script, in `cwd`. */
async function run(script: string, cwd: string, args: readonly string[] = []): Promise<Outcome> {
  return await runInShell(script, programCommand(["--partition=202501", ...args]), { cwd });
}

function newDirectory(): string {
  return mkdtempSync(join(root, "cwd-"));
}

function expectFinished(directory: string): void {
  expect(readdirSync(directory)).toEqual([STATE]);
  expect(JSON.parse(readFileSync(join(directory, STATE), "utf8"))).toMatchObject({ finished: true });
}

describe("streams that are closed or take nothing", () => {
  const SCRIPTS = [
    '"$@" >&-',
    '"$@" 2>&-',
    '"$@" <&- >&- 2>&-',
    '"$@" | :; exit $PIPESTATUS',
    '"$@" 2>&1 | :; exit $PIPESTATUS',
    ...(existsSync("/dev/full") ? ['"$@" 2> /dev/full', '"$@" > /dev/full 2>&1'] : []),
  ];
  test.each(SCRIPTS)("do not change the run: %s", async (script) => {
    const cwd = newDirectory();
    expect(await run(script, cwd)).toMatchObject({ code: 0 });
    expectFinished(cwd);
  });

  test.each(existsSync("/dev/full") ? ["report"] : [])("a %s that is lost is reported", async () => {
    const cwd = newDirectory();
    const { code, stderr } = await run('LOG_LEVEL=warn "$@" > /dev/full', cwd);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: "The output could not be written to stdout: ENOSPC: no space left on device, write\n",
    });
    expectFinished(cwd);
  });
});

describe("a state directory that is full", () => {
  /** A file with this in it is larger than the smallest limit that a shell can set. */
  const LARGE = [`--clickhouse-db=${"d".repeat(1024)}`];

  test("for the lock: nothing is begun", async () => {
    const cwd = newDirectory();
    const { code, stdout, stderr } = await run('ulimit -f 0; "$@"', cwd);
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(stderr).toMatch(/^The lock .*\.lock could not be written: EFBIG: .*\nRaise the limit .*ulimit -f/);
    expect(readdirSync(cwd)).toEqual([]);
  });

  test("for the checkpoint: the run fails, and the next one goes on", async () => {
    const cwd = newDirectory();
    const { code, stdout, stderr } = await run('ulimit -f 1; "$@"', cwd, LARGE);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(
      /^The checkpoint .*\.json could not be written: EFBIG: .*\n.*run the same command/m,
    );
    expect(readdirSync(cwd)).toEqual([]);
    expect(await run('"$@"', cwd, LARGE)).toMatchObject({ code: 0 });
    expectFinished(cwd);
  });

  test("by its permissions", async () => {
    const cwd = newDirectory();
    const state = join(cwd, "state");
    mkdirSync(state);
    chmodSync(state, 0o555);
    const command = [...boundByPermissions(), ...programCommand(["--partition=202501"])];
    const environment = { CURSOR_STATE_DIR: state };
    const { code, stderr } = await runInShell('"$@"', command, { cwd, environment });
    expect(code).toBe(3);
    expect(stderr).toMatch(/^The lock .* could not be written: EACCES: .*\nCheck the permissions of /);
    expect(readdirSync(state)).toEqual([]);
  });

  const MOUNTS = [
    ["read-only", "-o ro", 3, /^The lock .*: EROFS: .*\nThe filesystem is read-only: choose another /],
    // One page of memory for one file, and none for a second.
    ["full", "-o size=4k", 1, /^The checkpoint .*: ENOSPC: .*\nFree some space on that filesystem, /m],
  ] as const;
  test.each(canMount() ? MOUNTS : [])("since it is %s", async (_, options, code, message) => {
    const cwd = newDirectory();
    const script = `mkdir state && mount -t tmpfs ${options} none state && cd state && "$@"
      code=$?; ls -A; exit $code`;
    const command = programCommand(["--partition=202501"]);
    const outcome = await runInShell('"$@"', [...UNSHARED, "bash", "-c", script, "bash", ...command], {
      cwd,
    });
    expect(outcome.stderr).toMatch(message);
    // No leftovers either.
    expect(outcome).toMatchObject({ code, stdout: "" });
  });
});

describe("a clock that goes backwards", () => {
  test("changes neither the copy nor how a later run sees it", async () => {
    const cwd = newDirectory();
    const owner = { ...currentProcess(), pid: 2 ** 30, started_at: "2099-01-01T00:00:00.000Z" };
    writeFileSync(join(cwd, LOCK), JSON.stringify(owner));
    const preload = ["--preload", join(import.meta.dir, "backward-clock.ts")];
    const command = programCommand(["--partition=202501"]).toSpliced(1, 0, ...preload);
    const first = await runInShell('"$@"', command, { cwd });
    expect(first.code).toBe(0);
    expect(first.stderr).toMatch(/Took over the lock .*2099-01-01/);
    expect(first.stderr).toMatch(/observations: 3 of 6, 50\.0%, [\d,]+ rows\/s, [\d,.]+ MB\/s, \d+s left/);
    expectFinished(cwd);
    const state = JSON.parse(readFileSync(join(cwd, STATE), "utf8")) as { last_updated: string };
    expect(Date.parse(state.last_updated)).toBeLessThan(Date.now());
    writeFileSync(join(cwd, STATE), JSON.stringify({ ...state, last_updated: "2099-01-01T00:00:00.000Z" }));
    const second = await runInShell('"$@"', command, { cwd });
    expect(second).toMatchObject({ code: 0, stderr: "" });
    expect(second.stdout).toContain("was finished by an earlier run");
  });
});

describe("a state directory that two machines share", () => {
  const HINT =
    /\nIf you are sure that no other run of this partition goes on, delete .*\.lock and run the same/;

  test.each([
    ["another name", { host: "elsewhere" }],
    ["the same name", { boot_id: "another", machine_id: "another" }],
  ])("keeps a run off that has %s, whatever the pid says", async (_, identity) => {
    const cwd = newDirectory();
    const owner = { ...currentProcess(), machine_id: "this", boot_id: "this", pid: 2 ** 30, ...identity };
    writeFileSync(join(cwd, LOCK), JSON.stringify({ ...owner, started_at: "2025-02-01T00:00:00.000Z" }));
    const before = readFileSync(join(cwd, LOCK), "utf8");
    const { code, stdout, stderr } = await run('"$@"', cwd);
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(stderr).toContain(`belongs to process ${2 ** 30} on ${owner.host} (another machine or container)`);
    expect(stderr).toMatch(HINT);
    expect(readFileSync(join(cwd, LOCK), "utf8")).toBe(before);
  });

  test.each(canMount() ? ["host name"] : [])("keeps a run off under another %s", async () => {
    const cwd = newDirectory();
    const owner = { ...currentProcess(), pid: 2 ** 30, started_at: "2025-02-01T00:00:00.000Z" };
    writeFileSync(join(cwd, LOCK), JSON.stringify(owner));
    const command = programCommand(["--partition=202501"]);
    const script = 'hostname elsewhere && exec "$@"';
    const outcome = await runInShell('"$@"', [...UNSHARED, "bash", "-c", script, "bash", ...command], {
      cwd,
    });
    expect(outcome).toMatchObject({ code: 3, stdout: "" });
    expect(outcome.stderr).toContain("can't be seen from elsewhere");
  });
});
