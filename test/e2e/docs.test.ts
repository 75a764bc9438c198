import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventsCoreTables, eventsFullTable, eventsTable } from "../../scripts/testbed/schema.ts";
import {
  connectTo,
  type DevServerProcess,
  startDevServer,
  type TestServer,
  testServer,
} from "../../scripts/testbed/server.ts";
import { compiledBinary } from "../support/binary.ts";
import { type CliOutcome, startCommand } from "../support/cli.ts";
import { temporaryDirectory } from "../support/cli-directory.ts";
import { makeDatasetRuns } from "../support/data/dataset-runs.ts";
import { type Block, blocksOf, documents } from "../support/documents.ts";
import { chooseSeed, generateDataset } from "../support/generate.ts";
import { INSTALL_SCRIPT, ReleaseServer } from "../support/install.ts";

const NOT_RUN = /^not run: \S/;
const OBSERVATIONS = 60;

const commands = (document: string): Block[] =>
  blocksOf(document).filter(({ language }) => ["sh", "bash", "shell", "console"].includes(language));
const isRun = (block: Block): boolean => block.comment === null || !NOT_RUN.test(block.comment);

/** The documents' password; the local server wants it. */
const PASSWORD = "s3cret";

let serverProcess: DevServerProcess | undefined;
let server: TestServer;
let releases: ReleaseServer;
let root = "";
beforeAll(async () => {
  root = temporaryDirectory("clickhouse-backfill-docs-");
  if (process.env["CLICKHOUSE_TEST_URL"]) server = await testServer();
  else {
    serverProcess = await startDevServer("--temporary", `--password=${PASSWORD}`);
    server = connectTo(serverProcess.url, "default", PASSWORD);
  }
  releases = await ReleaseServer.start();
});
afterAll(() => {
  releases[Symbol.dispose]();
  serverProcess?.process.kill();
});

test.each(documents())("what is not run in %s says why", (document) => {
  for (const block of commands(document)) {
    if (block.comment?.startsWith("not run")) expect(block.comment).toMatch(NOT_RUN);
  }
});

describe.each(documents().filter((document) => commands(document).some(isRun)))(
  "the commands of %s",
  (document) => {
    test("work, one after another", async () => {
      await publishRelease();
      const blocks = commands(document).filter(isRun);
      const outcome = await runBlocks(blocks);
      const last = outcome.stderr.match(/^== .*$/gm)?.at(-1);
      expect({ ...outcome, last }).toMatchObject({ code: 0, last: `== ${document}:${blocks.at(-1)?.line}` });
    });
  },
);

let published: Promise<void> | undefined;

/** Puts a release of the binary under test, as the real one is put together, on the local server. */
function publishRelease(): Promise<void> {
  published ??= (async () => {
    const name = `clickhouse-backfill-linux-${process.arch}`;
    const directory = mkdtempSync(join(root, "release-"));
    mkdirSync(join(directory, name));
    copyFileSync(await compiledBinary(), join(directory, name, "clickhouse-backfill"));
    const packed = startCommand(["tar", "-I", "gzip -1", "-cf", `${name}.tar.gz`, name], { cwd: directory });
    expect(await packed.outcome).toMatchObject({ code: 0 });
    releases.publish("latest", {
      [`${name}.tar.gz`]: readFileSync(join(directory, `${name}.tar.gz`)),
      "install.sh": readFileSync(INSTALL_SCRIPT, "utf8").replace("@BASE_URL@", releases.url),
    });
  })();
  return published;
}

/** Runs the blocks in one shell, in an empty home, against a month of made-up data, which must be copied in the end. */
async function runBlocks(blocks: readonly Block[]): Promise<CliOutcome> {
  const database = await server.createDatabase("e2e_docs");
  const size = { observations: OBSERVATIONS, traces: 10, largeInputs: 0 };
  await generateDataset(server, { database, seed: chooseSeed(), ...size });
  await server.command(eventsTable("events"), { database });
  if (blocks[0]?.document === V4_DOCUMENT) await makeV4Tables(database);
  const home = mkdtempSync(join(root, "home-"));
  const binaries = join(home, "bin");
  mkdirSync(binaries);
  copyFileSync(await compiledBinary(), join(binaries, "clickhouse-backfill"));

  const script = blocks
    .map(
      ({ document, line, text }) =>
        `echo '== ${document}:${line}' >&2\n${substituted(text)}\nfor job in $(jobs -p); do wait "$job"; done\n`,
    )
    .join("");
  return await startCommand(["bash", "-euo", "pipefail", "-c", script], {
    cwd: home,
    environment: {
      HOME: home,
      PATH: `${binaries}:${process.env["PATH"]}`,
      CLICKHOUSE_DB: database,
      ...(script.includes("export CLICKHOUSE_URL") ? {} : connection()),
    },
  }).outcome;
}

const V4_DOCUMENT = "docs/langfuse-v4.md";

async function makeV4Tables(database: string): Promise<void> {
  await makeDatasetRuns(server, { database, seed: chooseSeed() });
  const names = { full: "events_full", core: "events_core", view: "events_core_mv" };
  for (const sql of [eventsFullTable(names.full), ...eventsCoreTables(names)]) {
    await server.command(sql, { database });
  }
}

/** For documents that leave it to the reader. */
function connection(): Record<string, string> {
  return { CLICKHOUSE_URL: server.url, CLICKHOUSE_USER: server.user, CLICKHOUSE_PASSWORD: server.password };
}

/** The examples' addresses, user and password become this test's. */
function substituted(text: string): string {
  return text
    .replaceAll("https://github.com/OWNER/REPOSITORY/releases", releases.url)
    .replaceAll("https://clickhouse.example.com:8443", server.url)
    .replaceAll("CLICKHOUSE_USER=langfuse", `CLICKHOUSE_USER=${quoted(server.user)}`)
    .replaceAll(`'${PASSWORD}'`, quoted(server.password))
    .replaceAll("clickhouse-backfill-linux-x64", `clickhouse-backfill-linux-${process.arch}`);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

test("links within the documents lead somewhere", () => {
  const dead: string[] = [];
  for (const document of documents()) {
    const text = readFileSync(document, "utf8");
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = "", anchor] = target.split("#", 2);
      const file = path === "" ? document : join(document, "..", path);
      if (!existsSync(file)) dead.push(`${document}: ${target}`);
      else if (anchor !== undefined && !anchorsOf(file).includes(anchor)) dead.push(`${document}: ${target}`);
    }
  }
  expect(dead).toEqual([]);
});

/** The anchors that GitHub gives to a document's headings. */
function anchorsOf(file: string): string[] {
  return Array.from(readFileSync(file, "utf8").matchAll(/^#+ (.*)$/gm), ([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
