import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { helpText } from "../../../src/commands/help.ts";
import {
  type Outcome,
  type ProgramOptions,
  programCommand,
  runInShell,
  runProgram,
  startProgram,
} from "./program.ts";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "program-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Runs in a directory of its own. */
async function run(
  args: readonly string[],
  environment: ProgramOptions["environment"] = {},
  cwd = mkdtempSync(join(root, "cwd-")),
): Promise<Outcome & { cwd: string }> {
  return { ...(await runProgram(args, { cwd, environment })), cwd };
}

describe("usage", () => {
  test("--help prints the help, in any place, whatever else is missing", async () => {
    for (const args of [["--help"], ["--partition", "202501", "-h"], ["help"]]) {
      expect(await run(args)).toMatchObject({ code: 0, stdout: helpText(), stderr: "" });
    }
    for (const args of [
      ["run", "--help"],
      ["help", "run"],
    ]) {
      expect(await run(args)).toMatchObject({ code: 0, stdout: helpText("run"), stderr: "" });
    }
  });

  test("--version", async () => {
    expect(await run(["--version"])).toMatchObject({
      code: 0,
      stdout: "clickhouse-backfill 0.0.0-dev (source)\n",
      stderr: "",
    });
  });

  test.each<[string[], Record<string, string>, string]>([
    [
      [],
      {},
      "--partition (or PARTITION) is missing: expected a month as YYYYMM from 190001 to 229912, such as 202501, a range such as 202401..202411, several separated by commas, or all",
    ],
    [
      ["--partition", "202513"],
      {},
      '--partition "202513": expected a month as YYYYMM from 190001 to 229912, such as 202501, a range such as 202401..202411, several separated by commas, or all',
    ],
    [
      [],
      { PARTITION: "202513" },
      'PARTITION "202513": expected a month as YYYYMM from 190001 to 229912, such as 202501, a range such as 202401..202411, several separated by commas, or all',
    ],
    [["--partion", "202501"], {}, 'unknown option "--partion": did you mean --partition?'],
    [["--partition=202501", "--dry-run=maybe"], {}, '--dry-run "maybe": expected true, false, 1 or 0'],
  ])("%j with %j ends with code 2 and one line", async (args, environment, line) => {
    expect(await run(args, environment)).toMatchObject({ code: 2, stdout: "", stderr: `${line}\n` });
  });

  test("help and wrong usage load neither the core nor the ClickHouse client", async () => {
    const loaded = `process.on("exit", () => console.log(Object.keys(require.cache).join("\\n")));`;
    const preload = join(root, "loaded.ts");
    writeFileSync(preload, loaded);
    const command = programCommand(["--help"]);
    const child = Bun.spawn(command.toSpliced(1, 0, "--preload", preload), { stdout: "pipe", cwd: root });
    const text = await new Response(child.stdout).text();
    expect(text).toContain("src/commands/help.ts");
    expect(text).not.toMatch(/@clickhouse|consola|src\/pipeline|src\/checkpoint/);
  });
});

describe("configuration", () => {
  test("comes from flags, environment, .env and defaults", async () => {
    const cwd = mkdtempSync(join(root, "cwd-"));
    writeFileSync(
      join(cwd, ".env"),
      "CLICKHOUSE_PASSWORD='top # $ecret'\nBATCH_SIZE=1\nMAX_RETRIES=1\nPARTITION=202401\nCLICKHOUSE_DB=langfuse\n",
    );
    const environment = { FAKE: "options", BATCH_SIZE: "2", PARTITION: "202402", MAX_RETRIES: "" };
    const { code, stderr } = await run(["--partition=202403", "--dry-run"], environment, cwd);
    expect(code).toBe(0);
    expect(JSON.parse(/\{.*\}/.exec(stderr)?.[0] ?? "")).toEqual({
      partition: "202403",
      connection: {
        url: "http://localhost:8123",
        user: "default",
        password: [..."top # $ecret"],
        database: "langfuse",
        compression: "none",
      },
      tables: { source: "observations", traces: "traces", target: "events" },
      datasetRunItemsTable: "dataset_run_items_rmt",
      engine: "client",
      serverMemoryBytes: null,
      layout: "auto",
      only: ["roots", "observations", "experiments"],
      allowMissingView: false,
      batchSizeRows: 2,
      insertRows: 250_000,
      streamBlockSizeRows: 50_000,
      dryRun: true,
      maxRetries: 1,
      maxWaitMs: 30 * 60_000,
      parallelWorkers: 4,
      traceWindowDays: 2,
      ignoreTtl: false,
      recordsQueries: false,
      workerUrl: expect.stringMatching(/^file:.*\/src\/worker\.ts$/),
      cores: availableParallelism(),
    });
  });
});

