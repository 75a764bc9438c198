import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { type CliOutcome, type RunningCli, startCommand } from "./cli.ts";
import { temporaryDirectory } from "./cli-directory.ts";

/** The script that people pipe into their shell. */
export const INSTALL_SCRIPT = join(import.meta.dir, "../../scripts/install.sh");

/** Stands for the binary: it needs no build, and runs whatever the platform is said to be. */
export const PROGRAM_TEXT = '#!/bin/sh\necho "clickhouse-backfill 9.9.9 (test)"\n';

/** What the script may use of this machine, but for what downloads, checks and unpacks. */
const BASE_TOOLS = ["sh", "uname", "mkdir", "mktemp", "rm", "mv", "chmod", "cat", "tail"];

/** The tools of an ordinary machine. */
export const USUAL_TOOLS: readonly string[] = ["curl", "sha256sum", "tar", "gzip"];

let root: string | undefined;

/** A new directory that goes away after the tests. */
export function scratch(prefix: string): string {
  root ??= temporaryDirectory("clickhouse-backfill-install-");
  return mkdtempSync(join(root, `${prefix}-`));
}

/** Tools by name: a path to link to, or the text of a script to put in its place. */
export type Tools = Readonly<Record<string, { readonly link: string } | { readonly script: string }>>;

/** A directory for PATH that holds the base tools, the named ones and nothing else. */
export function toolDirectory(names: readonly string[], special: Tools = {}): string {
  const directory = scratch("tools");
  for (const name of [...BASE_TOOLS, ...names]) {
    if (name in special) continue;
    const path = Bun.which(name);
    if (path === null) throw new Error(`${name} is not on this machine's PATH`);
    symlinkSync(path, join(directory, name));
  }
  for (const [name, tool] of Object.entries(special)) {
    if ("link" in tool) symlinkSync(tool.link, join(directory, name));
    else {
      writeFileSync(join(directory, name), `#!/bin/sh\n${tool.script}\n`);
      chmodSync(join(directory, name), 0o755);
    }
  }
  return directory;
}

/** A `uname` that tells another machine. */
export function unameOf(system: string, machine: string): Tools {
  return { uname: { script: `case $1 in -s) echo ${system} ;; -m) echo ${machine} ;; esac` } };
}

/** How the script is run. */
export interface InstallRun {
  readonly baseUrl?: string;
  readonly args?: readonly string[];
  /** By default `sh`. */
  readonly shell?: readonly string[];
  /** Its PATH; by default the usual tools. */
  readonly tools?: string;
  readonly home?: string;
  /** By default the script of the repository, piped into the shell. */
  readonly script?: string;
}

/** Starts the script as `curl … | sh -s -- <args>` does: from the shell's standard input. */
export function startInstall(run: InstallRun): RunningCli {
  const command = [...(run.shell ?? ["sh"]), "-s", "--", ...(run.args ?? [])].map((word) =>
    word === (run.shell ?? ["sh"])[0] ? (Bun.which(word) ?? word) : word,
  );
  return startCommand(
    [
      "/bin/sh",
      "-c",
      'script=$1; shift; exec "$@" < "$script"',
      "sh",
      run.script ?? INSTALL_SCRIPT,
      ...command,
    ],
    {
      cwd: scratch("cwd"),
      environment: {
        PATH: run.tools ?? toolDirectory(USUAL_TOOLS),
        ...(run.home === undefined ? {} : { HOME: run.home }),
        ...(run.baseUrl === undefined ? {} : { CLICKHOUSE_BACKFILL_BASE_URL: run.baseUrl }),
      },
    },
  );
}

/** Runs the script to its end. */
export function install(run: InstallRun): Promise<CliOutcome> {
  return startInstall(run).outcome;
}

/** How the server responds for a file: with it, with half of it, or not before the test ends. */
type Delivery = "whole" | "half" | "never";

/** A server of releases, in the layout of GitHub's. */
export class ReleaseServer implements Disposable {
  /** Paths that were asked for. */
  readonly requests: string[] = [];
  readonly #files = new Map<string, { bytes: Uint8Array; delivery: Delivery; withLength: boolean }>();
  readonly #server: Server;
  #port = 0;
  #onRequest: (path: string) => void = () => {};

  private constructor() {
    this.#server = createServer((socket) => {
      // The downloader may hang up when it likes.
      socket.on("error", () => {});
      let head = "";
      socket.on("data", (bytes) => {
        head += bytes.toString("latin1");
        if (!head.includes("\r\n\r\n")) return;
        const path = head.split(" ", 2)[1] ?? "";
        head = "";
        this.requests.push(path);
        this.#onRequest(path);
        const file = this.#files.get(path);
        if (file === undefined) {
          socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nConnection: close\r\n\r\nNot Found");
          return;
        }
        const length = file.withLength ? `Content-Length: ${file.bytes.length}\r\n` : "";
        socket.write(`HTTP/1.1 200 OK\r\n${length}Connection: close\r\n\r\n`);
        if (file.delivery === "never") return;
        socket.end(file.delivery === "whole" ? file.bytes : file.bytes.subarray(0, file.bytes.length / 2));
      });
    });
  }

  static async start(): Promise<ReleaseServer> {
    const server = new ReleaseServer();
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    const address = server.#server.address();
    if (address === null || typeof address === "string") throw new Error("expected a port");
    server.#port = address.port;
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/releases`;
  }

  /** Puts a release there: its files and their SHA256SUMS; `wrong` names one whose digest is another file's. */
  publish(version: string, files: Readonly<Record<string, Uint8Array | string>>, wrong?: string): void {
    const lines = Object.entries(files).map(([name, bytes]) => {
      const digest = createHash("sha256")
        .update(name === wrong ? "another file" : bytes)
        .digest("hex");
      return `${digest}  ${name}\n`;
    });
    for (const [name, bytes] of [...Object.entries(files), ["SHA256SUMS", lines.join("")] as const]) {
      this.put(`/releases/${pathOf(version)}/${name}`, bytes);
    }
  }

  put(path: string, bytes: Uint8Array | string, delivery: Delivery = "whole", withLength = true): void {
    this.#files.set(path, { bytes: Buffer.from(bytes), delivery, withLength });
  }

  /** Resolves when the path is asked for. */
  asked(path: string): Promise<void> {
    return new Promise((resolve) => {
      this.#onRequest = (each) => {
        if (each === path) resolve();
      };
    });
  }

  [Symbol.dispose](): void {
    this.#server.close();
  }
}

/** Where a release's files are, below the address of all releases. */
export function pathOf(version: string): string {
  return version === "latest" ? "latest/download" : `download/${version}`;
}

/** The archive of a target, as a release has it. */
export async function archiveOf(target: string, program: string): Promise<Uint8Array> {
  const directory = scratch("archive");
  const name = `clickhouse-backfill-${target}`;
  mkdirSync(join(directory, name));
  writeFileSync(join(directory, name, "clickhouse-backfill"), program, { mode: 0o755 });
  writeFileSync(join(directory, name, "README.md"), "# clickhouse-backfill\n");
  const child = Bun.spawn(["tar", "-czf", "-", name], { cwd: directory, stdout: "pipe" });
  const bytes = await new Response(child.stdout).bytes();
  if ((await child.exited) !== 0) throw new Error("tar failed");
  return bytes;
}
