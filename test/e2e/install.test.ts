import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CliOutcome } from "../support/cli.ts";
import {
  archiveOf,
  INSTALL_SCRIPT,
  type InstallRun,
  install,
  PROGRAM_TEXT,
  ReleaseServer,
  scratch,
  startInstall,
  toolDirectory,
  USUAL_TOOLS,
  unameOf,
} from "../support/install.ts";

const PROGRAM = "clickhouse-backfill";
const LINUX = unameOf("Linux", "x86_64");
/** musl's `ldd` knows no options. */
const LDD_OF_MUSL = { ldd: { script: "echo 'musl libc (x86_64)' >&2; exit 1" } };
const LATEST = "/releases/latest/download";

const SHELLS = [["sh"], ["dash"], ["bash"], ["busybox", "sh"]].filter(
  ([name]) => name !== undefined && Bun.which(name) !== null,
);
const busybox = Bun.which("busybox");
const DOWNLOADERS = [
  ["curl", toolDirectory(["curl", "sha256sum"], LINUX)],
  ["wget", toolDirectory(["wget", "sha256sum"], LINUX)],
  ...(busybox === null
    ? []
    : [["BusyBox's wget", toolDirectory(["sha256sum"], { ...LINUX, wget: { link: busybox } })] as const]),
] as const;
/** Named by what is there: curl, and neither tar nor gzip. */
const PLAIN = toolDirectory(["curl", "sha256sum"], LINUX);

let server: ReleaseServer;
/** Where each test installs. */
let dir = "";
const installed = (): string => join(dir, PROGRAM);

beforeAll(async () => {
  server = await ReleaseServer.start();
});
afterAll(() => server[Symbol.dispose]());
beforeEach(() => {
  dir = join(scratch("home"), ".local/bin");
  server.requests.length = 0;
  server.publish("latest", {
    [`${PROGRAM}-linux-x64`]: PROGRAM_TEXT,
    [`${PROGRAM}-linux-arm64`]: PROGRAM_TEXT,
  });
});

const run = (options: InstallRun = {}): Promise<CliOutcome> =>
  install({ baseUrl: server.url, tools: PLAIN, args: ["--dir", dir], ...options });

function expectInstalled(outcome: CliOutcome, text = PROGRAM_TEXT): void {
  expect(outcome).toMatchObject({ code: 0, stderr: "" });
  expect(outcome.stdout).toContain(`Installed clickhouse-backfill 9.9.9 (test) as ${installed()}\n`);
  expect(readFileSync(installed(), "utf8")).toBe(text);
  expect(statSync(installed()).mode & 0o777).toBe(0o755);
  expect(readdirSync(dir)).toEqual([PROGRAM]);
}

/** Expects a failure that leaves an earlier installation, and nothing else, as it was. Returns what stderr says. */
async function failureOf(options: InstallRun = {}, code = 1): Promise<string> {
  mkdirSync(dir, { recursive: true });
  writeFileSync(installed(), "the earlier one");
  const outcome = await run(options);
  expect(outcome).toMatchObject({ code });
  expect(readFileSync(installed(), "utf8")).toBe("the earlier one");
  expect(readdirSync(dir)).toEqual([PROGRAM]);
  expect(outcome.stderr).toStartWith("install.sh: ");
  return outcome.stderr;
}

describe.each(SHELLS.map((shell) => [shell.join(" "), shell] as const))("piped into %s", (_, shell) => {
  test.each(DOWNLOADERS)("it installs with %s", async (_, tools) => {
    expectInstalled(await run({ shell, tools }));
    expect(server.requests).toEqual([`${LATEST}/SHA256SUMS`, `${LATEST}/${PROGRAM}-linux-x64`]);
  });

  test("it installs from the archive", async () => {
    server.publish("latest", {
      [`${PROGRAM}-linux-x64`]: "never taken",
      [`${PROGRAM}-linux-x64.tar.gz`]: await archiveOf("linux-x64", PROGRAM_TEXT),
    });
    expectInstalled(await run({ shell, tools: toolDirectory(USUAL_TOOLS, LINUX) }));
  });

  test("it reports a wrong checksum", async () => {
    server.publish("latest", { [`${PROGRAM}-linux-x64`]: PROGRAM_TEXT }, `${PROGRAM}-linux-x64`);
    expect(await failureOf({ shell })).toMatch(
      /^install\.sh: the checksum of clickhouse-backfill-linux-x64 is wrong\n {2}expected \w{64}\n {2}received \w{64}\n/,
    );
  });

  test("it prints its help", async () => {
    const outcome = await run({ shell, args: ["--help"] });
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(outcome.stdout).toContain("--dir <FOLDER>");
  });
});