describe("a run", () => {
  const STATE = "cursor_state_202501.json";

  test("reports on stdout, logs on stderr, leaves the checkpoint and no lock", async () => {
    const { code, stdout, stderr, cwd } = await run(["--partition=202501", "--cursor-state-dir=a/b"]);
    expect(code).toBe(0);
    expect(stdout).toStartWith("Partition 202501 is done: observations copied into events.\n");
    expect(stderr).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z info {2}Connected to ClickHouse 24\.8\.1 at http:\/\/localhost:8123\n/,
    );
    expect(stderr).toContain("info  202501 observations: 3 of 6, 50.0%");
    expect(readdirSync(join(cwd, "a/b"))).toEqual([STATE]);

    const again = await run(["run", "--partition=202501", "--cursor-state-dir=a/b"], {}, cwd);
    expect(again).toMatchObject({ code: 0, stderr: "" });
    expect(again.stdout).toStartWith(
      "Partition 202501 was finished by an earlier run; nothing was inserted.",
    );
  });

  test("that is dry leaves no files", async () => {
    const { code, stdout, cwd } = await run(["--partition=202501", "--cursor-state-dir=a"], { DRY_RUN: "1" });
    expect(code).toBe(0);
    expect(stdout).toStartWith("Dry run of partition 202501: nothing was inserted");
    expect(readdirSync(cwd)).toEqual([]);
  });

  test("is refused with code 3 by a checkpoint that it must not continue", async () => {
    const cwd = mkdtempSync(join(root, "cwd-"));
    writeFileSync(join(cwd, STATE), "{");
    const { code, stdout, stderr } = await run(["--partition=202501"], {}, cwd);
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(stderr).toStartWith(`The checkpoint ${STATE} is corrupt: not valid JSON`);
    expect(readdirSync(cwd)).toEqual([STATE]);
    expect(readFileSync(join(cwd, STATE), "utf8")).toBe("{");
  });

  test("logs nothing at LOG_LEVEL=warn", async () => {
    expect(await run(["--partition=202501"], { LOG_LEVEL: "warn" })).toMatchObject({ code: 0, stderr: "" });
  });

  test("that fails unexpectedly ends with code 1 and says that it is a bug, and releases the lock", async () => {
    const failed = await run(["--partition=202501"], { FAKE: "throw-later", LOG_LEVEL: "error" });
    expect(failed).toMatchObject({
      code: 1,
      stdout: "",
      stderr:
        "This is a bug in clickhouse-backfill 0.0.0-dev (source): Error: a stray failure\n" +
        "Please report it with the output of the same command with LOG_LEVEL=debug. What is finished is in the checkpoint; the same command continues.\n",
    });
    expect(readdirSync(failed.cwd)).toEqual([]);
    const { stderr } = await run(["--partition=202501"], { FAKE: "throw-later", LOG_LEVEL: "debug" });
    expect(stderr).toMatch(
      /^This is a bug in .*: Error: a stray failure\nPlease report it with the stack below\. .*\nError: a stray failure\n +at .*backfill\.ts/m,
    );
  });

  test("that a library's error ends, credentials and all, does not show them", async () => {
    const environment = { FAKE: "leak", LOG_LEVEL: "trace", CLICKHOUSE_PASSWORD: 'p"ä ss/word' };
    const { code, stderr } = await run(["--partition=202501"], environment);
    expect(code).toBe(1);
    expect(stderr).toContain(
      'This is a bug in clickhouse-backfill 0.0.0-dev (source): Error: No way to {"password":"***","headers":{"Authorization":"Basic ***"}}\n',
    );
    expect(stderr).toContain("Error: http://localhost:8123?password=***\n");
  });
});

test("a message that quotes the password is redacted in the summary as well", async () => {
  const environment = { FAKE: "quote", CLICKHOUSE_PASSWORD: "top-s3cret" };
  const { code, cwd } = await run(["--partition=202501", "--summary-file=summary.json"], environment);
  expect(code).toBe(1);
  const summary = readFileSync(join(cwd, "summary.json"), "utf8");
  expect(summary).not.toContain("top-s3cret");
  expect(JSON.parse(summary)).toMatchObject({ months: [{ error: "The server quotes ***" }] });
});

