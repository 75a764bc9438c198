import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventsFullTable, eventsTable, observationsTable } from "../../scripts/testbed/schema.ts";
import { identifier, literal } from "../../src/clickhouse/sql.ts";
import type { CliOutcome } from "./cli.ts";
import { runCli } from "./cli.ts";
import { ONE_BY_ONE, reached, type Scenario } from "./cli-scenario.ts";
import { serverError } from "./fault-proxy-faults.ts";
import { generateDataset } from "./generate.ts";

/** Makes the program show a symptom, with a server, a month and a directory of its own. */
export type Symptom = (scenario: Scenario) => Promise<CliOutcome>;

const OUT_OF_MEMORY = serverError(500, 241, "Memory limit (total) exceeded", "MEMORY_LIMIT_EXCEEDED");

/** Gives a setting another value in a response with rows of system.settings: name, value, default, readonly. */
function settingAs(name: string, value: string, readonly: 0 | 1): (text: Buffer) => Buffer {
  const row = new RegExp(`\\["${name}", ?"[^"]*", ?("[^"]*"), ?\\d+`);
  return (text) => Buffer.from(text.toString().replace(row, `["${name}", "${value}", $1, ${readonly}`));
}

/** All rows in one batch: one that is alone in its batch can be neither halved nor bisected, and is called "1 row". */
const IN_ONE_BATCH = ["--stream-block-size=1000", "--batch-size=1000"];