describe("what it installs:", () => {
  test.each([["v9.9.9"], ["9.9.9"]])("--version %s is that release", async (version) => {
    server.publish("v9.9.9", { [`${PROGRAM}-linux-x64`]: `${PROGRAM_TEXT}#v9.9.9` });
    expectInstalled(await run({ args: [`--version=${version}`, `--dir=${dir}`] }), `${PROGRAM_TEXT}#v9.9.9`);
  });

  test.each([
    ["Linux", "x86_64", "linux-x64"],
    ["Linux", "aarch64", "linux-arm64"],
    ["Darwin", "x86_64", "darwin-x64"],
    ["Darwin", "arm64", "darwin-arm64"],
  ])("on %s %s the file of %s", async (system, machine, target) => {
    server.publish("latest", { [`${PROGRAM}-${target}`]: PROGRAM_TEXT, [`${PROGRAM}-other`]: "another" });
    const sysctl = { sysctl: { script: "exit 1" } };
    expectInstalled(
      await run({ tools: toolDirectory(["curl", "sha256sum"], { ...unameOf(system, machine), ...sysctl }) }),
    );
  });

  test.each([
    ["x86_64", "linux-x64-musl"],
    ["aarch64", "linux-arm64-musl"],
  ])("on Alpine %s the file of %s", async (machine, target) => {
    server.publish("latest", { [`${PROGRAM}-${target}`]: PROGRAM_TEXT, [`${PROGRAM}-linux-x64`]: "glibc's" });
    const tools = toolDirectory(["curl", "sha256sum"], { ...unameOf("Linux", machine), ...LDD_OF_MUSL });
    expectInstalled(await run({ tools }));
  });

  test("under Rosetta the file of the real processor", async () => {
    server.publish("latest", { [`${PROGRAM}-darwin-arm64`]: PROGRAM_TEXT, [`${PROGRAM}-darwin-x64`]: "no" });
    const special = { ...unameOf("Darwin", "x86_64"), sysctl: { script: "echo 1" } };
    expectInstalled(await run({ tools: toolDirectory(["curl", "sha256sum"], special) }));
  });

  test.each([["sha256sum"], ["shasum"], ["openssl"]])("checked by %s", async (digester) => {
    const tools = toolDirectory(
      digester === "shasum" ? ["curl", "shasum", "perl"] : ["curl", digester],
      LINUX,
    );
    expectInstalled(await run({ tools }));
    server.publish("latest", { [`${PROGRAM}-linux-x64`]: PROGRAM_TEXT }, `${PROGRAM}-linux-x64`);
    expect(await failureOf({ tools })).toContain("the checksum of clickhouse-backfill-linux-x64 is wrong");
  });
});