describe("signals", () => {
  const STARTED = "observations in the partition";

  /** Follows a stream: `until` waits for a text, `rest` for the end; both return all that came so far. */
  function follow(stream: ReadableStream<Uint8Array>) {
    const reader = stream.getReader();
    const decoder = new TextDecoder();
    let text = "";
    const readWhile = async (goesOn: () => boolean): Promise<string> => {
      while (goesOn()) {
        const { value, done } = await reader.read();
        if (done) break;
        text += decoder.decode(value, { stream: true });
      }
      return text;
    };
    return {
      until: (awaited: string) => readWhile(() => !text.includes(awaited)),
      rest: () => readWhile(() => true),
    };
  }

  test.each([
    ["SIGINT", 130, "Interrupted"],
    ["SIGTERM", 143, "Terminated"],
  ] as const)("%s ends gracefully with its code; the next run goes on", async (signal, code, word) => {
    const cwd = mkdtempSync(join(root, "cwd-"));
    const child = startProgram(["--partition=202501"], { cwd, environment: { FAKE: "graceful" } });
    const log = follow(child.stderr);
    await log.until(STARTED);
    child.kill(signal);
    const stderr = await log.rest();
    expect(await child.exited).toBe(code);
    expect(stderr).toContain(
      `warn  ${signal}: no new pages are begun, open INSERTs end after the block in flight (at most 30 s).`,
    );
    expect(stderr).toEndWith(`${word} (${signal}). Run the same command again to continue.\n`);
    expect(readdirSync(cwd)).toEqual(["cursor_state_202501.json"]);
    const next = await run(["--partition=202501"], {}, cwd);
    expect(next.code).toBe(0);
    expect(next.stderr).toContain("6 observations in the partition, 3 done by earlier runs");
  });

  test("a second one ends a run that does not stop, and the lock is gone", async () => {
    const cwd = mkdtempSync(join(root, "cwd-"));
    const child = startProgram(["--partition=202501"], { cwd, environment: { FAKE: "stubborn" } });
    const log = follow(child.stderr);
    await log.until(STARTED);
    expect(existsSync(join(cwd, "cursor_state_202501.lock"))).toBe(true);
    child.kill("SIGINT");
    await log.until("no new pages are begun");
    child.kill("SIGINT");
    await log.rest();
    expect(await child.exited).toBe(130);
    expect(readdirSync(cwd)).toEqual([]);
  });

  test("a second run is refused with code 3 while the first lives, and takes over after kill -9", async () => {
    const cwd = mkdtempSync(join(root, "cwd-"));
    const child = startProgram(["--partition=202501"], { cwd, environment: { FAKE: "stubborn" } });
    await follow(child.stderr).until(STARTED);
    const refused = await run(["--partition=202501"], {}, cwd);
    expect(refused).toMatchObject({ code: 3, stdout: "" });
    expect(refused.stderr).toStartWith(
      `Another run of this partition is going on: process ${child.pid}, started at `,
    );
    child.kill("SIGKILL");
    await child.exited;
    const next = await run(["--partition=202501"], {}, cwd);
    expect(next.code).toBe(0);
    expect(next.stderr).toContain(
      `Took over the lock cursor_state_202501.lock of process ${child.pid}, which is gone`,
    );
    expect(readdirSync(cwd)).toEqual(["cursor_state_202501.json"]);
  });
});

describe("a reader that goes away", () => {
  async function shell(
    script: string,
    environment: Record<string, string>,
  ): Promise<Outcome & { cwd: string }> {
    const cwd = mkdtempSync(join(root, "cwd-"));
    return {
      ...(await runInShell(script, programCommand(["--partition=202501"]), { cwd, environment })),
      cwd,
    };
  }

  test("of the log does not end the run", async () => {
    const { code, stdout, cwd } = await shell(
      '{ "$@" 2>&3 | cat; exit $PIPESTATUS; } 3> >(head -c 1 > /dev/null)',
      {
        FAKE: "chatty",
      },
    );
    expect(code).toBe(0);
    expect(stdout).toStartWith("Partition 202501 is done");
    expect(JSON.parse(readFileSync(join(cwd, "cursor_state_202501.json"), "utf8"))).toMatchObject({
      finished: true,
    });
  });

  test("of the report leaves the code as it is", async () => {
    const { code, stderr } = await shell('"$@" | true; exit $PIPESTATUS', { LOG_LEVEL: "warn" });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });
});
