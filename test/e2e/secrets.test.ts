import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { eventsTable } from "../../scripts/testbed/schema.ts";
import { connectTo, type DevServerProcess, startDevServer } from "../../scripts/testbed/server.ts";
import { type CliOutcome, type RunningCli, readStderr, runCli, startCli } from "../support/cli.ts";
import { temporaryDirectory } from "../support/cli-directory.ts";
import { reached, Scenario } from "../support/cli-scenario.ts";
import { FaultProxy } from "../support/fault-proxy.ts";
import { gatewayError } from "../support/fault-proxy-faults.ts";
import { generateDataset } from "../support/generate.ts";

const USER = "default";
/** Characters that URLs, JSON, HTML and base64 encode. */
const PASSWORD = "s3cr3t-\"Pa55\\%w0rd'/+é";
const WRONG = `${PASSWORD}-wrong`;

/** All spellings of the password, which the wrong one begins with. */
const FORMS: readonly string[] = [
  PASSWORD,
  JSON.stringify(PASSWORD).slice(1, -1),
  inspect(PASSWORD).slice(1, -1),
  encodeURIComponent(PASSWORD),
  ...[`${USER}:${PASSWORD}`, PASSWORD, `${USER}:${WRONG}`, WRONG].map((text) =>
    Buffer.from(text).toString("base64").replace(/=+$/, ""),
  ),
];

let server: DevServerProcess;
let proxy: FaultProxy;
let root = "";
beforeAll(async () => {
  root = temporaryDirectory("clickhouse-backfill-e2e-");
  server = await startDevServer("--temporary", `--password=${PASSWORD}`);
  const connection = connectTo(server.url, USER, PASSWORD);
  await generateDataset(connection, {
    database: "default",
    seed: 1,
    observations: 60,
    traces: 10,
    largeInputs: 0,
  });
  await connection.command(eventsTable("events"));
  proxy = await FaultProxy.start(server.url);
});
afterAll(async () => {
  await proxy.close();
  server.process.kill();
  await server.process.exited;
});

/** A directory of its own for each story, with the password in a file and in `.env`, next to the state. */
class Story {
  readonly cwd = mkdtempSync(join(root, "cwd-"));
  readonly #outcomes: CliOutcome[] = [];

  constructor() {
    mkdirSync(join(this.cwd, "state"));
    writeFileSync(join(this.cwd, "password"), `${PASSWORD}\n`, { mode: 0o600 });
  }

  async start(
    url: string,
    environment: Readonly<Record<string, string>>,
    ...flags: string[]
  ): Promise<RunningCli> {
    const all = [
      "--partition=202511",
      "--stream-block-size=20",
      // A checkpoint comes with the first page that is acknowledged.
      "--insert-rows=1",
      "--parallel-workers=1",
      "--cursor-state-dir=state",
      "--summary-file=state/summary.json",
    ];
    return await startCli([...all, `--clickhouse-url=${url}`, ...flags], {
      cwd: this.cwd,
      environment: { LOG_LEVEL: "trace", MAX_RETRIES: "1", ...environment },
    });
  }

  async run(...options: Parameters<Story["start"]>): Promise<CliOutcome> {
    return await this.end(await this.start(...options));
  }

  async end(running: RunningCli): Promise<CliOutcome> {
    const outcome = await running.outcome;
    this.#outcomes.push(outcome);
    return outcome;
  }

  /** Looks for the password in all that the runs have left behind, at this moment. */
  expectNoSecret(): void {
    const state = join(this.cwd, "state");
    const all = readdirSync(state, { recursive: true, encoding: "utf8" });
    const files = all.filter((name) => !name.endsWith(".sock"));
    const texts = [
      ...files.map((name) => `${name}\n${readFileSync(join(state, name), "utf8")}`),
      ...this.#outcomes.flatMap(({ stdout, stderr }) => [stdout, stderr]),
    ];
    for (const form of FORMS) for (const text of texts) expect(text).not.toContain(form);
  }
}

const BY_FILE = { CLICKHOUSE_PASSWORD_FILE: "password" };
const BY_VARIABLE = { CLICKHOUSE_PASSWORD: PASSWORD };