describe("where it installs:", () => {
  test("~/.local/bin, created if missing, with a hint at PATH", async () => {
    const home = scratch("home");
    dir = join(home, ".local/bin");
    const outcome = await run({ home, args: [] });
    expectInstalled(outcome);
    expect(outcome.stdout).toContain(`  export PATH="${dir}:$PATH"\n`);
  });

  test("a folder in PATH, without the hint", async () => {
    dir = toolDirectory(["curl", "sha256sum"], LINUX);
    const before = readdirSync(dir);
    const outcome = await run({ tools: dir, args: ["--dir", dir] });
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(outcome.stdout).not.toContain("PATH");
    expect(readdirSync(dir).sort()).toEqual([...before, PROGRAM].sort());
  });

  test("names with spaces and quotes", async () => {
    dir = join(scratch("home"), `my "own" folder's $HOME`);
    expectInstalled(await run({ args: ["--dir", dir] }));
  });

  test("over an earlier one, which keeps running", async () => {
    mkdirSync(dir, { recursive: true });
    writeFileSync(installed(), "the earlier one");
    const { ino } = statSync(installed());
    const outcome = await run();
    expectInstalled(outcome);
    expect(outcome.stdout).toContain("is replaced");
    expect(statSync(installed()).ino).not.toBe(ino);
  });

  test("nowhere, when the folder cannot be made or written", async () => {
    const file = join(scratch("home"), "file");
    writeFileSync(file, "");
    const below = await run({ args: ["--dir", join(file, "bin")] });
    expect(below).toMatchObject({ code: 1 });
    expect(below.stderr).toContain(`install.sh: cannot make the folder ${file}/bin\n`);
    // Nobody can write there, root included.
    const readOnly = await run({ args: ["--dir", "/proc"] });
    expect(readOnly).toMatchObject({ code: 1 });
    expect(readOnly.stderr).toContain("install.sh: cannot write into /proc\n");
    expect(server.requests).toEqual([]);
  });

  test("nowhere, when a folder has the program's name", async () => {
    mkdirSync(installed(), { recursive: true });
    const outcome = await run();
    expect(outcome).toMatchObject({
      code: 1,
      stderr: `install.sh: ${installed()} is a folder\n  Name another folder with --dir.\n`,
    });
  });

  test("nowhere without HOME and --dir", async () => {
    const outcome = await run({ args: [] });
    expect(outcome).toMatchObject({
      code: 2,
      stderr: "install.sh: HOME is not set: name the folder with --dir\n",
    });
  });
});