/** What docs/troubleshooting.md tells of, by its headings. */
export const SYMPTOMS: Readonly<Record<string, Symptom>> = {
  "No server responds": (scenario) => run(scenario, "--clickhouse-url=http://127.0.0.1:9", "--max-retries=0"),

  "Something else responds": async (scenario) => {
    using other = Bun.serve({ port: 0, fetch: () => new Response("<html>Hello</html>") });
    return await run(scenario, `--clickhouse-url=${other.url.origin}`, "--max-retries=0");
  },

  "The certificate is not trusted": async (scenario) => {
    const file = (name: string) => Bun.file(join(import.meta.dir, "tls", name));
    using other = Bun.serve({
      port: 0,
      tls: { key: file("server.key"), cert: file("server.pem") },
      fetch: () => new Response(""),
    });
    return await run(scenario, `--clickhouse-url=https://localhost:${other.port}`, "--max-retries=0");
  },

  "The user or the password is wrong": (scenario) => run(scenario, "--clickhouse-password=wrong"),

  "The database does not exist": (scenario) => run(scenario, "--clickhouse-db=no_such_database"),

  "The server is too old": async (scenario) => {
    const body = (text: Buffer): Buffer => Buffer.from(text.toString().replace(/\d+\.[\d.]+/, "23.12.4.15"));
    scenario.proxy.on({ on: /version\(\)/ }, { kind: "edit", body });
    return await run(scenario);
  },

  "A setting of the user stands in the way": async (scenario) => {
    scenario.proxy.on(
      { on: /FROM system\.settings/ },
      { kind: "edit", body: settingAs("materialized_views_ignore_errors", "1", 1) },
    );
    return await run(scenario);
  },

  "The user may only read": async (scenario) => {
    scenario.proxy.on({ on: /FROM system\.settings/ }, { kind: "edit", body: settingAs("readonly", "2", 1) });
    return await run(scenario);
  },

  "Tables are missing": async (scenario) => {
    const database = await scenario.fixture.server.createDatabase("e2e_missing");
    return await run(scenario, `--clickhouse-db=${database}`, "--target-table=events");
  },

  "Tables cannot be used": async (scenario) => {
    const { server } = scenario.fixture;
    const database = await server.createDatabase("e2e_unusable");
    for (const sql of [
      observationsTable("observations", { engine: "Memory" }),
      "CREATE TABLE traces AS observations",
      eventsTable("events"),
      "ALTER TABLE events DROP COLUMN session_id, ADD COLUMN session_id UInt64",
    ]) {
      await server.command(sql, { database });
    }
    return await run(scenario, `--clickhouse-db=${database}`, "--target-table=events");
  },

  "The JSON column cannot be filled": async (scenario) => {
    const { server, database } = scenario.fixture;
    await server.command(`DROP TABLE ${identifier(scenario.target)}`, { database });
    await server.command(eventsTable(scenario.target), { database });
    const words = "Invalid version for Object structure serialization";
    scenario.proxy.on({ on: /format\(Native/, nth: "every" }, serverError(400, 117, words, "INCORRECT_DATA"));
    return await run(scenario);
  },

  "A TTL would undo the run": async (scenario) => {
    const { server, database } = scenario.fixture;
    const target = `${scenario.target}_ttl`;
    await server.command(eventsTable(target), { database });
    await server.command(`ALTER TABLE ${target} MODIFY TTL toDateTime(start_time) + INTERVAL 1 DAY`, {
      database,
    });
    return await run(scenario, `--target-table=${target}`);
  },

  "A mutation is unfinished": async (scenario) => {
    const { server, partition } = scenario.fixture;
    const database = await server.createDatabase("e2e_missing");
    await generateDataset(server, { database, seed: 1, observations: 60, traces: 10, largeInputs: 0 });
    await server.command(eventsTable("events"), { database });
    await server.command("SYSTEM STOP MERGES observations", { database });
    await server.command("ALTER TABLE observations DELETE WHERE project_id = 'p'", {
      database,
      settings: { mutations_sync: 0 },
    });
    return await run(
      scenario,
      `--clickhouse-db=${database}`,
      "--target-table=events",
      `--partition=${partition}`,
      "--max-wait-minutes=0",
    );
  },

  "A right is missing": async (scenario) => {
    const denied = serverError(
      403,
      497,
      "langfuse: Not enough privileges. To execute this query, it's necessary to have the grant INSERT",
      "ACCESS_DENIED",
    );
    scenario.proxy.on({ on: "insert", nth: "every" }, denied);
    return await run(scenario);
  },

  "MEMORY_LIMIT_EXCEEDED while reading": async (scenario) => {
    scenario.proxy.on({ on: "page", nth: 2, times: 2 }, OUT_OF_MEMORY);
    return await run(scenario, "--max-retries=1");
  },

  "MEMORY_LIMIT_EXCEEDED while inserting": async (scenario) => {
    scenario.proxy.on({ on: "insert", nth: 1 }, OUT_OF_MEMORY);
    return await run(scenario, ...IN_ONE_BATCH);
  },

  TOO_MANY_PARTS: async (scenario) => {
    const fault = serverError(500, 252, "Too many parts (3001)", "TOO_MANY_PARTS");
    scenario.proxy.on({ on: "insert", nth: 1 }, fault);
    return await run(scenario, ...IN_ONE_BATCH);
  },

  "The connection breaks": async (scenario) => {
    scenario.proxy.on({ on: "insert", nth: 1 }, { kind: "reset", at: "head" });
    return await run(scenario, ...IN_ONE_BATCH);
  },

  "A row is refused": async (scenario) => {
    const { server, database } = scenario.fixture;
    const arrived = identifier(`${scenario.target}_arrived`);
    // A constraint of the table behind the target's view: the server itself refuses the row.
    const [{ id } = { id: "" }] = await server.queryJson<{ id: string }>(
      `SELECT span_id AS id FROM ${identifier(scenario.fixture.expected)}
       WHERE isValidUTF8(span_id) AND length(span_id) > 4 ORDER BY span_id DESC LIMIT 1`,
      { database },
    );
    await server.command(`DROP TABLE ${arrived}`, { database });
    const table = eventsFullTable(`${scenario.target}_arrived`, { engine: "Memory" });
    const constraint = `CONSTRAINT known CHECK span_id != ${literal(id)}`;
    await server.command(table.replace(/\)(\s*ENGINE)/, `, ${constraint})$1`), { database });
    return await run(scenario, ...IN_ONE_BATCH);
  },

  "Rows are missing": async (scenario) => {
    scenario.proxy.on({ on: "page", nth: 2 }, { kind: "edit", body: () => Buffer.alloc(0) });
    return await run(scenario);
  },

  "The checkpoint belongs to another run": async (scenario) => {
    await run(scenario);
    return await run(scenario, "--trace-window-days=3");
  },

  "The checkpoint is corrupt": async (scenario) => {
    writeFileSync(scenario.checkpointPath, '{ "partition": ');
    return await run(scenario);
  },

  "The month was finished before": async (scenario) => {
    await run(scenario);
    return await run(scenario);
  },

  "Another run is going on": async (scenario) => {
    const hold = scenario.proxy.on({ on: "page" }, { kind: "hold", at: "request" });
    const first = await scenario.start(ONE_BY_ONE);
    await reached(hold, first);
    const outcome = await run(scenario);
    first.kill("SIGKILL");
    await first.outcome;
    return outcome;
  },

  "The lock is another machine's": async (scenario) => {
    const owner = {
      pid: 4711,
      host: "ip-10-0-0-7",
      started_at: "2025-12-01T09:00:00.000Z",
      process_start: null,
      boot_id: null,
      machine_id: null,
      pid_namespace: null,
    };
    writeFileSync(scenario.lockPath, JSON.stringify(owner));
    return await run(scenario);
  },

  "The lock was left by a killed run": async (scenario) => {
    const hold = scenario.proxy.on({ on: "page" }, { kind: "hold", at: "request" });
    const first = await scenario.start(ONE_BY_ONE);
    await reached(hold, first);
    first.kill("SIGKILL");
    await first.outcome;
    return await run(scenario);
  },

  "The checkpoint cannot be written": async (scenario) => {
    writeFileSync(join(scenario.directory, "notes"), "");
    return await run(scenario, "--cursor-state-dir=notes/backfill");
  },

  "The run was interrupted": async (scenario) => {
    const hold = scenario.proxy.on({ on: "page", nth: 2 }, { kind: "hold", at: "request" });
    const running = await scenario.start(ONE_BY_ONE);
    await reached(hold, running);
    running.kill("SIGINT");
    hold.release();
    return await running.outcome;
  },

  "No live run is found": (scenario) => runCli(["control", "pause"], { cwd: scenario.directory }),

  "A run cannot be steered": (scenario) => run(scenario, `--cursor-state-dir=${"long".repeat(30)}`),

  "The status page cannot be served": async (scenario) => {
    using other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("") });
    return await run(scenario, `--status-address=127.0.0.1:${other.port}`);
  },

  "The query of --pause-when fails": (scenario) => run(scenario, "--pause-when=SELECT nonsense"),

  "An option is refused": (scenario) => runCli(["--partition=202513"], { cwd: scenario.directory }),
};

function run(scenario: Scenario, ...flags: readonly string[]): Promise<CliOutcome> {
  const names = new Set(flags.map((flag) => flag.split("=", 1)[0]));
  const usual = [...scenario.flags, ...ONE_BY_ONE].filter((flag) => !names.has(flag.split("=", 1)[0]));
  return runCli([...usual, ...flags], { cwd: scenario.directory });
}