describe("the password is nowhere but on the wire", () => {
  test("of a run that succeeds, from wherever it comes", async () => {
    const story = new Story();
    const byFlag = `--clickhouse-password=${PASSWORD}`;
    expect(await story.run(server.url, {}, byFlag, "--dry-run")).toMatchObject({ code: 0 });
    writeFileSync(join(story.cwd, ".env"), "CLICKHOUSE_PASSWORD_FILE=password\n");
    expect(await story.run(server.url, {}, "--dry-run")).toMatchObject({ code: 0 });
    // The file of the environment beats the password of .env.
    writeFileSync(join(story.cwd, ".env"), "CLICKHOUSE_PASSWORD=wrong\n");
    expect(await story.run(server.url, BY_FILE)).toMatchObject({ code: 0 });
    expect(statSync(join(story.cwd, "state/cursor_state_202511.json")).mode & 0o077).toBe(0);
    story.expectNoSecret();
  });

  test("of a run that goes on, is killed, and fails", async () => {
    const story = new Story();
    proxy.on({ on: "insert" }, gatewayError(503));
    const hold = proxy.on({ on: "page", nth: 3 }, { kind: "hold", at: "response" });
    const killed = await story.start(proxy.url, BY_FILE);
    await reached(hold, killed);
    // Neither the command line nor the environment of the process shows it.
    for (const file of ["cmdline", "environ", "comm"]) {
      expect(readFileSync(`/proc/${killed.pid}/${file}`, "utf8")).not.toContain(PASSWORD);
    }
    // Checkpoint, lock, control socket and summary.
    expect(readdirSync(join(story.cwd, "state"))).toHaveLength(4);
    story.expectNoSecret();
    killed.kill("SIGKILL");
    await story.end(killed);
    hold.release("drop");
    proxy.on({ on: "page" }, gatewayError(400));
    expect(await story.run(proxy.url, BY_VARIABLE)).toMatchObject({ code: 1 });
    // The checkpoint is of another URL.
    expect(await story.run(server.url, BY_FILE)).toMatchObject({ code: 3 });
    story.expectNoSecret();
  });

  test("of a run that the server refuses or that finds none", async () => {
    const story = new Story();
    const wrong = await story.run(server.url, {}, `--clickhouse-password=${WRONG}`);
    expect(readStderr(wrong).failure[0]).toBe(`ClickHouse at ${server.url} refuses user "${USER}"`);
    expect(await story.run("http://127.0.0.1:9", BY_FILE)).toMatchObject({ code: 1 });
    // TLS where none is spoken.
    expect(await story.run(server.url.replace("http:", "https:"), BY_FILE)).toMatchObject({ code: 1 });
    story.expectNoSecret();
  });

  test("of a command line that is refused", async () => {
    const story = new Story();
    const withCredentials = server.url.replace("//", `//${USER}:${encodeURIComponent(PASSWORD)}@`);
    expect(await story.run(withCredentials, {})).toMatchObject({ code: 2 });
    expect(await story.run(server.url, {}, "--clickhouse-pasword", PASSWORD)).toMatchObject({ code: 2 });
    expect(await story.run(server.url, BY_FILE, `--clickhouse-password=${PASSWORD}`, "extra")).toMatchObject({
      code: 2,
    });
    const both = await story.run(server.url, { ...BY_FILE, ...BY_VARIABLE });
    expect(both).toMatchObject({
      code: 2,
      stderr: "CLICKHOUSE_PASSWORD_FILE: set it or CLICKHOUSE_PASSWORD, not both\n",
    });
    story.expectNoSecret();
  });

  test("of a server or proxy that sends back what it was sent", async () => {
    const echo = (request: Request, headers: Record<string, string>): Response => {
      const text = (name: string): string =>
        Buffer.from(request.headers.get(name) ?? "", "latin1").toString("utf8");
      const credentials = `${text("x-clickhouse-user")}:${text("x-clickhouse-key")}`;
      const spellings = [
        `X-ClickHouse-Key: ${text("x-clickhouse-key")}`,
        credentials,
        JSON.stringify(credentials),
        encodeURIComponent(credentials),
      ];
      return new Response(`Code: 159. DB::Exception: You sent ${spellings.join(" and ")}`, {
        status: "x-clickhouse-format" in headers ? 200 : 500,
        headers,
      });
    };
    for (const headers of [
      { "x-clickhouse-exception-code": "159" },
      { "x-clickhouse-exception-code": "62" },
      { "x-clickhouse-format": "JSONCompactEachRow" },
      {},
    ]) {
      using server = Bun.serve({ port: 0, fetch: (request) => echo(request, headers) });
      const story = new Story();
      const outcome = await story.run(server.url.origin, BY_FILE);
      expect(outcome.code).toBe(1);
      // Without any of the server's text the test would check nothing.
      expect(outcome.stderr).toContain("You sent X-ClickHouse-Key: *** and default:*** and ");
      story.expectNoSecret();
    }
  });
});

test("the password is not in the file of skipped rows, whatever the refusal says", async () => {
  const story = new Story();
  const sent = Buffer.from(`${USER}:${PASSWORD}`).toString("base64");
  proxy.reset();
  proxy.on(
    { on: "insert", nth: "every" },
    {
      kind: "response",
      status: 400,
      headers: { "X-ClickHouse-Exception-Code": "117" },
      body: `Code: 117. DB::Exception: No row for Basic ${sent}, which is ${PASSWORD}`,
    },
  );
  await story.run(proxy.url, BY_FILE, "--skip-bad-rows=state/skipped.jsonl");
  const skipped = readFileSync(join(story.cwd, "state/skipped.jsonl"), "utf8");
  expect(skipped).toContain("No row for Basic ***, which is ***");
  story.expectNoSecret();
  proxy.reset();
});

test("a password file that others can read is used, with a warning", async () => {
  const story = new Story();
  writeFileSync(join(story.cwd, "open"), PASSWORD, { mode: 0o644 });
  const outcome = await story.run(server.url, {}, "--clickhouse-password-file=open", "--dry-run");
  expect(outcome).toMatchObject({ code: 0 });
  expect(outcome.stderr).toMatch(
    / warn {2}The password file "open" can be read by every user of this machine/,
  );
  story.expectNoSecret();
});

test("the checkpoint is for its owner only", async () => {
  await using scenario = await Scenario.open();
  await scenario.run();
  expect(statSync(scenario.checkpointPath).mode & 0o077).toBe(0);
});

test("a password file that is not there ends with code 2 before anything is done", async () => {
  const cwd = mkdtempSync(join(root, "cwd-"));
  const flags = ["--partition=202511", "--clickhouse-password-file=none"];
  const outcome = await runCli(flags, { cwd });
  expect(outcome).toMatchObject({ code: 2, stdout: "" });
  expect(outcome.stderr).toMatch(
    /^--clickhouse-password-file .* "none": expected .* there is no such file\n$/,
  );
  expect(readdirSync(cwd)).toEqual([]);
});