describe("what fails leaves all as it was:", () => {
  test.each(DOWNLOADERS)("a download that ends early, by %s", async (_, tools) => {
    for (const withLength of [true, false]) {
      server.put(`${LATEST}/${PROGRAM}-linux-x64`, PROGRAM_TEXT, "half", withLength);
      expect(await failureOf({ tools })).toMatch(/cannot download .*linux-x64|the checksum of .* is wrong/);
    }
  });

  test.each(DOWNLOADERS)("a release that does not exist, by %s", async (_, tools) => {
    const stderr = await failureOf({ tools, args: ["--dir", dir, "--version", "v0.0.1"] });
    expect(stderr).toStartWith(`install.sh: cannot download ${server.url}/download/v0.0.1/SHA256SUMS\n`);
    expect(stderr).toContain("404");
  });

  test.each(DOWNLOADERS)("no server, by %s", async (_, tools) => {
    const closed = await ReleaseServer.start();
    closed[Symbol.dispose]();
    const stderr = await failureOf({ tools, baseUrl: closed.url });
    expect(stderr).toStartWith(`install.sh: cannot download ${closed.url}/latest/download/SHA256SUMS\n`);
    expect(stderr).toMatch(/refused|connect/i);
  });

  test("a page in place of the checksums", async () => {
    server.put(`${LATEST}/SHA256SUMS`, "<html>Log in</html>\n");
    expect(await failureOf()).toContain("is no list of checksums");
  });

  test("a release without a file for the machine", async () => {
    server.publish("latest", { [`${PROGRAM}-darwin-arm64`]: PROGRAM_TEXT });
    expect(await failureOf()).toStartWith("install.sh: the release latest has no file for linux-x64\n");
  });

  test("an archive that is not one", async () => {
    server.publish("latest", { [`${PROGRAM}-linux-x64.tar.gz`]: "no archive" });
    expect(await failureOf({ tools: toolDirectory(USUAL_TOOLS, LINUX) })).toContain("cannot be unpacked");
  });

  test("a program that does not run here", async () => {
    server.publish("latest", { [`${PROGRAM}-linux-x64`]: "#!/bin/sh\necho 'no such CPU' >&2\nexit 3\n" });
    expect(await failureOf()).toStartWith(
      "install.sh: the program does not run on this machine\n  no such CPU\n",
    );
  });

  test("a program for musl that does not run here names the library that it needs", async () => {
    server.publish("latest", {
      [`${PROGRAM}-linux-x64-musl`]: "#!/bin/sh\necho 'no libstdc++.so.6' >&2\nexit 127\n",
    });
    const tools = toolDirectory(["curl", "sha256sum"], { ...LINUX, ...LDD_OF_MUSL });
    expect(await failureOf({ tools })).toMatch(
      /^install\.sh: .*\n {2}no libstdc\+\+\.so\.6\n {2}.*: apk add libstdc\+\+\n/,
    );
  });

  test.each([
    ["Linux", "riscv64", "there is no release for the processor riscv64"],
    ["FreeBSD", "amd64", "there is no release for FreeBSD"],
    ["MINGW64_NT-10.0", "x86_64", "there is no release for Windows itself: use it in WSL"],
  ])("%s %s", async (system, machine, message) => {
    const tools = toolDirectory(["curl", "sha256sum"], unameOf(system, machine));
    expect(await failureOf({ tools })).toStartWith(`install.sh: ${message}`);
    expect(server.requests).toEqual([]);
  });

  test.each([
    [["sha256sum"], "neither curl nor wget is here"],
    [["curl"], "the download cannot be checked"],
  ])("a machine that has only %j", async (names, message) => {
    expect(await failureOf({ tools: toolDirectory(names, LINUX) })).toStartWith(`install.sh: ${message}`);
  });

  test("a copy that no release has stamped", async () => {
    const outcome = await install({ tools: PLAIN, args: ["--dir", dir] });
    expect(outcome).toMatchObject({ code: 1 });
    expect(outcome.stderr).toStartWith("install.sh: this copy does not know where the releases are\n");
    expect(existsSync(dir)).toBe(false);
  });

  test.each([
    [["--dir"], "--dir has no value"],
    [["--version="], "--version is empty"],
    [["--version", "../v1"], '--version "../v1": expected a release such as v0.1.0'],
    [["--directory", "/x"], 'unknown argument "--directory"'],
    [["v0.1.0"], 'unknown argument "v0.1.0"'],
  ])("%j", async (args, message) => {
    expect(await failureOf({ args }, 2)).toStartWith(`install.sh: ${message}`);
    expect(server.requests).toEqual([]);
  });

  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)("%s in the middle of the download", async (signal, code) => {
    const path = `${LATEST}/${PROGRAM}-linux-x64`;
    server.put(path, PROGRAM_TEXT, "never");
    const asked = server.asked(path);
    const running = startInstall({ baseUrl: server.url, tools: PLAIN, args: ["--dir", dir] });
    await asked;
    // A terminal's Ctrl-C reaches the downloader as well, and the shell waits for it.
    const children = readFileSync(`/proc/${running.pid}/task/${running.pid}/children`, "utf8");
    for (const pid of children.trim().split(" ")) process.kill(Number(pid), signal);
    running.kill(signal);
    expect(await running.outcome).toMatchObject({ code });
    expect(readdirSync(dir)).toEqual([]);
  });
});

describe("the script itself", () => {
  test("with the address that a release stamps into it needs no variable", async () => {
    const script = join(scratch("stamped"), "install.sh");
    const child = Bun.spawn(["sed", `s|@BASE_URL@|${server.url}|`, INSTALL_SCRIPT], {
      stdout: Bun.file(script),
    });
    await child.exited;
    expectInstalled(await install({ script, tools: PLAIN, args: ["--dir", dir] }));
  });

  test("does nothing when only a part of it arrived", async () => {
    const text = readFileSync(INSTALL_SCRIPT, "utf8");
    const lineEnds = [...text.matchAll(/\n/g)].map(({ index }) => index + 1);
    const lastLine = text.lastIndexOf("\n", text.length - 2);
    const cuts = [
      ...lineEnds.filter((_, line) => line % 5 === 0),
      ...Array.from({ length: text.trimEnd().length - lastLine }, (_, more) => lastLine + more),
    ];
    const directory = scratch("parts");
    for (const cut of cuts) {
      const script = join(directory, "part.sh");
      writeFileSync(script, text.slice(0, cut));
      await run({ script, home: directory });
      expect({ cut, requests: server.requests, made: existsSync(dir) }).toEqual({
        cut,
        requests: [],
        made: false,
      });
    }
  });
});
